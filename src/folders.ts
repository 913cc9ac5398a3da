import { type Dirent, mkdirSync, statSync } from "node:fs";
import { lstat, readdir } from "node:fs/promises";
import { dirname, join } from "node:path";

/**
 * Makes a folder and its parents, mode 0700. Not mkdir's own recursive mode: that never returns where a parent says that it does not exist
 * however often it is made, as below /proc.
 * @throws the system's error
 */
export function makeFolders(path: string): void {
  const isFolder = () => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  if (isFolder()) return;
  const parent = dirname(path);
  if (parent !== path) makeFolders(parent);
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    // another process was faster
    if (!isFolder()) throw error;
  }
}

/**
 * Bytes of all files below a folder, as `du --apparent-size` counts them; links are not followed. What goes meanwhile is left out.
 * @param most entries to look at; null: there are more
 */
export async function sizeOfFolder(folder: string, most = Number.POSITIVE_INFINITY): Promise<number | null> {
  let size = 0;
  let seen = 0;
  const folders = [folder];
  for (let next = folders.pop(); next !== undefined; next = folders.pop()) {
    const entries = await readdir(next, { withFileTypes: true }).catch(() => undefined);
    // of the folder itself: it cannot be read; below it: it went meanwhile, or is another user's
    if (!entries && next === folder) return null;
    seen += entries?.length ?? 0;
    if (seen > most) return null;
    const here = next;
    const pathOf = (entry: Dirent) => join(here, entry.name);
    const files = (entries ?? []).filter((entry) => entry.isFile());
    for (const { size: one } of await Promise.all(
      files.map((file) => lstat(pathOf(file)).catch(() => NOTHING)),
    ))
      size += one;
    folders.push(...(entries ?? []).filter((entry) => entry.isDirectory()).map(pathOf));
  }
  return size;
}

/** What is left of a file that went meanwhile. */
const NOTHING = { size: 0 };
