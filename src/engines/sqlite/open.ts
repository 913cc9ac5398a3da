/** Opening SQLite files: opsctl's own, and those of other programs. */
import { closeSync, openSync, readFileSync, statSync } from "node:fs";
import { dirname } from "node:path";
import Database from "better-sqlite3";
import { OpsError, usageError } from "../../errors.ts";
import { makeFolders } from "../../folders.ts";
import { isBusy, isUnwritable, lacksRoom, sqliteError } from "./errors.ts";

/** A file for nobody but this process: the overlay of queued writes. */
export const IN_MEMORY = ":memory:";

/** SQLite blocks the event loop while it waits, so it waits briefly and whoever called goes on asking. */
export const BUSY_SLICE_MS = 100;

/** Which file, and whether it is one of another program (`Target.foreign`). */
export interface FilePlace {
  readonly path: string;
  readonly foreign: boolean;
}

/** Opens opsctl's own file, making it (mode 0600) and its folder (0700) when missing. @throws as `openForScript` */
export function openOwn(place: FilePlace): Database.Database {
  if (place.path === IN_MEMORY) return new Database(IN_MEMORY);
  createFile(place);
  return openedSafely(place, (database) => {
    if (database.pragma("journal_mode", { simple: true }) !== "wal") setWal(database);
  });
}

/** Opens a file of another program as it is. @throws as `openForScript` */
export function openForeign(place: FilePlace): Database.Database {
  isThere(place);
  return openedSafely(place, () => {});
}

/**
 * A connection that runs a script: with SQLite's own defaults, as the sqlite3 shell would run it (foreign keys are off), and an end that
 * takes every setting of the script with it.
 * @throws the driver's error when another process holds a lock; else OpsError, also when the file is not there
 */
export function openForScript(place: FilePlace): Database.Database {
  return opened(place, (database) => {
    database.pragma("foreign_keys = OFF");
  });
}

function opened(place: FilePlace, prepare: (database: Database.Database) => void): Database.Database {
  let database: Database.Database | undefined;
  try {
    database = new Database(place.path, { timeout: BUSY_SLICE_MS, fileMustExist: true });
    // FULL: a commit that was reported survives a power cut; the driver's default in WAL mode is NORMAL
    database.pragma("synchronous = FULL");
    prepare(database);
    // only a read shows whether the files beside it can be used
    database.pragma("schema_version");
    return database;
  } catch (error) {
    database?.close();
    // whoever waits for locks tries again
    if (isBusy(error)) throw error;
    throw sqliteError(error, place.path);
  }
}

/** Opens for reading and writing, or where that cannot be, for reading. */
function openedSafely(place: FilePlace, prepare: (database: Database.Database) => void): Database.Database {
  try {
    return opened(place, (database) => {
      database.pragma("foreign_keys = ON");
      database.pragma("cell_size_check = ON");
      database.pragma("trusted_schema = OFF");
      prepare(database);
    });
  } catch (error) {
    const isReadable =
      error instanceof OpsError && (isUnwritable(error.cause) || lacksRoom(error.cause, place.path));
    const readable = isReadable ? openUnchanging(place.path) : undefined;
    if (readable) return readable;
    throw error;
  }
}

/** A larger file is not read into memory. */
const MAX_UNCHANGING_BYTES = 512 * 1024 * 1024;
/** Where the header of a file says that it has a write-ahead log: 2 for "yes" (https://sqlite.org/fileformat2.html#file_format_version_numbers). */
const LOG_FLAGS = [18, 19];

/**
 * A file in WAL mode needs one beside it even to be read. Where that cannot be made, nobody is writing as long as there is no log: then
 * the file is all there is, and is read into memory. (SQLite's own way is `immutable=1` in a file URI; the driver takes no URIs.)
 */
function openUnchanging(path: string): Database.Database | undefined {
  const sizeOf = (name: string) => statSync(name, { throwIfNoEntry: false })?.size ?? 0;
  const isWrittenTo = () => sizeOf(`${path}-wal`) + sizeOf(`${path}-journal`) > 0;
  if (isWrittenTo()) return undefined;
  if (sizeOf(path) === 0 || sizeOf(path) > MAX_UNCHANGING_BYTES) return undefined;
  try {
    const content = readFileSync(path);
    if (isWrittenTo()) return undefined;
    for (const at of LOG_FLAGS) content[at] = 1;
    const database = new Database(content, { readonly: true });
    database.pragma("schema_version");
    return database;
  } catch {
    // the error that led here says more
    return undefined;
  }
}

/** Several processes may meet on a new file: changing the journal mode needs it alone, and the others find it changed. */
function setWal(database: Database.Database): void {
  database.pragma("busy_timeout = 10000");
  database.pragma("journal_mode = WAL");
  database.pragma(`busy_timeout = ${BUSY_SLICE_MS}`);
}

/**
 * Makes the file when it is missing; of opsctl's own files the folder, too.
 * @returns whether it was missing
 * @throws OpsError `usage` for a folder, `failed` when it cannot be made
 */
export function createFile(place: FilePlace): boolean {
  if (isThere(place)) return false;
  try {
    if (!place.foreign) makeFolders(dirname(place.path));
    closeSync(openSync(place.path, "a", 0o600));
    return true;
  } catch (error) {
    throw cannotOpen(place, error);
  }
}

/** Whether the file is there. @throws OpsError `usage` when it is a folder */
function isThere(place: FilePlace): boolean {
  let isDirectory: boolean;
  try {
    isDirectory = statSync(place.path).isDirectory();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw cannotOpen(place, error);
  }
  if (isDirectory) throw usageError(`${place.path} is a directory`, `set ${named(place)} to a file`);
  return true;
}

function cannotOpen(place: FilePlace, error: unknown): OpsError {
  const reason = (error as NodeJS.ErrnoException).code ?? "unknown error";
  const isMissingFolder = reason === "ENOENT" && place.foreign;
  return new OpsError({
    code: "failed",
    engine: "sqlite",
    message: isMissingFolder
      ? `SQLite file ${place.path} cannot be created: the folder ${dirname(place.path)} does not exist`
      : `SQLite file ${place.path} cannot be opened (${reason})`,
    hint: isMissingFolder
      ? `create the folder, or check ${named(place)}`
      : `check the path and its permissions, or set ${named(place)}`,
    cause: error,
  });
}

/** What names the file. */
function named({ foreign }: FilePlace): string {
  return foreign ? "--database" : "OPSCTL_DB (OPSCTL_STATE for the state file)";
}
