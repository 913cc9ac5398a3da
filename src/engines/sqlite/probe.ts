import { statSync } from "node:fs";
import type Database from "better-sqlite3";
import { OpsError } from "../../errors.ts";
import type { Probe } from "../../health/port.ts";
import { type SqliteConnection, withLock } from "./connect.ts";
import { sqliteError } from "./errors.ts";

/** Checking 32 MiB takes a tenth of a second; a larger file is left to a deeper check than a probe. */
export const CHECKED_BYTES = 32 * 1024 * 1024;
/** A writer that holds the file longer is worth a word. */
const SELF_TEST_WAIT_MS = 2_000;

/** Asks the file, not only the library: a small one is checked page by page, of a larger one the schema is read. */
export function sqliteProbe(connection: SqliteConnection): Probe {
  return {
    async selfTest(call) {
      const waitMs = Math.min(SELF_TEST_WAIT_MS, call.remainingMs() / 2);
      await withLock(call, connection.path, () => writeAndReadBack(connection), waitMs);
    },
    async probe() {
      return connection.read((database) => {
        const startedAt = performance.now();
        const { version } = database
          .prepare<[], { version: string }>("SELECT sqlite_version() AS version, count(*) FROM sqlite_schema")
          .get()!;
        const latency_ms = performance.now() - startedAt;
        if (statSync(connection.path).size <= CHECKED_BYTES) check(database, connection.path);
        return { version, latency_ms };
      });
    },
  };
}

function check(database: Database.Database, path: string): void {
  const result = database.pragma("quick_check(1)", { simple: true });
  if (result === "ok") return;
  throw new OpsError({
    code: "integrity",
    engine: "sqlite",
    message: `SQLite file ${path} is damaged`,
    hint: "restore it from a backup, or try `sqlite3 FILE .recover`",
  });
}

/**
 * A table with a row, read back, deleted and rolled back: nobody ever sees it. What was rolled back never left the memory, so the transaction then
 * writes the file's own number over itself and commits: that reaches the disk, through the log, and changes nothing.
 */
function writeAndReadBack(connection: SqliteConnection): void {
  let step = "opening it";
  const value = `opsctl:health:${process.pid}:${performance.now()}`;
  const work = (database: Database.Database) => {
    step = "making a table";
    database.exec("SAVEPOINT self_test; CREATE TABLE main.opsctl_self_test (value TEXT NOT NULL)");
    step = "writing a row";
    database.prepare("INSERT INTO main.opsctl_self_test VALUES (?)").run(value);
    step = "reading it back";
    const read = database.prepare<[], string>("SELECT value FROM main.opsctl_self_test").pluck().all();
    if (read.length !== 1 || read[0] !== value) throw new Error("what came back is not what was written");
    step = "deleting it";
    const { changes } = database.prepare("DELETE FROM main.opsctl_self_test WHERE value = ?").run(value);
    if (changes !== 1) throw new Error(`${changes} rows were deleted instead of one`);
    database.exec("ROLLBACK TO self_test; RELEASE self_test");
    step = "committing";
    const version = database.pragma("main.user_version", { simple: true }) as number;
    database.pragma(`main.user_version = ${version}`);
  };
  try {
    const database = connection.database();
    step = "taking the write lock";
    database.transaction(() => work(database)).immediate();
  } catch (error) {
    throw failedAt(step, error, connection.path);
  }
}

/** Whoever waits for the lock sees the driver's own error. */
function failedAt(step: string, error: unknown, path: string): unknown {
  const known = sqliteError(error, path);
  if (known.code === "locked") return error;
  const { code, message, hint, engine } = known;
  return new OpsError({
    code,
    message: `self-test, ${step}: ${message}`,
    ...(hint === undefined ? {} : { hint }),
    ...(engine === undefined ? {} : { engine }),
    cause: error,
  });
}
