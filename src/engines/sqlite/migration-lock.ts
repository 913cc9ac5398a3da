/**
 * One runner at a time for a file, across processes: the holder has the write lock of a small SQLite file beside the database. The
 * kernel takes it away when the process ends, however it ends, so it cannot be stale; others can still read who holds it.
 */
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  openSync,
  realpathSync,
  rmSync,
  statSync,
} from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import Database from "better-sqlite3";
import { type Call, throwIfAborted } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import { isBusy, sqliteError } from "./errors.ts";

const POLL_MS = { first: 10, last: 200 };
/** Shorter waits are not worth a line. */
const QUIET_MS = 1_000;
const REPORT_MS = 10_000;

export interface FileLock {
  /** @throws OpsError `locked` when the lock's file was taken away, so that somebody else may work now */
  assertHeld(): void;
}

interface Holder {
  token: string;
  pid: number;
  actor: string;
  /** ms */
  since: number;
}

/**
 * Runs `work` while this process holds the lock of the database file `path`.
 * @throws OpsError `locked` when another process holds it for longer than `waitMs`
 */
export async function withFileLock<T>(
  call: Call,
  path: string,
  waitMs: number,
  work: (lock: FileLock) => Promise<T>,
): Promise<T> {
  // by whatever link a runner comes, the lock is beside the file itself
  const lockPath = `${existsSync(path) ? realpathSync(path) : path}-opsctl-lock`;
  const token = `${process.pid}-${Date.now()}-${Math.random()}`;
  const held = await waitFor(call, path, lockPath, token, waitMs);
  // while this process has the file open, no other gets its number
  const inode = inodeOf(lockPath);
  const isHeld = () => inode !== undefined && inodeOf(lockPath) === inode;
  try {
    return await work({
      assertHeld() {
        if (!isHeld()) throw lostLock(path, lockPath);
      },
    });
  } finally {
    // while it is held: whoever has opened the removed file finds that out by reading it by its name
    if (isHeld()) rmSync(lockPath, { force: true });
    held.close();
  }
}

function inodeOf(path: string): bigint | undefined {
  return statSync(path, { throwIfNoEntry: false, bigint: true })?.ino;
}

async function waitFor(
  call: Call,
  path: string,
  lockPath: string,
  token: string,
  waitMs: number,
): Promise<Database.Database> {
  const startedAt = performance.now();
  const deadline = startedAt + Math.min(waitMs, call.remainingMs());
  let reportAt = startedAt + QUIET_MS;
  for (let pause = POLL_MS.first; ; pause = Math.min(pause * 2, POLL_MS.last)) {
    throwIfAborted(call);
    const held = attempt(call, path, lockPath, token);
    if (held) return held;
    const now = performance.now();
    if (now + pause > deadline) throw lockedError(path, readHolder(lockPath));
    if (now >= reportAt) {
      reportAt = now + REPORT_MS;
      const who = describe(readHolder(lockPath));
      call.log(
        "WARNING",
        `waiting: another migration runs on the SQLite file ${path}, ${who} holds the lock`,
      );
    }
    await delay(pause * (0.5 + Math.random()), undefined, { signal: call.signal }).catch(() => {});
  }
}

/**
 * Takes the lock, or returns undefined. The name of the holder must be committed to be readable, and the lock held without a commit, so it
 * takes two transactions; who comes in between has written its own name and goes on, and this one tries again.
 */
function attempt(call: Call, path: string, lockPath: string, token: string): Database.Database | undefined {
  let database: Database.Database | undefined;
  try {
    createLockFile(path, lockPath);
    database = new Database(lockPath, { timeout: 0, fileMustExist: true });
    // its content is worth nothing after the process: no journal file, no flush
    database.pragma("journal_mode = MEMORY");
    database.pragma("synchronous = OFF");
    database.exec("BEGIN IMMEDIATE");
    const me = { token, pid: process.pid, actor: call.actor, since: Date.now() };
    database.exec(`DROP VIEW IF EXISTS holder; ${holderView(me)}; COMMIT`);
    database.exec("BEGIN IMMEDIATE");
    if (readHolder(lockPath)?.token === token) return database;
  } catch (error) {
    // the holder may have removed the file between its creation and its opening here
    const isRemoved = (error as { code?: string }).code === "SQLITE_CANTOPEN" && isOpenable(lockPath);
    if (!isBusy(error) && !isRemoved) {
      database?.close();
      throw lockError(error, lockPath);
    }
  }
  database?.close();
  return undefined;
}

/** Readable and writable for whoever may use the database. */
function createLockFile(path: string, lockPath: string): void {
  if (existsSync(lockPath)) return;
  try {
    const file = openSync(lockPath, "wx", 0o600);
    fchmodSync(file, (statSync(path, { throwIfNoEntry: false })?.mode ?? 0o600) & 0o666);
    closeSync(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}

/** Whether the lock's file could be opened now, or made anew. */
function isOpenable(lockPath: string): boolean {
  try {
    accessSync(lockPath, constants.R_OK | constants.W_OK);
    return statSync(lockPath).isFile();
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT";
  }
}

/** A view is stored in the first page: it is written by one call, and no kill can leave half of it. */
function holderView({ token, pid, actor, since }: Holder): string {
  const text = actor.replaceAll("'", "''").replaceAll("\0", "");
  return `CREATE VIEW holder AS SELECT '${token}' AS token, ${pid} AS pid, '${text}' AS actor, ${since} AS since`;
}

/** Who holds the lock at this path, or did last; undefined: nobody, or it is being written. */
function readHolder(lockPath: string): Holder | undefined {
  let database: Database.Database | undefined;
  try {
    database = new Database(lockPath, { timeout: 100, readonly: true });
    return database.prepare<[], Holder>("SELECT * FROM holder").get();
  } catch {
    return undefined;
  } finally {
    database?.close();
  }
}

function describe(holder: Holder | undefined): string {
  if (!holder) return "another process";
  const seconds = Math.max(0, Math.round((Date.now() - holder.since) / 1000));
  return `process ${holder.pid} (${holder.actor}, for ${seconds} s)`;
}

function lockedError(path: string, holder: Holder | undefined): OpsError {
  return new OpsError({
    code: "locked",
    engine: "sqlite",
    message: `another migration runs on the SQLite file ${path}: ${describe(holder)} holds the lock`,
    hint: holder
      ? `wait for it (--lock-wait), or end it when it hangs: kill -9 ${holder.pid}; what it had not finished is rolled back`
      : "run the command again",
  });
}

function lostLock(path: string, lockPath: string): OpsError {
  return new OpsError({
    code: "locked",
    engine: "sqlite",
    message: `the lock of the migration on the SQLite file ${path} is gone: ${lockPath} was removed or replaced meanwhile`,
    hint: "leave that file alone while a migration runs; run the command again, it goes on where this one stopped",
  });
}

function lockError(error: unknown, lockPath: string): OpsError {
  const { code } = error as { code?: string };
  if (code === "SQLITE_NOTADB" || code === "SQLITE_CORRUPT") {
    return new OpsError({
      code: "failed",
      engine: "sqlite",
      message: `${lockPath}, the lock of migrations, holds something else`,
      hint: "remove it when no migration runs",
      cause: error,
    });
  }
  if (code?.startsWith("SQLITE")) return sqliteError(error, lockPath);
  return new OpsError({
    code: "failed",
    engine: "sqlite",
    message: `${lockPath}, the lock of migrations, cannot be made (${code ?? "unknown error"})`,
    hint: "make the database's folder writable: SQLite itself needs that, too",
    cause: error,
  });
}
