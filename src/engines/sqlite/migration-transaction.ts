/** Statements and transactions of a script, waiting for the locks of other processes. */
import type Database from "better-sqlite3";
import type { Call } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { Statement, Step } from "../../migrate/port.ts";
import { withLock } from "./connect.ts";
import { isBusy } from "./errors.ts";
import { namedFileError, statementError } from "./migration-errors.ts";

/** One script on a connection for scripts. */
export interface Running {
  call: Call;
  step: Step;
  path: string;
  database: Database.Database;
  /** The script's (`unitsOf`). */
  units: readonly Statement[];
}

/** @throws OpsError; the driver's own when another process holds a lock */
export function execute({ step, path, database }: Running, statement: Statement, note: string): void {
  try {
    database.exec(statement.text);
  } catch (error) {
    if (isBusy(error)) throw error;
    throw statementError(database, path, step, statement, error, note);
  }
}

/** Waits for the locks of other processes as long as the step allows. */
export async function waiting({ call, step, path }: Running, attempt: () => unknown): Promise<void> {
  const { lockTimeoutMs } = step.limits;
  try {
    await withLock(call, path, attempt, lockTimeoutMs);
  } catch (error) {
    if (!(error instanceof OpsError) || error.code !== "locked") throw error;
    throw new OpsError({
      code: "locked",
      engine: "sqlite",
      message: `${step.script.file}: ${error.message} and stayed so for ${lockTimeoutMs / 1000} s`,
      hint: "run the command again when the other process is done, or raise --lock-timeout",
      cause: error.cause,
    });
  }
}

function control(running: Running, sql: "BEGIN IMMEDIATE" | "COMMIT"): Promise<void> {
  const { step, path, database } = running;
  return waiting(running, () => {
    try {
      database.exec(sql);
    } catch (error) {
      if (isBusy(error)) throw error;
      throw namedFileError(path, step, error) ?? error;
    }
  });
}

/**
 * Runs `work` in a transaction that holds the write lock from its start. In a file without a write-ahead log, readers can hold up the
 * commit, too.
 */
export async function inTransaction(running: Running, work: () => Promise<void>): Promise<void> {
  const { database } = running;
  await control(running, "BEGIN IMMEDIATE");
  try {
    await work();
    await control(running, "COMMIT");
  } finally {
    // SQLite itself rolls back when the disk is full
    if (database.inTransaction) database.exec("ROLLBACK");
  }
}
