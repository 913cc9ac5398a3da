/** Records as the upkeep of the index reads them. */
import type Database from "better-sqlite3";
import { prepare } from "../../memory/analyze.ts";
import type { MemoryRecord, Prepared } from "../../memory/model.ts";

/** Before the first record. */
export const FIRST_ROW = Number.MIN_SAFE_INTEGER;

export interface PreparedRow {
  row: number;
  prepared: Prepared;
}

/**
 * Reads and prepares the visible records that fulfil `condition`, in the order of their rows. No lock is held: they may be forgotten before
 * they are indexed.
 */
export function rowReader(
  database: Database.Database,
  condition: string,
): (params: (number | string)[], limit: number) => PreparedRow[] {
  const statement = database.prepare<
    unknown[],
    Pick<MemoryRecord, "key" | "content" | "details"> & { row: number }
  >(
    `SELECT row_id AS row, key, content, details FROM memori_metadata
     WHERE deleted_at IS NULL AND ${condition} ORDER BY row_id LIMIT ?`,
  );
  return (params, limit) =>
    statement.all(...params, limit).map((record) => ({ row: record.row, prepared: prepare(record) }));
}
