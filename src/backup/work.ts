/** Folders of runs that are not over: beside the archives, hidden, and on the same file system, so that a rename publishes. */
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { OpsError } from "../errors.ts";
import { makeFolders } from "../folders.ts";
import { PARTIAL } from "../publish.ts";

/** In the folder of archives: held by the run that writes there, or removes. */
export const LOCK_FILE = ".opsctl.lock";
/** Whose work it is: that of a set, or of a single file by its name. */
const SET = "set";
/** What a killed process leaves of a sidecar (`publish`). */
const UNPUBLISHED = new RegExp(`\\.json\\.\\d+-[a-z0-9]+\\${PARTIAL}$`);

const startOf = (label: string) => `.opsctl-${label}-`;

/** Makes the folder of a run, readable by its owner only. @throws OpsError `failed` */
export async function makeWork(folder: string, label = SET): Promise<string> {
  try {
    return await mkdtemp(join(folder, startOf(label)));
  } catch (error) {
    throw folderError(folder, error);
  }
}

/** The names of what runs work with in a folder, or left behind when they were killed. */
export async function workIn(folder: string, label = SET): Promise<string[]> {
  const isWork = (name: string) =>
    name.startsWith(startOf(label)) || (label === SET && UNPUBLISHED.test(name));
  return (await readdir(folder).catch((error) => Promise.reject(folderError(folder, error)))).filter(isWork);
}

/**
 * Removes what killed runs left behind. Only under the lock of the folder: nobody else works there then.
 * @returns the names that it removed
 */
export async function sweepWork(folder: string, label = SET): Promise<string[]> {
  const names = await workIn(folder, label);
  for (const name of names) await rm(join(folder, name), { recursive: true, force: true });
  return names;
}

/** Makes a folder for archives when it is missing, readable by its owner only: archives hold everything. @throws OpsError `failed` */
export function makeFolder(folder: string): void {
  try {
    makeFolders(folder);
  } catch (error) {
    throw folderError(folder, error);
  }
}

function folderError(folder: string, error: unknown): OpsError {
  return new OpsError({
    code: "failed",
    message: `nothing can be written in ${folder} (${(error as NodeJS.ErrnoException).code})`,
    hint: "check the folder and its permissions, or name another with --dir",
    cause: error,
  });
}
