/** A file that is in use, as a restore finds it and as it leaves it. Runs in the thread of `backup-worker.ts`, so it may block. */

import { basename } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import Database from "better-sqlite3";
import { OpsError } from "../../errors.ts";
import { flush } from "../../publish.ts";
import { examine, examined, type Found } from "./backup-check.ts";
import type { Patience } from "./backup-source.ts";
import { copyPages } from "./copy.ts";
import { isBusy, isUnwritable, sqliteError } from "./errors.ts";
import { BUSY_SLICE_MS } from "./open.ts";

export interface Look extends Found {
  /** Of its pages, with those that are still in its log. */
  bytes: number;
  pageSize: number;
  journalMode: string;
}

/** How a copy went into a file. */
export interface Replaced {
  /** From its first page to its commit: nobody else could write, and with a rollback journal nobody could read. ms */
  lockedMs: number;
  journalMode: string;
  /** Bytes that readers of the old content hold in its log. */
  logBytes: number;
}

/** Where other connections may keep a file as it is for some time. */
const CHECKPOINT_MS = 1_000;

/**
 * What a live file holds, as of one moment. Writes nothing but what every reader of such a file does.
 * @param isDeep whether every page is checked
 * @throws OpsError `integrity` for a damaged file, `locked` when another process has it for itself
 */
export async function lookAt(path: string, isDeep: boolean, patience: Patience): Promise<Look> {
  return patiently(path, patience, () =>
    examined(path, () => {
      const database = openLive(path);
      try {
        database.exec("BEGIN");
        const number = (name: string) => database.pragma(name, { simple: true }) as number;
        const pageSize = number("page_size");
        return {
          ...examine(database, path, isDeep),
          bytes: number("page_count") * pageSize,
          pageSize,
          journalMode: database.pragma("journal_mode", { simple: true }) as string,
        };
      } finally {
        database.close();
      }
    }),
  );
}

/** As a writer, if possible: one that only reads leaves the files of the log behind, and cannot roll a journal back. */
function openLive(path: string): Database.Database {
  const options = { timeout: BUSY_SLICE_MS, fileMustExist: true };
  try {
    const database = new Database(path, options);
    database.pragma("schema_version");
    return database;
  } catch (error) {
    if (!isUnwritable(error)) throw error;
    return new Database(path, { ...options, readonly: true });
  }
}

/**
 * Makes the content of `from` that of `to`, in one transaction of SQLite's own: other programs may have `to` open, see the old content until
 * the commit, and the new one from then on. A process that is killed in it leaves the old content.
 * @param from is not changed
 * @param to a file that is there; an empty one is as good as any
 * @throws OpsError `locked` when others keep it longer than `patience`, and then its content is as it was; what `onSlice` throws
 */
export async function replaceContent(
  from: string,
  to: string,
  patience: Patience,
  onSlice: (done: number, total: number) => void,
): Promise<Replaced> {
  const { pageSize, journalMode } = await patiently(to, patience, () => settingsOf(to));
  const source = examined(basename(from), () => openStaged(from, pageSize));
  let isReplaced = false;
  try {
    const sourcePageSize = source.pragma("page_size", { simple: true }) as number;
    const changesPages = journalMode === "wal" && sourcePageSize !== pageSize;
    // SQLite cannot change the size of pages while there is a log
    if (changesPages) await patiently(to, patience, () => setJournalMode(to, "delete"));
    const lockedMs = await copyInto(source, to, patience, onSlice);
    isReplaced = true;
    if (changesPages) await patiently(to, patience, () => setJournalMode(to, "wal"));
    return { lockedMs, ...(await settle(to)) };
  } catch (error) {
    const known = sqliteError(error, to);
    if (!isReplaced || known.code !== "locked") throw known;
    const message = `SQLite file ${to} was replaced, and then locked by another process before its journal was in order`;
    throw new OpsError({ code: "failed", engine: "sqlite", message, hint: known.hint!, cause: error });
  } finally {
    source.close();
  }
}

function settingsOf(path: string): { pageSize: number; journalMode: string } {
  return withDatabase(path, (database) => ({
    // of an empty file it is that of the next first page
    pageSize: database.pragma("page_size", { simple: true }) as number,
    journalMode: database.pragma("journal_mode", { simple: true }) as string,
  }));
}

function withDatabase<T>(path: string, work: (database: Database.Database) => T): T {
  const database = new Database(path, { timeout: BUSY_SLICE_MS, fileMustExist: true });
  try {
    return work(database);
  } finally {
    database.close();
  }
}

/** @throws the driver's SQLITE_BUSY while any other connection is open */
function setJournalMode(path: string, mode: "wal" | "delete"): void {
  withDatabase(path, (database) => database.pragma(`journal_mode = ${mode}`));
}

/**
 * The file to copy from, in a read transaction. Of an empty one a database with nothing in it but its first page stands for it: the driver tells
 * "nothing to copy" and "not begun" by the same numbers.
 */
function openStaged(path: string, pageSize: number): Database.Database {
  const database = new Database(path, { readonly: true, fileMustExist: true });
  database.pragma("trusted_schema = OFF");
  database.exec("BEGIN");
  if ((database.pragma("page_count", { simple: true }) as number) > 0) {
    database.prepare("SELECT count(*) FROM sqlite_schema").get();
    return database;
  }
  database.close();
  const empty = new Database(":memory:");
  empty.pragma(`page_size = ${pageSize}`);
  empty.exec("CREATE TABLE t (a); DROP TABLE t; VACUUM");
  return empty;
}

/** @returns for how long the file was locked, ms */
async function copyInto(
  source: Database.Database,
  to: string,
  patience: Patience,
  onSlice: (done: number, total: number) => void,
): Promise<number> {
  const deadline = performance.now() + patience.waitMs;
  for (;;) {
    if (patience.isStopped()) throw new OpsError({ code: "failed", message: "the copy was stopped" });
    const startedAt = performance.now();
    const copied = await copyPages(source, to, onSlice);
    // the driver reports a file that it could not lock like one that is done, without a page of it
    if (copied > 0) return Math.round(performance.now() - startedAt);
    if (performance.now() > deadline) throw lockedError(to);
    await pause();
  }
}

function lockedError(path: string): OpsError {
  return new OpsError({
    code: "locked",
    engine: "sqlite",
    message: `SQLite file ${path} is locked by another process; nothing of it was changed`,
    hint: "stop the programs that have it open, and try again",
  });
}

const pause = () => delay(5 + Math.random() * 15);

/** Asks again while another process has the file for itself. @throws OpsError */
async function patiently<T>(path: string, { waitMs, isStopped }: Patience, attempt: () => T): Promise<T> {
  const deadline = performance.now() + waitMs;
  for (;;) {
    try {
      return attempt();
    } catch (error) {
      const isLocked = isBusy(error) || (error instanceof OpsError && error.code === "locked");
      if (!isLocked) throw sqliteError(error, path);
      if (isStopped() || performance.now() > deadline) throw lockedError(path);
      await pause();
    }
  }
}

/** Puts what is in the log into the file, as far as readers let it, and all of it on the disk. */
async function settle(path: string): Promise<{ journalMode: string; logBytes: number }> {
  const settled = withDatabase(path, (database) => {
    const journalMode = database.pragma("journal_mode", { simple: true }) as string;
    if (journalMode !== "wal") return { journalMode, logBytes: 0 };
    const pageSize = database.pragma("page_size", { simple: true }) as number;
    database.pragma("synchronous = FULL");
    database.pragma(`busy_timeout = ${CHECKPOINT_MS}`);
    const [{ busy, log }] = database.pragma("wal_checkpoint(TRUNCATE)") as [{ busy: number; log: number }];
    return { journalMode, logBytes: busy === 0 ? 0 : log * pageSize };
  });
  // never the file itself: a process that closes it by other means gives up its locks (https://sqlite.org/howtocorrupt.html, 2.2)
  if (settled.logBytes > 0) await flush(`${path}-wal`);
  return settled;
}
