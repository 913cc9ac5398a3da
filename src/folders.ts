import { mkdirSync, statSync } from "node:fs";
import { lstat, opendir } from "node:fs/promises";
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
    const entries = await opendir(next).catch(() => undefined);
    if (!entries) {
      // of the folder itself: it cannot be read; below it: it went meanwhile, or is another user's
      if (next === folder) return null;
      continue;
    }
    for await (const entry of entries) {
      seen += 1;
      if (seen > most) return null;
      const path = join(next, entry.name);
      if (entry.isDirectory()) folders.push(path);
      else if (entry.isFile())
        size += await lstat(path).then(
          (stats) => stats.size,
          () => 0,
        );
    }
  }
  return size;
}
