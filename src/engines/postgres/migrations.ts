import type { Call } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { HistoryRow, Migration, MigrationTarget } from "../../migrate/port.ts";
import type { PostgresConnection } from "./connect.ts";
import { prepareDatabase } from "./database.ts";
import { sqlState, statementProblem } from "./errors.ts";
import { prepareExtensions, unavailableReason } from "./extensions.ts";
import { type MigrationLock, withMigrationLock } from "./migration-lock.ts";
import { splitSql } from "./split.ts";
import { countSet } from "./verify.ts";

const HISTORY_TABLE = `CREATE TABLE IF NOT EXISTS opsctl_migrations (
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

/**
 * How long a file may run whose call has no deadline: building indexes on what is there already takes its
 * time.
 */
const MAX_FILE_MS = 3_600_000;

type NewRow = Parameters<MigrationTarget["apply"]>[2];

export function postgresMigrations(connection: PostgresConnection): MigrationTarget {
  let held: MigrationLock | undefined;
  return {
    engine: "postgres",
    history: (call) => readHistory(connection, call),
    async prepare(call, sets, dryRun) {
      const changes = await prepareDatabase(connection, call, dryRun);
      changes.push(...(await prepareExtensions(connection, call, sets, dryRun)));
      if (!dryRun) await createHistory(connection, call);
      return changes;
    },
    exclusively: (call, work) =>
      withMigrationLock(connection, call, async (lock) => {
        held = lock;
        try {
          return await work();
        } finally {
          held = undefined;
        }
      }),
    unavailable: (call, set) => unavailableReason(connection, call, set),
    async apply(call, migration, row) {
      await held?.assertHeld();
      await applyFile(connection, call, migration, row);
    },
    statements: splitSql,
    verify: (call, set) => countSet(connection, call, set),
  };
}

/**
 * The table is looked for first, so that a user who may only read can ask, and a missing database has no
 * history.
 */
async function readHistory(connection: PostgresConnection, call: Call): Promise<HistoryRow[]> {
  try {
    const rows = await connection.query<{ exists: boolean }>(
      call,
      "SELECT to_regclass('opsctl_migrations') IS NOT NULL AS exists",
    );
    if (!rows[0]!.exists) return [];
    return await connection.query<HistoryRow>(call, "SELECT * FROM opsctl_migrations ORDER BY set_name, seq");
  } catch (error) {
    if (sqlState(error) === "3D000") return [];
    throw error;
  }
}

/**
 * Two that create a table at once: IF NOT EXISTS does not see what is not committed yet, and one gets 23505,
 * 42P07 or 42710 (the table's row type).
 */
async function createHistory(connection: PostgresConnection, call: Call): Promise<void> {
  const rows = await connection.query<{ exists: boolean }>(
    call,
    "SELECT to_regclass('opsctl_migrations') IS NOT NULL AS exists",
  );
  if (rows[0]!.exists) return;
  try {
    await connection.query(call, HISTORY_TABLE);
  } catch (error) {
    if (!["23505", "42P07", "42710"].includes(sqlState(error) ?? "")) throw error;
  }
}

/**
 * File and history row, all or nothing. The connection ends afterwards: a file's SET must not reach later
 * queries.
 */
async function applyFile(
  connection: PostgresConnection,
  call: Call,
  migration: Migration,
  row: NewRow,
): Promise<void> {
  const session = await connection.lend(call);
  const startedAt = performance.now();
  let isCommitting = false;
  try {
    const limitMs = Math.ceil(Math.min(call.remainingMs(), MAX_FILE_MS));
    await session.query(`BEGIN; SET LOCAL statement_timeout = ${limitMs}; SET LOCAL lock_timeout = '10s'`);
    // a file may change search_path
    const tables = await session.query<{ schema: string }>(
      `SELECT quote_ident(n.nspname) AS schema FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE c.oid = to_regclass('opsctl_migrations')`,
    );
    await session.query(migration.text, undefined, limitMs);
    await session.query(insertRow(`${tables[0]!.schema}.opsctl_migrations`), [
      ...rowValues(row),
      Math.round(performance.now() - startedAt),
    ]);
    isCommitting = true;
    await session.query("COMMIT");
  } catch (error) {
    if (isCommitting) throw connection.explain(error, "commit");
    throw fileError(connection, migration, error);
  } finally {
    session.release(true);
  }
}

function rowValues(row: NewRow): unknown[] {
  return [
    row.set_name,
    row.version,
    row.seq,
    row.file,
    row.description,
    row.checksum,
    row.applied_by,
    row.applied_at,
    row.tool_version,
  ];
}

/** A version that failed or was reverted has a row already. */
function insertRow(table: string): string {
  return `INSERT INTO ${table} (set_name, version, seq, file, description, checksum, applied_by, applied_at,
      tool_version, duration_ms, state, statement_index)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'applied', 0)
    ON CONFLICT (set_name, version) DO UPDATE SET seq = excluded.seq, file = excluded.file,
      description = excluded.description, checksum = excluded.checksum, applied_by = excluded.applied_by,
      applied_at = excluded.applied_at, tool_version = excluded.tool_version,
      duration_ms = excluded.duration_ms, state = 'applied', statement_index = 0`;
}

/** Names file and line of what the server refused; other failures stay what they are. */
function fileError(connection: PostgresConnection, migration: Migration, error: unknown): OpsError {
  const state = sqlState(error);
  const known = connection.explain(error);
  if (state === undefined || known.code !== "failed") return known;
  const failed = error as { message: string; position?: string; table?: string; constraint?: string };
  const line =
    failed.position && ` line ${migration.text.slice(0, Number(failed.position)).split("\n").length}`;
  const problem = statementProblem(state, failed, state.startsWith("42"));
  return new OpsError({
    code: "failed",
    engine: "postgres",
    message: `${migration.set}/${migration.file}${line ?? ""}: ${problem}`,
    hint: "nothing of the file was kept; correct what it names and run the command again",
  });
}
