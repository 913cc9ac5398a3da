import { chmod, lstat, open, rename, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";

/** What the name of a file that is not whole yet ends with; a process that was killed leaves it behind. */
export const PARTIAL = ".partial";

/**
 * Writes a file so that its name never stands for a part of it, not even after a power cut: `write` fills a file of another name in the same
 * folder, which is flushed and then renamed. What was there under the name is replaced; after a failure it is as it was.
 * @param mode permissions of the file; while it is written, only its owner may read it
 */
export async function publish(
  path: string,
  mode: number,
  write: (partial: string) => Promise<void>,
): Promise<void> {
  const partial = `${path}.${process.pid}-${Math.random().toString(36).slice(2, 10)}${PARTIAL}`;
  try {
    await (await open(partial, "wx", 0o600)).close();
    await write(partial);
    await chmod(partial, mode);
    await flush(partial);
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
  await flush(dirname(path));
}

/** Makes what was written survive a power cut; of a folder, its names. */
export async function flush(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Publishes a text: with the permissions of the file that it replaces, else those that a new file gets. A device, a pipe or a link is
 * written to and stays what it is: renamed over, `/dev/null` would be a file.
 */
export async function publishFile(path: string, text: string): Promise<void> {
  const known = await lstat(path).catch(() => undefined);
  if (known && !known.isFile()) return writeFile(path, text);
  const mode = known === undefined ? 0o666 & ~process.umask() : known.mode & 0o777;
  await publish(path, mode, (partial) => writeFile(partial, text));
}
