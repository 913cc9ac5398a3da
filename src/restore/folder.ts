/** The folder of one restore: what was taken out of the archive, what parts work with, and the copy of what was replaced. */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { OpsError } from "../errors.ts";

const PREFIX = ".opsctl-restore-";
/** Name of the safety backup. */
export const SAFETY_NAME = "before";
const SAFETY_FILE = `${SAFETY_NAME}.tar.zst`;

/** Eight hexadecimal digits. */
export const newId = () => randomBytes(4).toString("hex");

/** Makes the folder of a restore, readable by its owner only. @throws OpsError `failed` */
export async function makeRestoreFolder(parent: string, id: string): Promise<string> {
  const folder = join(parent, PREFIX + id);
  try {
    await mkdir(folder, { mode: 0o700 });
    return folder;
  } catch (error) {
    throw new OpsError({
      code: "failed",
      message: `nothing can be written in ${parent} (${(error as NodeJS.ErrnoException).code})`,
      hint: "name another folder with OPSCTL_RESTORE_DIR",
      cause: error,
    });
  }
}

/** An empty folder in that of a restore: what a killed process left in it is taken away. */
export async function emptyFolder(folder: string, name: string): Promise<string> {
  const path = join(folder, name);
  await rm(path, { recursive: true, force: true });
  await mkdir(path, { mode: 0o700 });
  return path;
}

/** A part's own folder, by its place among the parts; it stays. */
export async function workFolder(folder: string, place: number): Promise<string> {
  const path = join(folder, `part-${place + 1}`);
  await mkdir(path, { mode: 0o700, recursive: true });
  return path;
}

/**
 * Removes what restores left that the journal does not know, or has no use for. A folder with a safety backup is never removed: a journal can be
 * lost, and then it is all there is of the data before.
 * @param kept ids of the restores whose folders are in use
 */
export async function sweepFolders(parent: string, kept: readonly string[]): Promise<void> {
  const names = await readdir(parent).catch(() => [] as string[]);
  for (const name of names) {
    const isOurs = name.startsWith(PREFIX) && !kept.includes(name.slice(PREFIX.length));
    if (isOurs && !existsSync(join(parent, name, SAFETY_FILE)))
      await rm(join(parent, name), { recursive: true, force: true });
  }
}
