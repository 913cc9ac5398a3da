import { statSync } from "node:fs";
import type Database from "better-sqlite3";
import type { Statistics, StatisticsOptions, StatsOf } from "../../health/port.ts";
import type { SqliteConnection } from "./connect.ts";
import { messageOf } from "./errors.ts";
import { fileFacts, sizeOf } from "./file-facts.ts";

type SqliteStats = StatsOf["sqlite"];
type TableStats = SqliteStats["tables"][number];

/** The rows of all tables of a file up to this size are counted: it is read in a fraction of a second. */
const SMALL_BYTES = 256 * 1024 * 1024;
/** In a larger file a table is counted up to here. */
const MAX_COUNTED = 1_000_000;
/** Counting ends here, ms: SQLite blocks the program meanwhile. */
const BUDGET_MS = 1_000;

/** Figures of one SQLite file, all of one moment. */
export function sqliteStatistics(connection: SqliteConnection): Statistics<SqliteStats> {
  return {
    async read(_call, options) {
      return connection.read((database) =>
        database.transaction(() => readAll(connection, database, options))(),
      );
    },
  };
}

function readAll(
  { path }: SqliteConnection,
  database: Database.Database,
  { top }: StatisticsOptions,
): SqliteStats {
  const facts = fileFacts(database);
  const unknown: SqliteStats["unknown"] = [];
  const tables = countTables(database, sizeOf(path) <= SMALL_BYTES, unknown);
  return {
    path,
    version: database.prepare<[], string>("SELECT sqlite_version()").pluck().get()!,
    size_bytes: statSync(path).size,
    growth: null,
    wal_bytes: sizeOf(`${path}-wal`),
    journal_mode: facts.journalMode,
    page_size: facts.pageSize,
    pages: facts.pages,
    free_pages: facts.freePages,
    free_bytes: facts.freePages * facts.pageSize,
    table_count: tables.length,
    tables: tables
      .sort((a, b) => (b.rows ?? Number.POSITIVE_INFINITY) - (a.rows ?? Number.POSITIVE_INFINITY) || 0)
      .slice(0, top),
    unknown,
  };
}

function countTables(
  database: Database.Database,
  isSmall: boolean,
  unknown: SqliteStats["unknown"],
): TableStats[] {
  const deadline = performance.now() + BUDGET_MS;
  const estimates = readEstimates(database);
  let late = 0;
  const tables = tablesOf(database).map((name): TableStats => {
    const isLate = performance.now() > deadline;
    if (isLate) late += 1;
    const counted = isLate ? null : count(database, name, isSmall, unknown);
    const rows = counted ?? estimates.get(name) ?? null;
    return { name, rows, estimated: counted === null && rows !== null, growth: null };
  });
  if (late > 0) {
    unknown.push({
      what: `rows of ${late} tables`,
      reason: `counting the others took ${BUDGET_MS} ms`,
      hint: "opsctl maintain sqlite gathers statistics that estimate them",
    });
  }
  return tables;
}

/** Null: more than is counted, or it cannot be read. */
function count(
  database: Database.Database,
  name: string,
  isSmall: boolean,
  unknown: SqliteStats["unknown"],
): number | null {
  const table = `main."${name.replaceAll('"', '""')}"`;
  const limited = `(SELECT 1 FROM ${table} LIMIT ${MAX_COUNTED + 1})`;
  try {
    const rows = database
      .prepare<[], number>(`SELECT count(*) FROM ${isSmall ? table : limited}`)
      .pluck()
      .get()!;
    return isSmall || rows <= MAX_COUNTED ? rows : null;
  } catch (error) {
    // a module or a function that only the program of the table has
    unknown.push({ what: `rows of ${name}`, reason: messageOf(error), hint: null });
    return null;
  }
}

/** Tables as a person made them: not what SQLite and virtual tables keep for themselves. */
function tablesOf(database: Database.Database): string[] {
  return database
    .prepare<[], string>(
      `SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'virtual')
         AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name`,
    )
    .pluck()
    .all();
}

/** Rows as ANALYZE last saw them: the first number of a table's statistics (https://sqlite.org/fileformat2.html#the_sqlite_stat1_table). */
function readEstimates(database: Database.Database): Map<string, number> {
  const isThere = database.prepare("SELECT 1 FROM main.sqlite_schema WHERE name = 'sqlite_stat1'").get();
  if (!isThere) return new Map();
  const rows = database
    .prepare<[], { tbl: string; rows: number }>(
      "SELECT tbl, max(CAST(stat AS INTEGER)) AS rows FROM main.sqlite_stat1 WHERE stat IS NOT NULL GROUP BY tbl",
    )
    .all();
  return new Map(rows.map(({ tbl, rows: estimate }) => [tbl, estimate]));
}
