/** The folder of one restore: what was taken out of the archive, what parts work with, and the copy of what was replaced. */
import { randomBytes } from "node:crypto";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { OpsError } from "../errors.ts";
import { sha256 } from "../hash.ts";

const PREFIX = ".opsctl-restore-";
/** Safety backups: `before.tar.zst`; `before-2.tar.zst` of a restore that was cut off and goes on. */
const SAFETY_NAME = "before";

function prefixOf(owner: string): string {
  return `${PREFIX}${sha256(owner).slice(0, 8)}-`;
}

/** Eight hexadecimal digits. */
export const newId = () => randomBytes(4).toString("hex");

/**
 * Makes the folder of a restore, readable by its owner only.
 * @param owner the journal that knows of it: another one may have restores in the same parent
 * @throws OpsError `failed`
 */
export async function makeRestoreFolder(parent: string, owner: string, id: string): Promise<string> {
  const folder = join(parent, prefixOf(owner) + id);
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

/** A name for a safety backup that the folder does not have yet. */
export async function safetyName(folder: string): Promise<string> {
  const names = await readdir(folder);
  for (let number = 1; ; number += 1) {
    const name = number === 1 ? SAFETY_NAME : `${SAFETY_NAME}-${number}`;
    if (!names.some((known) => known.startsWith(`${name}.`))) return name;
  }
}

/** Takes away the safety backups of a restore that has not touched anything: they are of another moment. */
export async function removeSafeties(folder: string): Promise<void> {
  for (const name of await readdir(folder))
    if (name.startsWith(SAFETY_NAME)) await rm(join(folder, name), { recursive: true, force: true });
}

/**
 * Names of folders that restores left and their journal does not know, or has no use for. One with a safety backup is never among them: a journal
 * can be lost, and then it is all there is of the data before.
 * @param owner only its own restores' folders are looked at
 * @param kept ids of the restores whose folders are in use
 */
export async function foldersOver(parent: string, owner: string, kept: readonly string[]): Promise<string[]> {
  const prefix = prefixOf(owner);
  const over: string[] = [];
  for (const name of await readdir(parent).catch(() => [] as string[])) {
    if (!name.startsWith(prefix) || kept.includes(name.slice(prefix.length))) continue;
    const inside = await readdir(join(parent, name)).catch(() => [] as string[]);
    if (!inside.some((file) => file.startsWith(SAFETY_NAME))) over.push(name);
  }
  return over;
}

/** Removes them. */
export async function sweepFolders(parent: string, owner: string, kept: readonly string[]): Promise<void> {
  for (const name of await foldersOver(parent, owner, kept))
    await rm(join(parent, name), { recursive: true, force: true });
}
