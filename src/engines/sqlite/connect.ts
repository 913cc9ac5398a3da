import { setTimeout as delay } from "node:timers/promises";
import type Database from "better-sqlite3";
import { type Call, throwIfAborted } from "../../call.ts";
import type { Target } from "../../config/targets.ts";
import type { Connection } from "../engine.ts";
import { isBusy, sqliteError } from "./errors.ts";
import { type FilePlace, openForeign, openOwn } from "./open.ts";

export { IN_MEMORY } from "./open.ts";

/** How long a write waits for its turn when the call has no deadline. */
const LOCK_WAIT_MS = 60_000;

export interface SqliteConnection extends Connection, FilePlace {
  /**
   * Opens on first use. opsctl's own file is created when missing; one of another program is not, and stays in its journal mode. Where
   * nothing may be written, it can still be read.
   */
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
  return sqliteConnection(target.url, target.foreign);
}

/** @param foreign `Target.foreign` */
export function sqliteConnection(path: string, foreign = false): SqliteConnection {
  const place: FilePlace = { path, foreign };
  let opened: Database.Database | undefined;
  const database = () => {
    opened ??= foreign ? openForeign(place) : openOwn(place);
    return opened;
  };
  const close = () => {
    opened?.close();
    opened = undefined;
  };
  return {
    ...place,
    database,
    read(work) {
      try {
        return work(database());
      } catch (error) {
        throw sqliteError(error, path);
      }
    },
    write: (call, work) =>
      withLock(call, path, () => {
        // there may be room by now, or the right to write
        if (opened?.readonly) close();
        return database().transaction(work).immediate(database());
      }),
    close: async () => close(),
  };
}

/** Retries `attempt` while another process holds the lock, at most `waitMs`. */
export async function withLock<T>(
  call: Call,
  path: string,
  attempt: () => T,
  waitMs = LOCK_WAIT_MS,
): Promise<T> {
  const startedAt = performance.now();
  for (;;) {
    throwIfAborted(call);
    try {
      return attempt();
    } catch (error) {
      const waited = performance.now() - startedAt;
      if (!isBusy(error) || waited > waitMs) throw sqliteError(error, path);
      await delay(2 + Math.random() * 18);
    }
  }
}
