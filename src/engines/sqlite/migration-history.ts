/** The table `opsctl_migrations`. It is named with its schema: a script may have a temporary table of that name. */
import type Database from "better-sqlite3";
import { OpsError } from "../../errors.ts";
import type { HistoryRow, Step } from "../../migrate/port.ts";
import { messageOf } from "./errors.ts";

export const HISTORY_TABLE = `CREATE TABLE IF NOT EXISTS opsctl_migrations (
  set_name        TEXT NOT NULL,
  version         TEXT NOT NULL,
  seq             INTEGER NOT NULL,
  file            TEXT NOT NULL,
  description     TEXT NOT NULL,
  checksum        TEXT NOT NULL,
  state           TEXT NOT NULL CHECK (state IN ('running', 'applied', 'failed', 'reverted')),
  statement_index INTEGER NOT NULL,
  applied_by      TEXT NOT NULL,
  applied_at      INTEGER NOT NULL,
  duration_ms     INTEGER NOT NULL,
  tool_version    TEXT NOT NULL,
  PRIMARY KEY (set_name, version)
)`;

export function readHistory(database: Database.Database): HistoryRow[] {
  const table = database
    .prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'opsctl_migrations'")
    .get();
  if (!table) return [];
  return database
    .prepare<[], HistoryRow>("SELECT * FROM main.opsctl_migrations ORDER BY set_name, seq")
    .all();
}

export function writeRow(database: Database.Database, row: HistoryRow): void {
  database
    .prepare(
      `INSERT OR REPLACE INTO main.opsctl_migrations (set_name, version, seq, file, description, checksum, state, statement_index,
         applied_by, applied_at, duration_ms, tool_version)
       VALUES (@set_name, @version, @seq, @file, @description, @checksum, @state, @statement_index,
         @applied_by, @applied_at, @duration_ms, @tool_version)`,
    )
    .run(row);
}

/**
 * Writes the row of a script that runs in the same transaction.
 * @throws OpsError `failed` when the script has made that impossible
 */
export function recordStep(database: Database.Database, { script }: Step, row: HistoryRow): void {
  try {
    writeRow(database, row);
  } catch (error) {
    if (!/opsctl_migrations|readonly database/.test(messageOf(error))) throw error;
    throw new OpsError({
      code: "failed",
      engine: "sqlite",
      message: `${script.file} cannot be recorded in opsctl_migrations (${messageOf(error)}); what should be recorded was not kept`,
      hint: "the table is opsctl's own: a file must leave it as it is, and the file writable",
      cause: error,
    });
  }
}

/**
 * Makes sure that the row of the version still says what it said when the run was planned; whoever works past the lock is stopped here. Inside the
 * transaction that changes the row.
 * @param done statements of the script that are recorded as done
 * @throws OpsError `locked`
 */
export function refuseTaken(
  database: Database.Database,
  { row: { set_name, version }, direction, script }: Step,
  done: number,
): void {
  const row = database
    .prepare<[string, string], Pick<HistoryRow, "state" | "statement_index" | "applied_by">>(
      "SELECT state, statement_index, applied_by FROM main.opsctl_migrations WHERE set_name = ? AND version = ?",
    )
    .get(set_name, version);
  const state = row?.state ?? "reverted";
  const isBroken = state === "running" || state === "failed";
  const untouched = direction === "up" ? "reverted" : "applied";
  if (isBroken ? row!.statement_index === done : state === untouched && done === 0) return;
  throw new OpsError({
    code: "locked",
    engine: "sqlite",
    message: `${script.file} was not run: ${version} is now "${row?.state ?? "pending"}"${row ? `, by ${row.applied_by}` : ""}; somebody else migrates this file`,
    hint: "run the command again: it goes on from what is there",
  });
}
