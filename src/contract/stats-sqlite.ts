import * as v from "valibot";
import { count, text } from "./common.ts";
import { amount, growth, unknown } from "./stats-common.ts";

/** Figures of one SQLite file. */
export const sqliteStats = v.strictObject({
  path: text,
  version: text,
  /** Of the file alone. */
  size_bytes: count,
  growth,
  wal_bytes: count,
  journal_mode: text,
  page_size: count,
  pages: count,
  free_pages: count,
  free_bytes: count,
  /** As backups count them: with virtual tables, without what these and SQLite keep for themselves. */
  table_count: count,
  /** Most rows first, at most `--top`; null: too large to count in bounded time. */
  tables: v.array(
    v.strictObject({
      name: text,
      rows: amount,
      /** Rows are those of the last ANALYZE, because it is too large to count. */
      estimated: v.boolean(),
      growth,
    }),
  ),
  unknown,
});

export type SqliteStats = v.InferOutput<typeof sqliteStats>;
