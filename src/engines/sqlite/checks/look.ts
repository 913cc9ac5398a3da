/** What several checks of SQLite files need. */
import { type Call, createCall } from "../../../call.ts";
import { toOpsError } from "../../../errors.ts";
import type { Check } from "../../../health/doctor/check.ts";
import { Unknowable } from "../../../health/doctor/check.ts";
import type { EngineScope } from "../../../health/doctor/scope.ts";
import type { SqliteConnection } from "../connect.ts";
import { sizeOf } from "../file-facts.ts";
import { CHECKED_BYTES } from "../probe.ts";
import { runInProcess } from "../query-run.ts";

export type SqliteScope = EngineScope<SqliteConnection>;
export type SqliteCheck = Check<SqliteScope>;

/** Time for a statement that reads all of a large file, ms: less than a check has. */
const LARGE_MS = 8_000;
/** Rows of a finding's list, at most. */
const ROWS = 100;

/** The files of a database that are there: itself, its log and what goes with it. */
export function filesOf(path: string): string[] {
  return ["", "-wal", "-shm", "-journal"].map((suffix) => `${path}${suffix}`);
}

/**
 * Reads all of a file: a small one at once, a large one in a process that can be stopped.
 * @returns the first 100 rows
 * @throws Unknowable when it takes too long
 */
export async function readThrough(call: Call, scope: SqliteScope, statement: string): Promise<unknown[][]> {
  const { connection } = scope;
  if (sizeOf(connection.path) <= CHECKED_BYTES) {
    return connection.read((database) => {
      const rows: unknown[][] = [];
      for (const row of database.prepare<[], unknown[]>(statement).raw().iterate()) {
        if (rows.push(row) === ROWS) break;
      }
      return rows;
    });
  }
  const { actor, signal, log, progress } = call;
  const limited = createCall({
    actor,
    signal,
    log,
    progress,
    timeoutMs: Math.min(LARGE_MS, call.remainingMs()),
  });
  try {
    const options = { write: false, explain: false, limit: ROWS };
    return (await runInProcess(limited, connection.path, statement, options)).rows;
  } catch (error) {
    if (!limited.signal.aborted || call.signal.aborted) throw toOpsError(error);
    throw new Unknowable(
      `${connection.path} is too large to be read in ${LARGE_MS / 1000} s`,
      `OPSCTL_QUERY_TIMEOUT=1h opsctl query sqlite "${statement}"`,
    );
  }
}

/** Text of a query or a finding, on one line of at most 120 characters. */
export function short(text: string): string {
  const line = text.replaceAll(/\s+/g, " ").trim();
  return line.length <= 120 ? line : `${line.slice(0, 119)}…`;
}

/** A name as SQLite takes it. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A statement through opsctl, on the data file. */
export const write = (statement: string) => ["opsctl", "query", "sqlite", statement, "--write"];
export const MAINTAIN = ["opsctl", "maintain", "sqlite", "--yes"];
