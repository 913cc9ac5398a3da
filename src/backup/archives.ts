/** The archives of a folder: what lies there, in which order, and what is known of each. */
import { lstat, readdir, realpath, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { OpsError } from "../errors.ts";
import { publish } from "../publish.ts";
import { type Container, type Metadata, parseSidecar, type Sidecar } from "./metadata.ts";
import { readSmallFile } from "./small-file.ts";

/** Longest first. */
const ENDINGS = [
  { ending: ".tar.gz.age", container: "tar.gz", encrypted: true },
  { ending: ".tar.zst.age", container: "tar.zst", encrypted: true },
  { ending: ".tar.gz", container: "tar.gz", encrypted: false },
  { ending: ".tar.zst", container: "tar.zst", encrypted: false },
] as const;

/** An archive and what its sidecar says. */
export interface Archive {
  /** `20261121_030000`; of a single file its name. */
  name: string;
  /** Absolute. */
  path: string;
  container: Container;
  encrypted: boolean;
  /** As it lies there; of a folder, as the sidecar says (0 without). */
  size_bytes: number;
  /** Null: there is none (the run that made it was killed at its end, or it came from elsewhere), or it cannot be read (`problem`). */
  sidecar: Sidecar | null;
  /** Only its sidecar is there. */
  isMissing: boolean;
  /** What is wrong at first sight: unreadable sidecar, missing archive, other size. Null: nothing. */
  problem: string | null;
}

/** Where the sidecar of an archive lies. */
export function sidecarPath(path: string): string {
  const { base, kind } = split(basename(path));
  return join(dirname(path), `${kind === undefined ? basename(path) : base}.json`);
}

function split(name: string) {
  const kind = ENDINGS.find(({ ending }) => name.endsWith(ending));
  return { kind, base: kind === undefined ? name : name.slice(0, -kind.ending.length) };
}

/**
 * All archives of a folder, oldest first: by sequence, and those without a sidecar by name before those with one. Work in progress and other
 * files are invisible. A folder that does not exist holds none.
 */
export async function listArchives(folder: string): Promise<Archive[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [] as string[];
    throw new OpsError({
      code: "failed",
      message: `the folder ${folder} cannot be read (${error.code})`,
      hint: "check its permissions, or name another with --dir",
    });
  });
  const found: Archive[] = [];
  const seen = new Set<string>();
  for (const name of names) {
    if (name.startsWith(".")) continue;
    if (split(name).kind !== undefined) {
      const archive = await readArchive(join(folder, name));
      found.push(archive);
      seen.add(sidecarPath(archive.path));
    }
  }
  for (const name of names) {
    const path = join(folder, name);
    if (name.startsWith(".") || !name.endsWith(".json") || seen.has(path)) continue;
    const sidecar = sidecarAt(path);
    if (
      sidecar &&
      sidecar.file === basename(sidecar.file) &&
      sidecarPath(join(folder, sidecar.file)) === path
    )
      found.push(await readArchive(join(folder, sidecar.file), sidecar.container));
  }
  return found.sort(byAge);
}

/** Oldest first. */
export function byAge(a: Archive, b: Archive): number {
  const sequence = (archive: Archive) => archive.sidecar?.metadata.sequence ?? -1;
  return sequence(a) - sequence(b) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
}

/** What is known of one archive without reading its content. */
export async function readArchive(path: string, known?: Container): Promise<Archive> {
  const { base, kind } = split(basename(path));
  const stats = await lstat(path).catch(() => undefined);
  let sidecar: Sidecar | null = null;
  let problem: string | null = null;
  try {
    sidecar = readSidecar(sidecarPath(path)) ?? null;
  } catch (error) {
    problem = (error as Error).message;
  }
  const container = kind?.container ?? sidecar?.container ?? known ?? (stats?.isDirectory() ? "dir" : "file");
  const size = container === "dir" ? (sidecar?.size_bytes ?? 0) : (stats?.size ?? 0);
  if (stats === undefined) problem ??= "the archive is missing, only its sidecar is there";
  // of another ending; both may have been renamed together
  else if (sidecar && kind && (sidecar.container !== kind.container || sidecar.encrypted !== kind.encrypted))
    problem ??= `its sidecar is that of ${sidecar.file}`;
  else if (sidecar && sidecar.size_bytes !== size)
    problem ??= `it has ${size} bytes, and its sidecar says ${sidecar.size_bytes}`;
  return {
    name: container === "file" ? basename(path) : base,
    path: resolve(path),
    container,
    encrypted: kind?.encrypted ?? sidecar?.encrypted ?? false,
    size_bytes: size,
    sidecar,
    isMissing: stats === undefined,
    problem,
  };
}

/** Of a file that may be anybody's. */
function sidecarAt(path: string): Sidecar | undefined {
  try {
    return readSidecar(path);
  } catch {
    return undefined;
  }
}

function readSidecar(path: string): Sidecar | undefined {
  try {
    return parseSidecar(readSmallFile(path), path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return undefined;
    if (error instanceof OpsError) throw error;
    throw new OpsError({ code: "failed", message: `${path} cannot be read (${code})`, cause: error });
  }
}

/** Whether it may stand for the data: complete, and verified at least by checksums. */
export function isGood({ sidecar, problem }: Archive): boolean {
  return (
    sidecar !== null &&
    problem === null &&
    sidecar.damaged === null &&
    sidecar.metadata.state === "complete" &&
    sidecar.verified !== null &&
    sidecar.verified.level !== "structure"
  );
}

/** The newest set that is good; undefined: none is. A single file holds one engine, and is replaced by the next. */
export function latest(archives: readonly Archive[]): Archive | undefined {
  return archives.filter((archive) => isGood(archive) && archive.container !== "file").at(-1);
}

/**
 * The archive that a text names: `latest`, a name in the folder, or a path. A link such as `latest.tar.gz` means what it points to, with the
 * sidecar there.
 * @throws OpsError `not_found`
 */
export async function findArchive(folder: string, text: string): Promise<Archive> {
  const archives = await listArchives(folder);
  const named =
    text === "latest"
      ? latest(archives)
      : archives.find(({ name, path }) => text === name || text === basename(path));
  if (named) return behindLink(named);
  const path = resolve(text);
  if (text !== "latest" && (await stat(path).catch(() => undefined)))
    return behindLink(await readArchive(path));
  throw new OpsError({
    code: "not_found",
    message:
      text === "latest"
        ? `${folder} holds no complete and verified archive`
        : `there is no archive "${text}" in ${folder}, and no such file`,
    hint: "opsctl backup list",
  });
}

async function behindLink(archive: Archive): Promise<Archive> {
  const stats = await lstat(archive.path).catch(() => undefined);
  return stats?.isSymbolicLink() ? readArchive(await realpath(archive.path)) : archive;
}

/** Publishes a sidecar beside its archive, readable by its owner only. */
export async function writeSidecar(path: string, sidecar: Sidecar): Promise<void> {
  const content = `${JSON.stringify(sidecar, null, 2)}\n`;
  await publish(sidecarPath(path), 0o600, (partial) => writeFile(partial, content));
}

/** The part of a set that a file belongs to. */
export function partOf(metadata: Metadata, path: string) {
  return metadata.parts.find(({ files }) => files.includes(path));
}
