/** A SQLite file that is copied as of one moment. Runs in the thread of `backup-worker.ts`, so it may block. */
import { accessSync, constants, realpathSync, statSync } from "node:fs";
import { copyFile, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import Database from "better-sqlite3";
import { OpsError, usageError } from "../../errors.ts";
import { damaged } from "./backup-check.ts";
import { copyPages } from "./copy.ts";
import { isBusy, isUnwritable, sqliteError } from "./errors.ts";
import { BUSY_SLICE_MS } from "./open.ts";

/** How long to wait while another process has a file for itself. */
export interface Patience {
  waitMs: number;
  /** Nobody waits for the work any more. */
  isStopped(): boolean;
}

export interface SourceFacts {
  /** Of the file with what is in its log. */
  bytes: number;
  journalMode: string;
  libraryVersion: string;
  notes: string[];
}

export interface Pinned {
  /** ms */
  at: number;
  identity: Record<string, string | number>;
}

export interface Source {
  facts: SourceFacts;
  /** Begins to hold one moment of the file. @throws OpsError `locked` */
  pin(patience: Patience): Promise<Pinned>;
  /** Writes that moment to a file that is not there yet, and lets go of it. */
  copy(to: string, onSlice: (done: number, total: number) => void): Promise<void>;
  close(): void;
}

/**
 * Opens a file as it is: no journal mode is set, and nothing is written but what every reader of such a file writes beside it.
 * @throws OpsError `not_found`, `usage` for what is no file, `locked`, `integrity` for what is no database or damaged at first sight
 */
export async function openSource(path: string, patience: Patience): Promise<Source> {
  requireFile(path);
  const database = await patiently(path, patience, () => tryOpen(path));
  if (database === undefined) return plainSource(path);
  try {
    return databaseSource(path, database);
  } catch (error) {
    database.close();
    // a header that contradicts itself is no error of a class of its own
    throw error instanceof Database.SqliteError ? damaged(path, error.message) : error;
  }
}

/** A pipe would block for ever, a device is no database. */
function requireFile(path: string): void {
  let isFile: boolean;
  try {
    isFile = statSync(path).isFile();
    accessSync(path, constants.R_OK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const isMissing = code === "ENOENT" || code === "ENOTDIR";
    throw new OpsError({
      code: isMissing ? "not_found" : "failed",
      engine: "sqlite",
      message: isMissing
        ? `there is no SQLite file ${path}`
        : `SQLite file ${path} cannot be opened (${code})`,
      hint: "check the path and its permissions (OPSCTL_DB, OPSCTL_BACKUP_SQLITE)",
    });
  }
  if (!isFile) throw usageError(`${path} is no file`, "name a SQLite file (OPSCTL_DB, OPSCTL_BACKUP_SQLITE)");
}

/** Asks again while another process has the file for itself. @throws OpsError */
async function patiently<T>(path: string, { waitMs, isStopped }: Patience, attempt: () => T): Promise<T> {
  const deadline = performance.now() + waitMs;
  for (;;) {
    try {
      return attempt();
    } catch (error) {
      if (error instanceof Database.SqliteError && error.code.startsWith("SQLITE_CORRUPT"))
        throw damaged(path, error.message);
      if (!isBusy(error) || isStopped() || performance.now() > deadline) throw sqliteError(error, path);
      await delay(10 + Math.random() * 20);
    }
  }
}

/** @returns undefined when it can only be read as a plain file */
function tryOpen(path: string): Database.Database | undefined {
  try {
    return opened(path, false);
  } catch (error) {
    if (!isUnwritable(error)) throw error;
  }
  try {
    return opened(path, true);
  } catch (error) {
    if (isUnwritable(error) && !hasLog(path)) return undefined;
    throw error;
  }
}

/** As a writer, if possible: what a program that was killed left in a journal can only be rolled back by one. */
function opened(path: string, readonly: boolean): Database.Database {
  const database = new Database(path, { readonly, timeout: BUSY_SLICE_MS, fileMustExist: true });
  try {
    database.pragma("trusted_schema = OFF");
    // only a read shows whether the files beside it can be used
    database.pragma("schema_version");
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Whether something that belongs to the file is beside it: beside the file itself, whatever link leads to it. */
function hasLog(path: string): boolean {
  const file = realpathSync(path);
  return ["-wal", "-journal"].some(
    (end) => (statSync(`${file}${end}`, { throwIfNoEntry: false })?.size ?? 0) > 0,
  );
}

function libraryVersion(database: Database.Database): string {
  return database.prepare<[], string>("SELECT sqlite_version()").pluck().get()!;
}

function databaseSource(path: string, database: Database.Database): Source {
  const number = (name: string) => database.pragma(name, { simple: true }) as number;
  const journalMode = database.pragma("journal_mode", { simple: true }) as string;
  const bytes = Math.max(number("page_count") * number("page_size"), statSync(path).size);
  const notes =
    journalMode === "wal"
      ? []
      : [`journal mode ${journalMode}: programs that write to it wait while its pages are copied`];
  return {
    facts: { bytes, journalMode, libraryVersion: libraryVersion(database), notes },
    async pin(patience) {
      let at = 0;
      await patiently(path, patience, () => {
        // before it begins: a write that is acknowledged in between is not in it
        at = Date.now();
        if (!database.inTransaction) database.exec("BEGIN");
        database.prepare("SELECT count(*) FROM sqlite_schema").get();
      });
      const names = ["page_count", "page_size", "schema_version", "user_version", "application_id"];
      const numbers = Object.fromEntries(names.map((name) => [name, number(name)]));
      return { at, identity: { journal_mode: journalMode, ...numbers } };
    },
    async copy(to, onSlice) {
      try {
        // of an empty file the backup API makes one page
        if (number("page_count") === 0) await writeFile(to, "", { flag: "wx", mode: 0o600 });
        else await copyPages(database, to, onSlice);
      } catch (error) {
        throw sqliteError(error, path);
      } finally {
        database.close();
      }
    },
    close: () => database.close(),
  };
}

/**
 * A file in WAL mode needs one beside it even to be read. Where that cannot be made and there is none, no program can be writing, so the file is
 * all there is: it is copied as it lies there, and looked at before and after.
 */
function plainSource(path: string): Source {
  const look = () => {
    const { ino, size, mtimeNs } = statSync(path, { bigint: true });
    return `${ino} ${size} ${mtimeNs} ${hasLog(path)}`;
  };
  const memory = new Database(":memory:");
  const version = libraryVersion(memory);
  memory.close();
  const size = statSync(path).size;
  let before = "";
  return {
    facts: {
      bytes: size,
      journalMode: "wal",
      libraryVersion: version,
      notes: [
        `${dirname(path)} cannot be written, so no program writes to the file: copied as it lies there`,
      ],
    },
    async pin() {
      before = look();
      return { at: Date.now(), identity: { journal_mode: "wal", bytes: statSync(path).size } };
    },
    async copy(to, onSlice) {
      await copyFile(path, to, constants.COPYFILE_FICLONE).catch((error: unknown) => {
        throw sqliteError(error, path);
      });
      if (look() === before) return onSlice(size, size);
      throw new OpsError({
        code: "failed",
        engine: "sqlite",
        message: `SQLite file ${path} was changed while it was copied`,
        hint: `let this user write in ${dirname(path)}: then it is read with SQLite's own locks`,
      });
    },
    close() {},
  };
}
