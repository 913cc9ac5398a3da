/** Folders and files in which runs worked that are over, or were killed. */
import { existsSync } from "node:fs";
import { lstat, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { RunLock } from "../backup/port.ts";
import { workIn } from "../backup/work.ts";
import type { Call } from "../call.ts";
import { sizeOfFolder } from "../folders.ts";
import { DRILL_PREFIX } from "../restore/drill-work.ts";
import { foldersOver } from "../restore/folder.ts";
import type { PlacedKind } from "./cleanup.ts";
import { isHeld, type LockFolder } from "./cleanup-locks.ts";
import type { CleanupItem } from "./port.ts";

/** In the temporary folder, without a lock: what `backup diff`, drills of Redis and checks of single files make. */
const OF_TEMPORARY = /^(?:opsctl-(?:live|redis)|\.opsctl-set)-[A-Za-z0-9]{6}$/;
/** Nothing of them works so long on one thing without touching it. */
const ABANDONED_MS = 86_400_000;

export interface Spools {
  /** Folder of the archives. */
  archives: string;
  /** The lock of that folder is ours: nobody else works there. */
  isOurs: boolean;
  /** Where drills work. */
  drills: string;
  /** Where programs put what is not to stay. */
  temporary: string;
  restores: {
    folder: string;
    /** The state file that knows of them, and its host: others may have restores in the same folder. */
    owner: string;
    /** Ids of restores that still need their folder. */
    kept(call: Call): Promise<readonly string[]>;
    /** Held by every restore of this host. */
    lock(call: Call): Promise<RunLock>;
  };
  lock: LockFolder;
}

export function spoolsKind(spools: Spools): PlacedKind {
  return {
    kind: "spools",
    title: "work of dead runs",
    engine: null,
    async find(call) {
      return [
        ...(await workBesideArchives(call, spools)),
        ...(await foldersOfRestores(call, spools)),
        ...(await foldersOfDrills(call, spools)),
        ...(await abandoned(spools.temporary)),
      ];
    },
  };
}

async function workBesideArchives(call: Call, { archives, isOurs }: Spools): Promise<CleanupItem[]> {
  // a run that lives works in such a folder
  if (!isOurs && (await isHeld(call, archives))) return [];
  const names = existsSync(archives) ? await workIn(archives) : [];
  return items(archives, names, "left behind by a backup that was killed");
}

async function foldersOfRestores(call: Call, { restores }: Spools): Promise<CleanupItem[]> {
  const { folder, owner } = restores;
  const over = await foldersOver(folder, owner, await restores.kept(call));
  const found = await items(folder, over, "its restore is over");
  return found.map((item) => ({ ...item, remove: (call) => underLock(call, item, restores.lock) }));
}

async function foldersOfDrills(call: Call, { drills, lock }: Spools): Promise<CleanupItem[]> {
  const names = (await namesIn(drills)).filter((name) => name.startsWith(DRILL_PREFIX));
  const found: CleanupItem[] = [];
  for (const item of await items(drills, names, "its drill was killed")) {
    if (await isHeld(call, item.subject)) continue;
    found.push({ ...item, remove: (call) => underLock(call, item, (call) => lock(call, item.subject)) });
  }
  return found;
}

/** A run may have begun in it meanwhile: then it stays. @throws OpsError `locked` */
async function underLock(
  call: Call,
  item: CleanupItem,
  lock: (call: Call) => Promise<RunLock>,
): Promise<void> {
  const held = await lock(call);
  await item.remove(call).finally(() => held.release());
}

async function abandoned(folder: string): Promise<CleanupItem[]> {
  const names = (await namesIn(folder)).filter((name) => OF_TEMPORARY.test(name));
  const before = Date.now() - ABANDONED_MS;
  const old: string[] = [];
  for (const name of names) if ((await lastTouched(join(folder, name))) < before) old.push(name);
  return items(folder, old, "nothing was written there for a day");
}

/** When a folder, or something in it, was last changed; ms. */
async function lastTouched(folder: string): Promise<number> {
  const paths = [folder, ...(await namesIn(folder)).map((name) => join(folder, name))];
  const times = await Promise.all(
    paths.map((path) =>
      lstat(path).then(
        ({ mtimeMs }) => mtimeMs,
        () => 0,
      ),
    ),
  );
  return Math.max(...times);
}

/** Of this user's own: others have theirs in the same temporary folder. */
async function items(folder: string, names: readonly string[], why: string): Promise<CleanupItem[]> {
  const found: CleanupItem[] = [];
  for (const name of names) {
    const path = join(folder, name);
    const stats = await lstat(path).catch(() => undefined);
    if (!stats || stats.isSymbolicLink() || stats.uid !== process.getuid?.()) continue;
    const size = stats.isDirectory() ? await sizeOfFolder(path) : stats.size;
    const remove = () => rm(path, { recursive: true, force: true });
    found.push({ subject: path, why, count: 1, size_bytes: size, remove });
  }
  return found;
}

/** A folder that is not there has none. */
function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}
