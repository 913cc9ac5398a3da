/** One process at a time, by the write lock of a small SQLite file: the kernel takes it away when the process ends, however it ends. */
import { closeSync, existsSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import Database from "better-sqlite3";
import type { RunLock } from "../../backup/port.ts";
import { OpsError } from "../../errors.ts";
import { isBusy } from "./errors.ts";

interface Holder {
  pid: number;
  /** `user@host`. */
  who: string;
  /** RFC 3339 UTC. */
  since: string;
}

/**
 * Takes the lock at once, or not at all. The file stays when the lock is given back: removing it would let two in, one with the old file and one
 * with a new one. Nobody else may open the file by other means: a process that closes it gives up all locks that it has on it
 * (https://sqlite.org/howtocorrupt.html, 2.2).
 * @param path in a folder that is there; beside it is `<path>.holder`, which says who has it
 * @param who `user@host`
 * @throws OpsError `locked` naming who has it, `failed` when the file cannot be made
 */
export async function acquireLock(path: string, who: string): Promise<RunLock> {
  let database: Database.Database | undefined;
  try {
    create(path);
    database = new Database(path, { timeout: 0, fileMustExist: true });
    // nothing is ever written to it: no journal file beside it
    database.pragma("journal_mode = MEMORY");
    database.exec("BEGIN IMMEDIATE");
    noteHolder(path, { pid: process.pid, who, since: new Date().toISOString() });
  } catch (error) {
    database?.close();
    throw isBusy(error) ? lockedError(path) : unusable(path, error);
  }
  const held = database;
  return {
    async release() {
      if (!held.open) return;
      // first: afterwards it may be somebody else's
      rmSync(holderPath(path), { force: true });
      held.close();
    },
  };
}

const holderPath = (path: string) => `${path}.holder`;

/** What is written here is read by others when they wonder; only the holder writes it. A full disk must not keep away who cleans it up. */
function noteHolder(path: string, holder: Holder): void {
  try {
    writeFileSync(holderPath(path), `${JSON.stringify(holder)}\n`, { mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
  }
}

/** Readable by its owner only. */
function create(path: string): void {
  if (existsSync(path)) return;
  try {
    closeSync(openSync(path, "wx", 0o600));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}

function lockedError(path: string): OpsError {
  const holder = readHolder(path);
  return new OpsError({
    code: "locked",
    message: `another run works here: ${holder ? `process ${holder.pid} (${holder.who}, since ${holder.since})` : "a process"} holds the lock ${path}`,
    hint: holder
      ? `wait for it, or end it when it hangs: kill -9 ${holder.pid} on ${holder.who.split("@").at(-1)}; the next run removes what it leaves (of a restore: opsctl restore --resume or --abort)`
      : "run the command again",
  });
}

/** Undefined: it is being written, or is no such text. */
function readHolder(path: string): Holder | undefined {
  try {
    const { pid, who, since } = JSON.parse(readFileSync(holderPath(path), "utf8")) as Holder;
    return { pid: Number(pid), who: String(who), since: String(since) };
  } catch {
    return undefined;
  }
}

function unusable(path: string, error: unknown): OpsError {
  const code = String((error as { code?: unknown }).code ?? "unknown error");
  const isOther = code === "SQLITE_NOTADB" || code === "SQLITE_CORRUPT";
  return new OpsError({
    code: "failed",
    message: isOther
      ? `${path}, the lock, holds something else`
      : `the lock ${path} cannot be taken (${code})`,
    hint: isOther
      ? "remove it while no opsctl runs"
      : "make the folder writable for this user, or name another folder",
    cause: error,
  });
}
