/** The table `opsctl_migrations`. */
import pg from "pg";
import { OpsError } from "../../errors.ts";
import type { Direction, HistoryRow, HistoryState } from "../../migrate/port.ts";
import { sqlState } from "./errors.ts";
import type { Row } from "./session.ts";

/** Asks the server for rows: over a connection of its own, or over the one that holds the lock. */
export type Ask = <R extends object = Row>(text: string, params?: readonly unknown[]) => Promise<R[]>;

const TABLE = `CREATE TABLE IF NOT EXISTS opsctl_migrations (
  set_name        text COLLATE "C" NOT NULL,
  version         text COLLATE "C" NOT NULL,
  seq             bigint NOT NULL,
  file            text NOT NULL,
  description     text NOT NULL,
  checksum        text NOT NULL,
  state           text NOT NULL CHECK (state IN ('running', 'applied', 'failed', 'reverted')),
  statement_index integer NOT NULL,
  applied_by      text NOT NULL,
  applied_at      bigint NOT NULL,
  duration_ms     bigint NOT NULL,
  tool_version    text NOT NULL,
  PRIMARY KEY (set_name, version)
)`;

const COLUMNS: readonly (keyof HistoryRow)[] = [
  "set_name",
  "version",
  "seq",
  "file",
  "description",
  "checksum",
  "state",
  "statement_index",
  "applied_by",
  "applied_at",
  "duration_ms",
  "tool_version",
];
const LIST = COLUMNS.join(", ");
const ASSIGNMENTS = COLUMNS.map((column) => `${column} = excluded.${column}`).join(", ");

/** A row to write; how long it took may be the server's to say. */
export type Written = Omit<HistoryRow, "duration_ms"> & { duration_ms: number | { sql: string } };

/** Milliseconds since the transaction began. */
export const SINCE_BEGIN = {
  sql: "(extract(epoch FROM clock_timestamp() - transaction_timestamp()) * 1000)::bigint",
};

/** States that a script finds when nobody else works on its version. */
const EXPECTED: Readonly<Record<Direction, readonly HistoryState[]>> = {
  up: ["reverted", "failed", "running"],
  down: ["applied", "failed", "running"],
};

/**
 * One round trip where there is a history, and nothing but the right to read it is needed; no table and no database are no history.
 */
export async function readHistory(ask: Ask): Promise<HistoryRow[]> {
  try {
    return await ask<HistoryRow>(`SELECT ${LIST} FROM opsctl_migrations ORDER BY set_name, seq`);
  } catch (error) {
    if (["42P01", "3D000"].includes(sqlState(error) ?? "")) return [];
    throw error;
  }
}

/** The table's name with its schema, whatever a file does to search_path later; it is created when it is missing. */
export async function ensureHistory(ask: Ask): Promise<string> {
  const known = await locate(ask);
  if (known !== undefined) return known;
  try {
    await ask(TABLE);
  } catch (error) {
    // two that create a table at once: IF NOT EXISTS does not see what is not committed yet, and one gets 23505, 42P07 or 42710 (its row type)
    if (!["23505", "42P07", "42710"].includes(sqlState(error) ?? "")) throw error;
  }
  return (await locate(ask))!;
}

async function locate(ask: Ask): Promise<string | undefined> {
  const rows = await ask<{ name: string }>(
    `SELECT format('%I.%I', n.nspname, c.relname) AS name
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass('opsctl_migrations')`,
  );
  return rows[0]?.name;
}

/** Writes rows as they are, all or none. */
export async function writeRows(ask: Ask, table: string, rows: readonly HistoryRow[]): Promise<void> {
  await ask(upsert(table, rows));
}

/**
 * The statement that stores how far a script is, unless somebody else has recorded its version meanwhile: then it returns no row.
 * @param row values of columns as they are, or as SQL
 */
export function guardedWrite(table: string, direction: Direction, row: Written): string {
  const expected = EXPECTED[direction].map((state) => `'${state}'`).join(", ");
  const isOurs = `t.state IN (${expected}) RETURNING 1 AS written`;
  if (direction === "up") return `${upsert(table, [row])} WHERE ${isOurs}`;
  const assignments = COLUMNS.map((column) => `${column} = ${literal(row[column])}`).join(", ");
  return (
    `UPDATE ${table} AS t SET ${assignments} WHERE t.set_name = ${literal(row.set_name)} ` +
    `AND t.version = ${literal(row.version)} AND ${isOurs}`
  );
}

/**
 * The same, as a statement that fails with division by zero instead: what is sent behind it does not run.
 * @param condition SQL that must be true, too
 */
export function strictWrite(table: string, direction: Direction, row: Written, condition: string): string {
  const write = guardedWrite(table, direction, row);
  return `WITH written AS (${write}) SELECT 1 / pg_catalog.count(*) FROM written WHERE ${condition}`;
}

function upsert(table: string, rows: readonly Written[]): string {
  const values = rows.map((row) => `(${COLUMNS.map((column) => literal(row[column])).join(", ")})`);
  return `INSERT INTO ${table} AS t (${LIST}) VALUES ${values.join(", ")} ON CONFLICT (set_name, version) DO UPDATE SET ${ASSIGNMENTS}`;
}

function literal(value: string | number | { sql: string }): string {
  if (typeof value === "object") return value.sql;
  return typeof value === "number" ? String(value) : pg.escapeLiteral(value);
}

/** Whether a write failed because the table or its schema is not there any more. */
export function historyGone(error: unknown): boolean {
  return ["42P01", "3F000"].includes(sqlState(error) ?? "");
}

/** The error of a guarded write that has found somebody else's row. */
export function recordedByOthers({ version, file }: Pick<HistoryRow, "version" | "file">): OpsError {
  return new OpsError({
    code: "locked",
    engine: "postgres",
    message: `${file}: somebody else has recorded ${version} in the history meanwhile, so this run did not`,
    hint: "opsctl migrate status",
  });
}
