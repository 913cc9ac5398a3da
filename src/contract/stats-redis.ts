import * as v from "valibot";
import { count, nullableText, rate, text, time } from "./common.ts";
import { amount, ratio, unknown } from "./stats-common.ts";

/** Figures of one Redis server; null: this user may not see it, or this kind of server has no such figure. */
export const redisStats = v.strictObject({
  version: text,
  /** `master`, `slave`, `sentinel` or `unknown`. */
  role: text,
  uptime_seconds: amount,
  memory: v.strictObject({
    used_bytes: amount,
    peak_bytes: amount,
    rss_bytes: amount,
    dataset_bytes: amount,
    /** Null: no limit is set. */
    max_bytes: amount,
    used_ratio: v.nullable(v.number()),
    policy: nullableText,
    fragmentation_ratio: v.nullable(v.number()),
    /** Of the server's machine. */
    system_bytes: amount,
  }),
  evicted_keys: amount,
  expired_keys: amount,
  rejected_connections: amount,
  keys: v.strictObject({
    /** Of all databases. */
    total: amount,
    expiring: amount,
    databases: v.array(v.strictObject({ db: count, keys: count, expiring: count })),
    /** Of the configured database, by the text before the first `:`; most keys first. */
    namespaces: v.array(
      v.strictObject({
        /** `(none)`: keys without a `:`; `(other)`: all namespaces that are not listed. */
        name: text,
        /** Counted, or estimated from the sample. */
        keys: count,
        /** Of the keys that were looked at. */
        share: v.number(),
        /** Null where the totals do not tell: asking each key would count as hits. */
        expiring_share: v.nullable(v.number()),
      }),
    ),
    /** The namespaces are an estimate from `scanned` keys. */
    sampled: v.boolean(),
    scanned: count,
  }),
  hits: amount,
  misses: amount,
  hit_rate: rate,
  persistence: v.strictObject({
    loading: v.nullable(v.boolean()),
    aof_enabled: v.nullable(v.boolean()),
    aof_last_write_ok: v.nullable(v.boolean()),
    aof_last_rewrite_ok: v.nullable(v.boolean()),
    aof_size_bytes: amount,
    /** At the last rewrite. */
    aof_base_size_bytes: amount,
    /** Written, not yet flushed to the disk. */
    aof_buffer_bytes: amount,
    /** fsyncs that wait for the disk. */
    aof_pending_fsyncs: amount,
    /** fsyncs that came late. */
    aof_delayed_fsyncs: amount,
    rdb_enabled: v.nullable(v.boolean()),
    rdb_last_save_ok: v.nullable(v.boolean()),
    rdb_last_save: v.nullable(time),
    rdb_last_save_age_ms: amount,
    changes_since_save: amount,
  }),
  replication: v.strictObject({
    connected_replicas: amount,
    /** Of the replica that is furthest behind. */
    lag_bytes: amount,
    /** Of a replica: `up` or `down`. */
    master_link: nullableText,
  }),
  clients: v.strictObject({ connected: amount, blocked: amount, max: amount }),
  commands_processed: amount,
  commands_per_second: ratio,
  unknown,
});

export type RedisStats = v.InferOutput<typeof redisStats>;
