import { statfsSync } from "node:fs";
import { dirname } from "node:path";
import { type ErrorCode, OpsError } from "../../errors.ts";

/** Result codes of SQLite (https://sqlite.org/rescode.html) that mean something else than "failed". */
const CODES: readonly (readonly [prefix: string, code: ErrorCode, what: string, hint: string])[] = [
  ["SQLITE_NOTADB", "integrity", "is not a SQLite database", "name another file; this one was not touched"],
  ["SQLITE_CORRUPT", "integrity", "is damaged", "restore it from a backup, or try `sqlite3 FILE .recover`"],
  ["SQLITE_BUSY", "locked", "is locked by another process", "try again when the other process is done"],
  ["SQLITE_LOCKED", "locked", "is locked by another process", "try again when the other process is done"],
  [
    "SQLITE_FULL",
    "failed",
    "cannot grow: the disk is full",
    "free some space; nothing of this write was kept",
  ],
  ["SQLITE_READONLY", "failed", "is read-only", "make the file and its folder writable"],
  ["SQLITE_CANTOPEN", "failed", "cannot be opened", "check that the folder exists and is accessible"],
  [
    "SQLITE_IOERR",
    "failed",
    "cannot be read or written (I/O error)",
    "check the disk; nothing of this write was kept",
  ],
];

/** What SQLite says, too, where a disk is full: of the files beside one in WAL mode, and of a copy that was opened for reading then. */
const OF_FULL_DISK = /^SQLITE_(IOERR|CANTOPEN|READONLY)/;
/** With less than this the shared memory of a file in WAL mode (32 KiB) and a log do not fit. */
const LEAST_FREE_BYTES = 64 * 1024;

/** An error that is about the file, not about what was asked of it; undefined: it is not one. The message names no value. */
export function fileError(error: unknown, path: string): OpsError | undefined {
  const code = lacksRoom(error, path) ? "SQLITE_FULL" : codeOf(error);
  const known = CODES.find(([prefix]) => code.startsWith(prefix));
  if (!known) return undefined;
  return new OpsError({
    code: known[1],
    engine: "sqlite",
    message: `SQLite file ${path} ${known[2]}`,
    hint: known[3],
    cause: error,
  });
}

/** Wraps an error of the driver; the message names the file and no value. */
export function sqliteError(error: unknown, path: string): OpsError {
  if (error instanceof OpsError) return error;
  const known = fileError(error, path);
  if (known) return known;
  return new OpsError({
    code: "failed",
    engine: "sqlite",
    message: `SQLite file ${path}: ${messageOf(error)}`,
    cause: error,
  });
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export function isBusy(error: unknown): boolean {
  return codeOf(error).startsWith("SQLITE_BUSY");
}

/** The file cannot be opened for writing, or not as the other files beside it would need. */
export function isUnwritable(error: unknown): boolean {
  return /^SQLITE_(CANTOPEN|READONLY)/.test(codeOf(error));
}

/** Whether it failed because the file's disk is full: SQLite's own word, or another one while there is no space. */
export function lacksRoom(error: unknown, path: string): boolean {
  const code = codeOf(error);
  return code.startsWith("SQLITE_FULL") || (OF_FULL_DISK.test(code) && isFull(dirname(path)));
}

function isFull(folder: string): boolean {
  try {
    const { blocks, bavail, bsize } = statfsSync(folder);
    // a file system that has no blocks counts none
    return blocks > 0 && bavail * bsize < LEAST_FREE_BYTES;
  } catch {
    return false;
  }
}

function codeOf(error: unknown): string {
  return String((error as { code?: unknown } | undefined)?.code ?? "");
}
