import * as v from "valibot";
import { count, nullableText, rate, text, time } from "./common.ts";
import { amount, growth, unknown } from "./stats-common.ts";

/** Figures of one PostgreSQL database and its server. */
export const postgresStats = v.strictObject({
  database: text,
  version: text,
  size_bytes: amount,
  growth,
  /** All databases of the server that the user may connect to. */
  databases: v.array(v.strictObject({ name: text, size_bytes: amount })),
  table_count: count,
  /** Largest first, at most `--top`. */
  tables: v.array(
    v.strictObject({
      schema: text,
      name: text,
      /** An estimate of the statistics, not a count. Of a partitioned table 0: its rows are those of its partitions, which are tables here, too. */
      rows: count,
      dead_rows: count,
      /** With indexes and TOAST. */
      size_bytes: count,
      index_bytes: count,
      /** Estimated to be empty, of the table alone; null: never analyzed, or too small to say. */
      bloat_bytes: amount,
      seq_scans: count,
      index_scans: count,
      last_vacuum: v.nullable(time),
      last_analyze: v.nullable(time),
      growth,
    }),
  ),
  index_count: count,
  indexes_bytes: amount,
  /** Largest first, at most `--top`. */
  indexes: v.array(
    v.strictObject({
      schema: text,
      table: text,
      name: text,
      size_bytes: count,
      scans: count,
      valid: v.boolean(),
      unique: v.boolean(),
    }),
  ),
  connections: v.strictObject({
    used: count,
    max: count,
    /** Kept for superusers. */
    reserved: count,
    active: amount,
    idle: amount,
    idle_in_transaction: amount,
    /** Sessions that wait for a lock. */
    waiting: amount,
  }),
  /** Since the statistics were reset: blocks found in shared buffers of all asked for. */
  cache_hit_ratio: rate,
  index_hit_ratio: rate,
  transactions: v.strictObject({ committed: count, rolled_back: count, deadlocks: count, temp_bytes: count }),
  slow_statements: v.strictObject({
    /** pg_stat_statements can be read. */
    available: v.boolean(),
    /** What to do when it cannot. */
    hint: nullableText,
    /** By total time, at most `--top`. */
    statements: v.array(
      v.strictObject({ query: text, calls: count, total_ms: v.number(), mean_ms: v.number(), rows: count }),
    ),
  }),
  wraparound: v.strictObject({
    xid_age: count,
    /** Share of the 2^31 ids that are used up, of the worst database. */
    used_ratio: v.number(),
    database: text,
    mxid_age: count,
  }),
  replicas: v.array(v.strictObject({ name: text, state: text, lag_bytes: amount })),
  unknown,
});

export type PostgresStats = v.InferOutput<typeof postgresStats>;
