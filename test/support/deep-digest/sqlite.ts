import Database from "better-sqlite3";
import type { DeepDigest } from "../deep-digest.ts";
import { digestOf, hashOf, Multiset } from "./multiset.ts";

/** What a file says of itself and keeps. Its journal mode is a matter of who uses it. */
const PRAGMAS = ["user_version", "application_id", "encoding", "page_size", "auto_vacuum"];

interface Column {
  name: string;
  /** 1: of a virtual table only. */
  hidden: bigint;
}

/** Of a file, read in one transaction: what is in its -wal counts. */
export function sqliteDigest(path: string): DeepDigest {
  const database = new Database(path, { readonly: true, fileMustExist: true });
  try {
    database.defaultSafeIntegers();
    database.exec("BEGIN");
    const schema = database.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema").all() as {
      type: string;
      name: string;
      sql: string | null;
    }[];
    const digests: Record<string, string> = { schema: digestOf(schema.map((row) => JSON.stringify(row))) };
    for (const pragma of PRAGMAS) digests[pragma] = String(database.pragma(pragma, { simple: true }));
    const tables = schema.filter(
      // the tables behind a virtual table hold its content
      ({ type, sql }) => type === "table" && !/^CREATE VIRTUAL/i.test(sql ?? ""),
    );
    for (const { name } of tables) digests[`rows ${name}`] = rowsDigest(database, name);
    return digests;
  } finally {
    database.close();
  }
}

function rowsDigest(database: Database.Database, table: string): string {
  const columns = (database.pragma(`table_xinfo(${quoted(table)})`) as Column[])
    .filter(({ hidden }) => hidden !== 1n)
    .map(({ name }) => name);
  // text byte by byte, whether it is valid in its encoding or not
  const read = columns
    .map(quoted)
    .map((c) => `typeof(${c}), iif(typeof(${c}) = 'text', CAST(${c} AS BLOB), ${c})`);
  const rowid = rowidOf(database, table, columns);
  const values = [...(rowid ? ["''", rowid] : []), ...read].join(", ");
  const multiset = new Multiset();
  const statement = database.prepare(`SELECT ${values} FROM ${quoted(table)} NOT INDEXED`).raw();
  for (const row of statement.iterate() as Iterable<unknown[]>)
    multiset.add(hashOf(...row.map((value) => (Buffer.isBuffer(value) ? value : String(value)))));
  return String(multiset);
}

/** The name by which a table's rows can be told apart; undefined: it has no rowid, or no name for it. */
function rowidOf(database: Database.Database, table: string, columns: readonly string[]): string | undefined {
  const taken = columns.map((name) => name.toLowerCase());
  const name = ["rowid", "_rowid_", "oid"].find((candidate) => !taken.includes(candidate));
  const isThere = database
    .prepare("SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?")
    .pluck()
    .get(table);
  return isThere === 0n ? name : undefined;
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
