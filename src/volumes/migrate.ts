/** Docker volumes become folders of the host: copied beside their place, compared, and renamed. */
import { chmod, chown, lstat, mkdir, readdir, rename, rm, rmdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { makeWork, sweepWork } from "../backup/work.ts";
import { type Call, throwIfAborted } from "../call.ts";
import { type EngineName, OpsError, toOpsError } from "../errors.ts";
import { flush } from "../publish.ts";
import { type Compared, compare } from "./compare.ts";
import {
  anyImage,
  copyOut,
  makeReader,
  removeReader,
  removeReaders,
  streamOut,
  usersOf,
  volumeNames,
} from "./docker.ts";
import { type Found, findVolumes, requireVolumes } from "./find.ts";

export interface MigrationRequest {
  /** Where the folders of the engines are, absolute. */
  dir: string;
  engines: readonly EngineName[];
  /** They were named: one without a volume is a mistake. */
  areNamed: boolean;
  volumes: ReadonlyMap<EngineName, readonly Found[]>;
  image: string | undefined;
}

/** What is to be copied, or was. */
export interface Moved {
  engine: EngineName;
  /** Absolute. */
  path: string;
  volumes: (Found & { image: string; compared: Compared | null })[];
  notes: string[];
  error: OpsError | null;
}

/**
 * Looks at everything that can be refused before anything is copied.
 * @throws OpsError `locked` naming the containers that write, `failed` for a folder that holds something, `not_found`
 */
export async function planVolumes(call: Call, request: MigrationRequest): Promise<Moved[]> {
  const names = await volumeNames(call);
  const planned: Moved[] = [];
  for (const engine of request.engines) {
    const found = findVolumes(engine, names, request.volumes.get(engine) ?? []);
    requireVolumes(found, names);
    if (found.length === 0 && request.areNamed) throw noVolume(engine);
    if (found.length > 0) planned.push(await planEngine(call, request, engine, found));
  }
  if (planned.length === 0) throw noVolume();
  return planned;
}

async function planEngine(
  call: Call,
  { dir, image }: MigrationRequest,
  engine: EngineName,
  found: readonly Found[],
): Promise<Moved> {
  const path = join(dir, engine);
  await requireEmpty(path);
  const volumes: Moved["volumes"] = [];
  for (const one of found) {
    const users = await refuseWriters(call, one.volume);
    // that of a container which has it is here: nothing is pulled
    volumes.push({ ...one, image: image ?? users[0]?.image ?? (await anyImage(call)), compared: null });
  }
  return { engine, path, volumes, notes: [], error: null };
}

/** Under the lock of the folder: removes what killed runs left there. @returns their names */
export async function sweepVolumes(call: Call, { dir, engines }: MigrationRequest): Promise<string[]> {
  await removeReaders(call, dir);
  const swept: string[] = [];
  for (const engine of engines) swept.push(...(await sweepWork(dir, engine)));
  return swept;
}

/** Copies what was planned, engine by engine; one that fails leaves nothing, and the others are copied. */
export async function moveVolumes(
  call: Call,
  { dir }: MigrationRequest,
  planned: readonly Moved[],
): Promise<void> {
  for (const moved of planned) {
    throwIfAborted(call);
    try {
      await moveEngine(call, dir, moved);
    } catch (error) {
      throwIfAborted(call);
      moved.error = toOpsError(error);
    }
  }
}

async function moveEngine(call: Call, dir: string, moved: Moved): Promise<void> {
  const work = await makeWork(dir, moved.engine);
  try {
    // for the server's own user; a volume that becomes the folder itself brings its own
    await chmod(work, 0o755);
    for (const one of moved.volumes) one.compared = await copyVolume(call, dir, join(work, one.folder), one);
    for (const { volume } of moved.volumes) await refuseWriters(call, volume);
    await requireEmpty(moved.path);
    await rmdir(moved.path).catch(() => {
      // it was not there
    });
    await rename(work, moved.path);
    await flush(dir);
  } catch (error) {
    await rm(work, { recursive: true, force: true });
    throw error;
  }
  moved.notes.push(...notesOf(moved));
}

async function copyVolume(
  call: Call,
  dir: string,
  to: string,
  { volume, image }: Moved["volumes"][number],
): Promise<Compared> {
  const isRoot = process.geteuid?.() === 0;
  await mkdir(to, { recursive: true });
  const reader = await makeReader(call, { volume, image, folder: dir });
  try {
    call.progress({ label: `copying ${volume}`, done: 0, unit: "bytes" });
    await copyOut(call, reader, to, isRoot);
    const stream = streamOut(call, reader);
    const compared = await compare(call, stream, to, volume).finally(stream.kill);
    if (compared.root) {
      const { uid, gid, mode } = compared.root;
      if (isRoot) await chown(to, uid, gid);
      await chmod(to, mode);
    }
    return compared;
  } finally {
    await removeReader(reader);
  }
}

/** @throws OpsError `locked` @returns the containers that have it */
async function refuseWriters(call: Call, volume: string) {
  const users = await usersOf(call, volume);
  const writers = users.filter(({ isRunning, mayWrite }) => isRunning && mayWrite).map(({ name }) => name);
  if (writers.length === 0) return users;
  throw new OpsError({
    code: "locked",
    message: `the volume ${volume} is in use: ${writers.join(", ")} may write to it while it is copied`,
    hint: `stop what writes to it: docker stop ${writers.join(" ")}`,
  });
}

/** @throws OpsError `failed` */
async function requireEmpty(path: string): Promise<void> {
  const stats = await lstat(path).catch(() => undefined);
  if (!stats) return;
  if (stats.isDirectory() && (await readdir(path)).length === 0) return;
  throw new OpsError({
    code: "failed",
    message: `${path} ${stats.isDirectory() ? "holds something already" : "is no folder"}; nothing was copied`,
    hint: `move it away first, for example: mv ${path} ${path}.before`,
  });
}

function noVolume(engine?: EngineName): OpsError {
  return new OpsError({
    code: "not_found",
    message: engine
      ? `no Docker volume looks like one of ${engine}`
      : "no Docker volume looks like one of a database",
    hint: `docker volume ls shows those that there are; name one with --volume ${engine ?? "postgres"}=NAME`,
  });
}

function notesOf({ engine, path, volumes }: Moved): string[] {
  const others = volumes.reduce((sum, { compared }) => sum + (compared?.otherOwners ?? 0), 0);
  const root = volumes.find(({ compared }) => compared?.root)?.compared?.root;
  const notes = [
    `mount ./${basename(join(path, ".."))}/${engine} in place of ${volumes.map(({ volume }) => volume).join(", ")}; when that works: docker volume rm ${volumes.map(({ volume }) => volume).join(" ")}`,
  ];
  if (others > 0 && root) {
    notes.push(
      `${others} entries belong to another user than in the volume: sudo chown -R ${root.uid}:${root.gid} ${path}`,
    );
  }
  return notes;
}
