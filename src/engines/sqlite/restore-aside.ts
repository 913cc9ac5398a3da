/** Taking a SQLite file and what belongs to it out of the way, by renaming; and knowing whether somebody wrote to it since. */
import { chmodSync, chownSync, existsSync, realpathSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { flush } from "../../publish.ts";

/** What SQLite keeps beside a file. */
const BESIDE = ["-journal", "-wal", "-shm"];

/** Where a link leads to: SQLite keeps its other files beside the file itself. */
export function realPath(path: string): string {
  return existsSync(path) ? realpathSync(path) : path;
}

/** Where a damaged file stays until its restore is forgotten. */
export const asidePath = (path: string, id: string) => `${path}.opsctl-${id}-before`;
/** Where a restored file goes to that somebody wrote to, when its restore is undone. */
const undonePath = (path: string, id: string) => `${path}.opsctl-${id}-undone`;

/**
 * What changes when somebody writes to a file. Read without opening it: a process that closes a file gives up the locks that its other connections
 * have on it.
 */
export function markOf(path: string): string {
  const file = statSync(path, { bigint: true });
  const log = statSync(`${path}-wal`, { bigint: true, throwIfNoEntry: false });
  // readers make an empty log, and take it away
  const inLog = log && log.size > 0n ? `${log.size} ${log.mtimeNs}` : "0";
  return `${file.ino} ${file.size} ${file.mtimeNs} ${inLog}`;
}

/** Whether two marks are of one file, whatever was written to it in between. */
export const isSameFile = (mark: string, other: string) => mark.split(" ")[0] === other.split(" ")[0];

/** Moves a file aside with what is beside it. Repeated it goes on; what is there under the name afterwards stays. */
export async function moveAside(path: string, id: string): Promise<void> {
  const aside = asidePath(path, id);
  // the file itself is the last: while it is there, the others belong to it
  if (!existsSync(aside)) move(path, aside);
  await flush(dirname(path));
}

/** Gives a file the permissions, and to root the owner, of the one that was moved aside. */
export function likeAside(path: string, id: string): void {
  const { mode, uid, gid } = statSync(asidePath(path, id));
  chmodSync(path, mode & 0o777);
  if (process.geteuid?.() === 0) chownSync(path, uid, gid);
}

/** Brings back what `moveAside` moved, also after half of it. */
export async function bringBack(path: string, id: string): Promise<void> {
  const aside = asidePath(path, id);
  for (const end of [...BESIDE, ""]) {
    if (existsSync(`${aside}${end}`)) renameSync(`${aside}${end}`, `${path}${end}`);
  }
  await flush(dirname(path));
}

/** Whether `moveAside` moved the file. */
export const isAside = (path: string, id: string) => existsSync(asidePath(path, id));

export async function removeAside(path: string, id: string): Promise<void> {
  remove(asidePath(path, id));
  await flush(dirname(path));
}

/**
 * Takes a restored file away.
 * @param isKept somebody wrote to it: it is renamed, not removed
 * @returns where it is now; null: nowhere
 */
export async function takeAway(path: string, id: string, isKept: boolean): Promise<string | null> {
  const to = isKept ? undonePath(path, id) : null;
  if (to === null) remove(path);
  else move(path, to);
  await flush(dirname(path));
  return to;
}

/** The file goes last: while it is there, the others belong to it. */
function remove(path: string): void {
  for (const end of [...BESIDE, ""]) rmSync(`${path}${end}`, { force: true });
}

function move(from: string, to: string): void {
  for (const end of [...BESIDE, ""]) {
    if (existsSync(`${from}${end}`)) renameSync(`${from}${end}`, `${to}${end}`);
  }
}
