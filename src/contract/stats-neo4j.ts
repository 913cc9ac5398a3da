import * as v from "valibot";
import { count, nullableText, rate, text, time } from "./common.ts";
import { amount, unknown } from "./stats-common.ts";

/** Figures of one Neo4j database and its server. */
export const neo4jStats = v.strictObject({
  version: text,
  edition: nullableText,
  database: text,
  nodes: amount,
  relationships: amount,
  /** With at least one node; `labels` holds the first of them, at most `--top`. */
  label_count: amount,
  /** From the count store, most first; a node with two labels counts for both. */
  labels: v.array(v.strictObject({ label: text, nodes: count })),
  type_count: amount,
  types: v.array(v.strictObject({ type: text, relationships: count })),
  index_count: amount,
  /** Those that are not online first, then by use; at most `--top`. */
  indexes: v.array(
    v.strictObject({
      name: text,
      type: text,
      state: text,
      population_percent: v.number(),
      labels: v.array(text),
      properties: v.array(text),
      /** Of a constraint. */
      constraint: nullableText,
      read_count: amount,
      last_read: v.nullable(time),
    }),
  ),
  constraint_count: amount,
  transactions: v.strictObject({
    /** Without that of the question; null: not allowed to see. */
    running: amount,
    /** Longer than the threshold `slow_transaction`. */
    slow: v.array(
      v.strictObject({
        id: text,
        username: text,
        query: text,
        elapsed_ms: count,
        status: text,
      }),
    ),
  }),
  heap: v.strictObject({ used_bytes: amount, committed_bytes: amount, max_bytes: amount }),
  /** Of the database's files, where they are on this host and readable. */
  store_size_bytes: amount,
  page_cache: v.strictObject({
    size_bytes: amount,
    /** Only where the edition tells. */
    hit_ratio: rate,
  }),
  unknown,
});

export type Neo4jStats = v.InferOutput<typeof neo4jStats>;
