/** Where a SQLite file is restored to: what is there, and whether this user may change it. */
import { accessSync, constants, lstatSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { type Call, throwIfAborted } from "../../call.ts";
import { OpsError, toOpsError, usageError } from "../../errors.ts";
import { useThread } from "./backup-thread.ts";
import type { FilePlace } from "./open.ts";
import type { Look } from "./restore-live.ts";

/** How long to wait while another process has a file for itself. */
const LOOK_WAIT_MS = 10_000;

/** `absent`: there is no file. `damaged`: what is there cannot be read, so it cannot be backed up either. */
export type Present =
  | { state: "absent" }
  | { state: "whole"; look: Look }
  | { state: "damaged"; message: string; bytes: number };

/** Reads every page of what is there. @throws OpsError `usage`, `failed`, `locked` for what cannot be restored to */
export async function presentAt(call: Call, place: FilePlace): Promise<Present> {
  if (!requirePlace(place)) return { state: "absent" };
  try {
    return { state: "whole", look: await lookAtLive(call, place.path, true) };
  } catch (error) {
    throwIfAborted(call);
    const { code, message } = toOpsError(error);
    if (code !== "integrity") throw error;
    return { state: "damaged", message, bytes: statSync(place.path).size };
  }
}

/** @throws as `lookAt` */
export async function lookAtLive(call: Call, path: string, isDeep: boolean): Promise<Look> {
  const thread = useThread("checking");
  const stop = new Int32Array(new SharedArrayBuffer(4));
  try {
    const waitMs = Math.min(LOOK_WAIT_MS, call.remainingMs() / 2);
    return await thread.ask(call, `looking at ${path}`, "look", path, isDeep, waitMs, stop);
  } finally {
    Atomics.store(stop, 0, 1);
    thread.release();
  }
}

/** @returns whether a file is there @throws OpsError */
export function requirePlace({ path, foreign }: FilePlace): boolean {
  // better-sqlite3 copies to a name without them
  if (path !== path.trim()) {
    throw usageError(`the name of ${path} begins or ends with a space`, "name another file");
  }
  const stats = stat(path);
  // SQLite would make its other files beside the one that the link leads to
  if (!stats && isLink(path))
    throw usageError(`${path} is a link that leads nowhere`, "name the file itself");
  if (stats && !stats.isFile()) throw usageError(`${path} is no file`, "name a SQLite file");
  if (stats) return allowed(path, path) && allowed(path, dirname(path));
  // its own folder opsctl makes
  if (!foreign && !stat(dirname(path))) return false;
  allowed(path, dirname(path));
  return false;
}

const isLink = (path: string) => lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;

function stat(path: string) {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    throw refused(path, error);
  }
}

/** SQLite writes to a file, and beside it. */
function allowed(path: string, place: string): true {
  try {
    accessSync(place, place === path ? constants.W_OK | constants.R_OK : constants.W_OK | constants.X_OK);
    return true;
  } catch (error) {
    throw refused(path, error);
  }
}

function refused(path: string, error: unknown): OpsError {
  const { code } = error as NodeJS.ErrnoException;
  const isMissing = code === "ENOENT" || code === "ENOTDIR";
  return new OpsError({
    code: "failed",
    engine: "sqlite",
    message: isMissing
      ? `SQLite file ${path} cannot be made: there is no folder ${dirname(path)}`
      : `SQLite file ${path} cannot be written (${code})`,
    hint: isMissing
      ? `make the folder: mkdir -p ${dirname(path)}`
      : "make the file and its folder writable for this user",
    cause: error,
  });
}
