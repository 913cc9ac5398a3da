import { mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";

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
