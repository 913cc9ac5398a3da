/** What a file holds: its schema, and what other migration tools recorded in it. */
import type Database from "better-sqlite3";
import type { Format, PeerHistory } from "../../migrate/port.ts";
import { ownedNames } from "../../migrate/sets.ts";

/** At most this many names of what is in the way. */
const OCCUPANTS = 5;

/** Tables and views that neither opsctl nor its shipped sets made; not those behind a virtual table. */
export function readOccupants(database: Database.Database): string[] {
  return database
    .prepare<[string, number], string>(
      `SELECT name FROM pragma_table_list
       WHERE schema = 'main' AND type <> 'shadow' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
         AND name NOT LIKE 'opsctl\\_%' ESCAPE '\\' AND name NOT IN (SELECT value FROM json_each(?))
       ORDER BY name LIMIT ?`,
    )
    .pluck()
    .all(JSON.stringify(ownedNames("sqlite")), OCCUPANTS);
}

/**
 * The schema as SQL: tables, indexes, views, triggers, each by name, as SQLite keeps them. Without opsctl's own tables, and without what SQLite
 * makes by itself: for a virtual table, for constraints and statistics.
 */
export function dumpSchema(database: Database.Database): string {
  return database
    .prepare<[], string>(
      `SELECT sql FROM main.sqlite_schema
       WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND tbl_name NOT LIKE 'opsctl\\_%' ESCAPE '\\'
         AND tbl_name NOT IN (SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'shadow')
       ORDER BY CASE type WHEN 'table' THEN 1 WHEN 'index' THEN 2 WHEN 'view' THEN 3 ELSE 4 END, name`,
    )
    .pluck()
    .all()
    .map((sql) => `${sql};\n`)
    .join("\n");
}

interface PeerTable {
  table: string;
  /** Columns that tell it from the table of that name of another tool. */
  has: readonly string[];
  hasNot: readonly string[];
}

/** As the tools create them: golang-migrate database/sqlite3/sqlite3.go, dbmate pkg/driver/sqlite/sqlite.go, diesel migrations_harness. */
const PEERS: Readonly<Partial<Record<Format, PeerTable>>> = {
  "golang-migrate": { table: "schema_migrations", has: ["version", "dirty"], hasNot: [] },
  dbmate: { table: "schema_migrations", has: ["version"], hasNot: ["dirty"] },
  diesel: { table: "__diesel_schema_migrations", has: ["version", "run_on"], hasNot: [] },
};

/** History that another tool keeps in the file; null: its table is not there, or is another tool's. */
export function readPeerHistory(database: Database.Database, format: Format): PeerHistory | null {
  const peer = PEERS[format];
  if (!peer) return null;
  const { table, has, hasNot } = peer;
  const columns = database
    .prepare<[string], string>("SELECT lower(name) FROM pragma_table_info(?, 'main')")
    .pluck()
    .all(table);
  if (!has.every((name) => columns.includes(name)) || hasNot.some((name) => columns.includes(name)))
    return null;
  const lastOnly = columns.includes("dirty");
  // as text: golang-migrate's number may be larger than a number of JavaScript
  const rows = database
    .prepare<[], { version: string; dirty: number }>(
      `SELECT CAST(version AS TEXT) AS version, ${lastOnly ? "dirty" : "0 AS dirty"} FROM main.${table} ORDER BY 1`,
    )
    .all();
  return {
    table,
    versions: rows.map(({ version }) => version),
    lastOnly,
    dirty: rows.some(({ dirty }) => Boolean(dirty)),
  };
}
