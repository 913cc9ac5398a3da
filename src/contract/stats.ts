import * as v from "valibot";
import { count, degraded, engine, milliseconds, nullableText, text, time } from "./common.ts";
import { neo4jStats } from "./stats-neo4j.ts";
import { postgresStats } from "./stats-postgres.ts";
import { redisStats } from "./stats-redis.ts";
import { sqliteStats } from "./stats-sqlite.ts";

const connection = v.strictObject({
  engine,
  configured: v.boolean(),
  connected: v.boolean(),
  target: nullableText,
  version: nullableText,
  latency_ms: v.nullable(v.number()),
});

/** What this host's opsctl did, from its log of operations. */
const operationStats = v.strictObject({
  /** Since when they are counted; null: nothing is. */
  since: v.nullable(time),
  count,
  errors: count,
  commands: v.array(
    v.strictObject({
      command: text,
      count,
      /** Ended with another code than 0, 3 and 4. */
      errors: count,
      mean_ms: v.number(),
      max_ms: v.number(),
      last_at: time,
    }),
  ),
});

const archive = v.nullable(
  v.strictObject({
    name: text,
    created_at: v.nullable(time),
    /** Of the archive: data since then are in none that is known to come back. */
    age_ms: v.nullable(milliseconds),
    drilled_at: v.nullable(time),
  }),
);

export const stats = v.strictObject({
  neo4j_connected: v.boolean(),
  memori_available: v.boolean(),
  fixes: count,
  agents: count,
  issues: count,
  records: count,
  events: count,
  engines: v.array(connection),
  /** The data and the state file with what lies beside them, and the data folders of servers on this host; null: none yet, or unreadable. */
  files: v.array(v.strictObject({ name: text, path: text, size_bytes: v.nullable(count) })),
  /** The newest archive of OPSCTL_BACKUPS that passed a drill; null: none did. */
  drilled_backup: archive,
  queue: v.strictObject({ waiting: count, rejected: count }),
  /** Null: not asked for, not configured, or no answer (then it is in `degraded`). */
  neo4j: v.nullable(neo4jStats),
  postgres: v.nullable(postgresStats),
  redis: v.nullable(redisStats),
  sqlite: v.nullable(sqliteStats),
  archives: v.strictObject({
    dir: text,
    count,
    size_bytes: count,
    /** The newest complete and verified one. */
    newest_verified: archive,
  }),
  operations: operationStats,
  degraded,
});

export type OperationStats = v.InferOutput<typeof operationStats>;
