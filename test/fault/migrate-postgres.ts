import pg from "pg";
import { type Sandbox, until } from "../support/cli.ts";
import { postgresDatabase, type TestDatabase } from "../support/servers.ts";
import { NO_TRANSACTION, row, sqlFiles } from "./migrate-sql-files.ts";
import { countMarks, type Marked, type MarkedFile, type Subject, writeFiles } from "./migrate-subject.ts";

const POSTGRES_FILES: readonly MarkedFile[] = sqlFiles((number, version) => {
  if (number % 10 === 0) return copying(version);
  const [first, second] = [`i_${version.toLowerCase()}_a`, `i_${version.toLowerCase()}_b`];
  return {
    header: NO_TRANSACTION,
    up: [
      row(`${version} first`),
      index(first),
      row(`${version} middle`),
      index(second),
      row(`${version} last`),
    ],
    down: [
      row(`${version} down`),
      { text: `DROP INDEX CONCURRENTLY IF EXISTS ${first};`, removes: first, partial: `invalid ${first}` },
      { text: `DROP INDEX CONCURRENTLY IF EXISTS ${second};`, removes: second, partial: `invalid ${second}` },
    ],
  };
});

function index(name: string): Marked {
  return {
    text: `CREATE INDEX CONCURRENTLY ${name} ON ledger (mark);`,
    adds: name,
    partial: `invalid ${name}`,
  };
}

function copying(version: string): Omit<MarkedFile, "version"> {
  const mark = `${version} copied; COMMIT`;
  return {
    up: [row(`${version} first`), { text: `COPY ledger (mark) FROM stdin;\n${mark}\n\\.`, adds: mark }],
    down: [row(`${version} down`)],
  };
}

/** Rows of the ledger, tables, and indexes; an index that CREATE INDEX CONCURRENTLY left behind is `invalid NAME`. */
const MARKS = `
  SELECT relname AS mark FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname !~ '^opsctl_'
  UNION ALL
  SELECT CASE WHEN indisvalid THEN '' ELSE 'invalid ' END || relname
    FROM pg_index JOIN pg_class ON oid = indexrelid WHERE relname ~ '^i_'`;

/** A fresh database on the server of the test run, or on another. */
export async function postgresSubject(box: Sandbox, database?: TestDatabase): Promise<Subject> {
  writeFiles(box, "postgres", POSTGRES_FILES);
  const { url, drop } = database ?? (await postgresDatabase());
  return {
    engine: "postgres",
    files: POSTGRES_FILES,
    env: { DATABASE_URL: url },
    target: ["postgres", "--dir", "migrations/postgres"],
    drop,
    async marks() {
      const found = await ask<{ mark: string }>(url, MARKS);
      const hasLedger = found.some(({ mark }) => mark === "ledger");
      const rows = hasLedger ? await ask<{ mark: string }>(url, "SELECT mark FROM ledger") : [];
      return countMarks([...found, ...rows].map(({ mark }) => mark));
    },
    async settle() {
      await until("the killed client's sessions are gone", async () => {
        const others = `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`;
        return (await ask(url, others)).length === 0;
      });
    },
  };
}

async function ask<Row extends pg.QueryResultRow>(url: string, sql: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  client.on("error", () => {});
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
}
