/** The folder of one drill. The kernel frees its lock when the process dies, so that the next drill knows what is left behind. */
import { lstat, mkdtemp, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { RunLock } from "../backup/port.ts";
import type { Call } from "../call.ts";
import { OpsError } from "../errors.ts";
import { makeFolders } from "../folders.ts";

/** What the folder of a drill is called, before what makes it unique. */
export const DRILL_PREFIX = ".opsctl-drill-";
/** A sweeper of another drill may take a folder in the instant between its making and its locking. */
const ATTEMPTS = 20;

export type LockFolder = (call: Call, folder: string) => Promise<RunLock>;

export interface DrillWork {
  /** Readable by its owner only. */
  folder: string;
  remove(): Promise<void>;
}

/**
 * Removes what killed drills of this user left in `parent`, and makes a folder there.
 * @param lock of a folder; held as long as the drill lives
 * @throws OpsError `failed` when nothing can be written there
 */
export async function makeDrillWork(call: Call, parent: string, lock: LockFolder): Promise<DrillWork> {
  try {
    makeFolders(parent);
    await sweep(call, parent, lock);
    for (let attempt = 1; ; attempt += 1) {
      const folder = await mkdtemp(join(parent, DRILL_PREFIX));
      const held = await lock(call, folder).catch((error: unknown) => {
        if (attempt === ATTEMPTS) throw error;
      });
      if (held && (await isThere(folder))) return { folder, remove: () => remove(folder, held) };
      await held?.release();
    }
  } catch (error) {
    throw workError(parent, error);
  }
}

/** Two drills may sweep at once, and one may begin meanwhile: only the holder of a folder's lock removes it. */
async function sweep(call: Call, parent: string, lock: LockFolder): Promise<void> {
  for (const name of await readdir(parent)) {
    if (!name.startsWith(DRILL_PREFIX)) continue;
    const folder = join(parent, name);
    const stats = await lstat(folder).catch(() => undefined);
    // in a folder that everybody may write to, others' are left alone
    if (!stats?.isDirectory() || stats.uid !== process.getuid?.()) continue;
    const held = await lock(call, folder).catch(() => undefined);
    if (held) await remove(folder, held);
  }
}

async function remove(folder: string, held: RunLock): Promise<void> {
  try {
    await rm(folder, { recursive: true, force: true });
  } finally {
    await held.release();
  }
}

function isThere(folder: string): Promise<boolean> {
  return lstat(folder).then(Boolean, () => false);
}

function workError(parent: string, error: unknown): OpsError {
  if (error instanceof OpsError) return error;
  return new OpsError({
    code: "failed",
    message: `nothing can be written in ${parent} (${(error as NodeJS.ErrnoException).code})`,
    hint: "name another folder with OPSCTL_RESTORE_DIR",
    cause: error,
  });
}
