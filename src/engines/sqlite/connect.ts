import { closeSync, existsSync, mkdirSync, openSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import Database from "better-sqlite3";
import { type Call, throwIfAborted } from "../../call.ts";
import type { Target } from "../../config/targets.ts";
import { OpsError, usageError } from "../../errors.ts";
import type { Connection } from "../engine.ts";
import { isBusy, sqliteError } from "./errors.ts";

/** A file for nobody but this process: the overlay of queued writes. */
export const IN_MEMORY = ":memory:";

/** SQLite blocks the event loop while it waits, so it waits briefly and the loop below goes on asking. */
const BUSY_SLICE_MS = 100;
/** How long a write waits for its turn when the call has no deadline. */
const LOCK_WAIT_MS = 60_000;

export interface SqliteConnection extends Connection {
  readonly path: string;
  /** Opens on first use; creates the file (mode 0600) and its folder (0700) when missing. */
  database(): Database.Database;
  /**
   * Runs `work` in a transaction that holds the write lock from its start (a deferred one that upgrades fails at once with
   * SQLITE_BUSY_SNAPSHOT, better-sqlite3 #1067). Waits for other writers until the call's deadline.
   */
  write<T>(call: Call, work: (database: Database.Database) => T): Promise<T>;
  /** Runs a read; errors become OpsErrors. */
  read<T>(work: (database: Database.Database) => T): T;
}

export async function connectSqlite(target: Target): Promise<SqliteConnection> {
  return sqliteConnection(target.url);
}

export function sqliteConnection(path: string): SqliteConnection {
  let opened: Database.Database | undefined;
  const database = () => {
    opened ??= openFile(path);
    return opened;
  };
  return {
    path,
    database,
    read(work) {
      try {
        return work(database());
      } catch (error) {
        throw sqliteError(error, path);
      }
    },
    write: (call, work) => withLock(call, path, () => database().transaction(work).immediate(database())),
    async close() {
      opened?.close();
      opened = undefined;
    },
  };
}

/** Retries `attempt` while another process holds the lock. */
export async function withLock<T>(call: Call, path: string, attempt: () => T): Promise<T> {
  const startedAt = performance.now();
  for (;;) {
    throwIfAborted(call);
    try {
      return attempt();
    } catch (error) {
      const waited = performance.now() - startedAt;
      if (!isBusy(error) || waited > LOCK_WAIT_MS) throw sqliteError(error, path);
      await delay(2 + Math.random() * 18);
    }
  }
}

function openFile(path: string): Database.Database {
  if (path === IN_MEMORY) return new Database(path);
  createFile(path);
  let database: Database.Database | undefined;
  try {
    database = new Database(path, { timeout: BUSY_SLICE_MS });
    // FULL: a commit that was reported survives a power cut; the driver's default in WAL mode is NORMAL
    database.pragma("synchronous = FULL");
    database.pragma("foreign_keys = ON");
    database.pragma("cell_size_check = ON");
    database.pragma("trusted_schema = OFF");
    if (database.pragma("journal_mode", { simple: true }) !== "wal") setWal(database);
    return database;
  } catch (error) {
    database?.close();
    throw sqliteError(error, path);
  }
}

/** Several processes may meet on a new file: changing the journal mode needs it alone, and the others find it changed. */
function setWal(database: Database.Database): void {
  database.pragma("busy_timeout = 10000");
  database.pragma("journal_mode = WAL");
  database.pragma(`busy_timeout = ${BUSY_SLICE_MS}`);
}

function createFile(path: string): void {
  let isDirectory = false;
  try {
    isDirectory = statSync(path).isDirectory();
    if (!isDirectory) return;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw cannotOpen(path, error);
  }
  if (isDirectory)
    throw usageError(`${path} is a directory`, "set OPSCTL_DB (OPSCTL_STATE for the state file) to a file");
  try {
    makeFolder(dirname(path));
    closeSync(openSync(path, "a", 0o600));
  } catch (error) {
    throw cannotOpen(path, error);
  }
}

/**
 * Makes a folder and its parents, mode 0700. Not mkdir's own recursive mode: that never returns where a parent says that it does not exist
 * however often it is made, as below /proc.
 */
function makeFolder(path: string): void {
  if (existsSync(path)) return;
  const parent = dirname(path);
  if (parent !== path) makeFolder(parent);
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    // another process was faster
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}

function cannotOpen(path: string, error: unknown): OpsError {
  return new OpsError({
    code: "failed",
    engine: "sqlite",
    message: `SQLite file ${path} cannot be opened (${(error as NodeJS.ErrnoException).code ?? "unknown error"})`,
    hint: "check the path and its permissions, or set OPSCTL_DB (OPSCTL_STATE for the state file)",
    cause: error,
  });
}
