/** What recall searches, against the records it is made of. */
import type Database from "better-sqlite3";
import { INDEX_VERSION } from "../../memory/analyze.ts";
import { oldTables, runState } from "./index-tables.ts";

export interface IndexCounts {
  visible: number;
  /** Visible records without an entry. */
  missing: number;
  /** Entries of records that are forgotten or gone. */
  surplus: number;
  /** What ranking believes. */
  documents: number;
  /** Visible records whose entry an older version made. */
  outdated: number;
  /** Of the oldest entry, as ranking believes. */
  version: number;
  /** Records in a new index that is being made, or was when its process ended; null: there is none. */
  rebuilt: number | null;
  /** Tables of a replaced index that are still there. */
  left: number;
}

const VISIBLE = "SELECT row_id FROM memori_metadata WHERE deleted_at IS NULL";
/** FTS5 keeps one row of sizes for each entry (https://sqlite.org/fts5.html#fts5_data_structures). */
const COUNTS = `(SELECT count(*) FROM (${VISIBLE})) AS visible,
  (SELECT count(*) FROM (${VISIBLE} EXCEPT SELECT id FROM memori_index_docsize)) AS missing,
  (SELECT count(*) FROM (SELECT id FROM memori_index_docsize EXCEPT ${VISIBLE})) AS surplus,
  (SELECT documents FROM memori_statistics) AS documents`;
const VERSIONS = `(SELECT count(*) FROM memori_metadata WHERE deleted_at IS NULL AND index_version < ${INDEX_VERSION}) AS outdated,
  (SELECT index_version FROM memori_statistics) AS version`;

/** Undefined: the file holds no records of opsctl. */
export function indexCounts(database: Database.Database): IndexCounts | undefined {
  const columns = database
    .prepare<[], string>("SELECT name FROM pragma_table_info('memori_statistics')")
    .pluck()
    .all();
  if (columns.length === 0) return undefined;
  // before entries had versions, all were of the first
  const versions = columns.includes("index_version") ? VERSIONS : "0 AS outdated, 1 AS version";
  const counts = database
    .prepare<[], Omit<IndexCounts, "rebuilt" | "left">>(`SELECT ${COUNTS}, ${versions}`)
    .get()!;
  return {
    ...counts,
    outdated: columns.includes("index_version") ? counts.outdated : counts.visible,
    rebuilt: runState(database)?.documents ?? null,
    left: oldTables(database).length,
  };
}

/** Whether the index is that of the records. */
export function fitsRecords({ visible, missing, surplus, documents }: IndexCounts): boolean {
  return missing === 0 && surplus === 0 && documents === visible;
}

/** Whether entries wait to be made by this version. */
export function isOutdated({ version, outdated, visible }: IndexCounts): boolean {
  return outdated > 0 || (visible > 0 && version < INDEX_VERSION);
}

/** Whether a newer opsctl made the index: this one leaves it alone. */
export function isNewer({ version }: IndexCounts): boolean {
  return version > INDEX_VERSION;
}

/** Whether a process that makes the index anew works on it, or ended before its work did. */
export function isUnfinished({ rebuilt, left }: IndexCounts): boolean {
  return rebuilt !== null || left > 0;
}
