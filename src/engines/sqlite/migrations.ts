import type { Call } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { Change, HistoryRow, Migration, MigrationTarget } from "../../migrate/port.ts";
import { type SqliteConnection, withLock } from "./connect.ts";
import { splitSql } from "./split.ts";

const HISTORY_TABLE = `CREATE TABLE IF NOT EXISTS opsctl_migrations (
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

export function sqliteMigrations(connection: SqliteConnection): MigrationTarget {
  return {
    engine: "sqlite",

    async history() {
      return connection.read((database) => {
        const table = database
          .prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'opsctl_migrations'")
          .get();
        if (!table) return [];
        return database
          .prepare<[], HistoryRow>("SELECT * FROM opsctl_migrations ORDER BY set_name, seq")
          .all();
      });
    },

    async prepare(call): Promise<Change[]> {
      await withLock(call, connection.path, () => connection.database().exec(HISTORY_TABLE));
      return [];
    },

    async unavailable() {
      return null;
    },

    async exclusively(call, work) {
      const database = connection.database();
      await withLock(call, connection.path, () => database.exec("BEGIN IMMEDIATE"));
      try {
        const result = await work();
        database.exec("COMMIT");
        return result;
      } finally {
        if (database.inTransaction) database.exec("ROLLBACK");
      }
    },

    async apply(_call: Call, migration: Migration, row) {
      const startedAt = performance.now();
      connection.read((database) => {
        run(database, migration, connection.path);
        database
          .prepare(
            `INSERT INTO opsctl_migrations VALUES (@set_name, @version, @seq, @file, @description, @checksum,
               'applied', 0, @applied_by, @applied_at, @duration_ms, @tool_version)`,
          )
          .run({ ...row, duration_ms: Math.round(performance.now() - startedAt) });
      });
    },

    statements: splitSql,

    async verify(_call, set) {
      return connection.read((database) => database.prepare(COUNTS[set]!).get() as Record<string, number>);
    },
  };
}

/** Runs a file; its errors are about the schema that is there. */
function run(
  database: ReturnType<SqliteConnection["database"]>,
  { set, file, text }: Migration,
  path: string,
): void {
  try {
    database.exec(text);
  } catch (error) {
    if (!/^(no such column|table .* has|there is already)/.test((error as Error).message)) throw error;
    throw new OpsError({
      code: "failed",
      engine: "sqlite",
      message: `SQLite file ${path}: ${set}/${file} cannot be applied: ${(error as Error).message}`,
      hint: "tables of these names that opsctl did not make are in the way; name another file by OPSCTL_DB",
      cause: error,
    });
  }
}

/** What `verify` counts, by set. */
const COUNTS: Readonly<Record<string, string>> = {
  memory: `SELECT (SELECT documents FROM memori_statistics) AS records, (SELECT count(*) FROM memori_events) AS events,
     (SELECT count(*) FROM memori_agents) AS agents, (SELECT count(*) FROM memori_terms) AS terms,
     (SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND name LIKE 'memori_%') AS indexes`,
  state: "SELECT count(*) AS queued FROM opsctl_journal_targets",
};
