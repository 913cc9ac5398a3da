/** What recall searches, against the records it is made of; and making it anew from them. */
import { setImmediate as turn } from "node:timers/promises";
import type Database from "better-sqlite3";
import { type Call, throwIfAborted } from "../../call.ts";
import { prepare } from "../../memory/analyze.ts";
import type { MemoryRecord } from "../../memory/model.ts";
import { sqliteConnection, withLock } from "./connect.ts";
import { sqliteError } from "./errors.ts";
import { SqliteWriter } from "./memory-write.ts";
import type { FilePlace } from "./open.ts";

/** Records between two looks at the deadline. */
const AT_ONCE = 100;

export interface IndexCounts {
  visible: number;
  /** Visible records without an entry. */
  missing: number;
  /** Entries of records that are forgotten or gone. */
  surplus: number;
  /** What ranking believes. */
  documents: number;
}

const VISIBLE = "SELECT row_id FROM memori_metadata WHERE deleted_at IS NULL";
/** FTS5 keeps one row of sizes for each entry (https://sqlite.org/fts5.html#fts5_data_structures). */
const COUNTS = `SELECT (SELECT count(*) FROM (${VISIBLE})) AS visible,
  (SELECT count(*) FROM (${VISIBLE} EXCEPT SELECT id FROM memori_index_docsize)) AS missing,
  (SELECT count(*) FROM (SELECT id FROM memori_index_docsize EXCEPT ${VISIBLE})) AS surplus,
  (SELECT documents FROM memori_statistics) AS documents`;

/** Undefined: the file holds no records of opsctl. */
export function indexCounts(database: Database.Database): IndexCounts | undefined {
  const isThere = database.prepare("SELECT 1 FROM main.sqlite_schema WHERE name = 'memori_statistics'").get();
  return isThere ? database.prepare<[], IndexCounts>(COUNTS).get() : undefined;
}

/** Whether the index is that of the records. */
export function fitsRecords({ visible, missing, surplus, documents }: IndexCounts): boolean {
  return missing === 0 && surplus === 0 && documents === visible;
}

/**
 * Makes entries, document frequencies and sums anew from the visible records, and with them what the records themselves keep of their text.
 * Records, events, agents and tombstones stay. One transaction: ended in between, the file is as it was.
 * @returns how many records were indexed
 * @throws OpsError
 */
export async function rebuildIndex(call: Call, { path, foreign }: FilePlace): Promise<number> {
  // an own connection: its transaction is open while others wait for their turn
  const own = sqliteConnection(path, foreign);
  try {
    const database = own.database();
    await withLock(call, path, () => database.exec("BEGIN IMMEDIATE"));
    const indexed = await indexAll(call, database);
    await withLock(call, path, () => database.exec("COMMIT"));
    return indexed;
  } catch (error) {
    throw sqliteError(error, path);
  } finally {
    // what was not committed is taken back
    await own.close();
  }
}

async function indexAll(call: Call, database: Database.Database): Promise<number> {
  empty(database);
  const writer = new SqliteWriter(database);
  const next = database.prepare<
    [number],
    Pick<MemoryRecord, "key" | "content" | "details"> & { row: number }
  >(
    `SELECT row_id AS row, key, content, details FROM memori_metadata
     WHERE deleted_at IS NULL AND row_id > ? ORDER BY row_id LIMIT ${AT_ONCE}`,
  );
  let indexed = 0;
  for (let last = Number.MIN_SAFE_INTEGER; ; ) {
    const records = next.all(last);
    for (const record of records) writer.index(record.row, prepare(record));
    indexed += records.length;
    if (records.length < AT_ONCE) break;
    last = records.at(-1)!.row;
    await turn();
    throwIfAborted(call);
  }
  writer.endIndexing();
  return indexed;
}

/** A table that is dropped need not be readable, as one whose rows are deleted must. */
function empty(database: Database.Database): void {
  const sql = database
    .prepare<[], string>("SELECT sql FROM main.sqlite_schema WHERE name = 'memori_index'")
    .pluck()
    .get()!;
  database.exec(
    `DROP TABLE memori_index; ${sql}; DELETE FROM memori_terms;
     UPDATE memori_statistics SET documents = 0, title_length = 0, body_length = 0`,
  );
}
