import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { RunLock } from "../backup/port.ts";
import { LOCK_FILE } from "../backup/work.ts";
import type { Call } from "../call.ts";
import { toOpsError } from "../errors.ts";
import type { PlacedKind } from "./cleanup.ts";

/** Takes the lock of a folder at once, or not at all. */
export type LockFolder = (call: Call, folder: string) => Promise<RunLock>;

/**
 * Notes of dead processes that say they hold a lock. The kernel has taken the lock itself already, and the file that it is on stays: removing it would
 * let two in. Taking the lock and giving it back clears the note.
 * @param folders in which runs take locks
 */
export function locksKind(folders: readonly string[], lock: LockFolder): PlacedKind {
  return {
    kind: "locks",
    title: "lock notes of dead runs",
    engine: null,
    async find(call) {
      const found = await Promise.all([...new Set(folders)].map((folder) => staleNote(call, folder)));
      return found.flatMap((note) =>
        note === undefined
          ? []
          : [
              {
                subject: note.path,
                why: `process ${note.pid} is gone`,
                count: 1,
                size_bytes: note.size,
                remove: (call) => clear(call, note.folder, lock),
              },
            ],
      );
    },
  };
}

/** Whoever took the lock meanwhile has written a note of its own. */
async function clear(call: Call, folder: string, lock: LockFolder): Promise<void> {
  try {
    await (await lock(call, folder)).release();
  } catch (error) {
    if (toOpsError(error).code !== "locked") throw error;
  }
}

interface Note {
  folder: string;
  path: string;
  pid: number;
  size: number;
}

/** Undefined: there is none, or its process lives, or is of another host. */
async function staleNote(call: Call, folder: string): Promise<Note | undefined> {
  const path = join(folder, `${LOCK_FILE}.holder`);
  try {
    const { size } = await stat(path);
    const { pid, who } = JSON.parse(await readFile(path, "utf8")) as { pid: number; who: string };
    const isHere = hostOf(who) === hostOf(call.actor);
    return isHere && !isAlive(pid) ? { folder, path, pid, size } : undefined;
  } catch {
    // none, or one that is being written
    return undefined;
  }
}

/** Whether a run holds the lock of a folder, as far as its note tells: looking writes nothing. */
export async function isHeld(call: Call, folder: string): Promise<boolean> {
  const isNoted = await stat(join(folder, `${LOCK_FILE}.holder`)).then(Boolean, () => false);
  return isNoted && (await staleNote(call, folder)) === undefined;
}

const hostOf = (who: string) => who.split("@").at(-1);

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // a process of somebody else
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
