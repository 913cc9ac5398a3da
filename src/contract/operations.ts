import * as v from "valibot";
import { count, degraded, engine, milliseconds, nullableText, text, time } from "./common.ts";

const change = v.strictObject({ name: text, before: nullableText, after: nullableText });

export const initialized = v.strictObject({
  dry_run: v.boolean(),
  changed: v.boolean(),
  engines: v.array(
    v.strictObject({
      engine,
      target: text,
      status: v.picklist(["initialized", "unchanged", "planned", "skipped", "failed"]),
      /** What is no migration file: a created database, an extension, a server setting. */
      changes: v.array(change),
      sets: v.array(
        v.strictObject({
          set: text,
          schema_version: text,
          state: v.picklist(["applied", "unchanged", "planned", "unavailable"]),
          versions: v.array(text),
          reason: nullableText,
          counts: v.record(text, v.number()),
        }),
      ),
      /** What `--dry-run` would send. */
      statements: v.array(text),
      notes: v.array(text),
      error: v.nullable(v.strictObject({ code: text, message: text, hint: nullableText })),
    }),
  ),
});

export const setList = v.strictObject({
  sets: v.array(
    v.strictObject({
      engine,
      set: text,
      title: text,
      schema_version: text,
      configured: v.boolean(),
      /** `partly`: files of it are missing, or one was broken off in the middle; `unknown`: the server could not be asked. */
      state: v.picklist(["applied", "partly", "pending", "unknown", "not configured"]),
      applied: nullableText,
      /** `init` applies it when nobody names sets. */
      default: v.boolean(),
    }),
  ),
  degraded,
});

export const queue = v.strictObject({
  queue: v.array(
    v.strictObject({
      seq: count,
      store: text,
      kind: v.picklist(["remember", "agent", "forget"]),
      subject: text,
      state: v.picklist(["waiting", "rejected"]),
      attempts: count,
      last_error: nullableText,
      queued_at: time,
      queued_at_ms: milliseconds,
    }),
  ),
  count,
  waiting: count,
  rejected: count,
});

export const synced = v.strictObject({
  delivered: count,
  waiting: count,
  rejected: count,
  /** Stores on this host that have another port or database name now. */
  readdressed: v.array(v.strictObject({ from: text, to: text })),
  engines: v.array(v.strictObject({ engine, delivered: count, rejected: count })),
  degraded,
});

export const dropped = v.strictObject({ seq: count, status: v.picklist(["dropped", "planned"]) });

const diskReading = {
  status: v.picklist(["ok", "warning", "critical"]),
  path: text,
  usage_percent: v.nullable(v.number()),
  total_bytes: v.nullable(count),
  used_bytes: v.nullable(count),
  free_bytes: v.nullable(count),
  message: nullableText,
};
const databaseState = v.picklist(["connected", "disconnected", "not configured", "not asked"]);

export const health = v.strictObject({
  status: v.picklist(["healthy", "degraded", "unhealthy"]),
  timestamp: time,
  checks: v.strictObject({
    /** The fullest of the disks, and all of them. */
    disk: v.strictObject({ ...diskReading, disks: v.array(v.strictObject(diskReading)) }),
    memory: v.strictObject({
      status: v.picklist(["ok", "warning", "critical"]),
      usage_percent: v.number(),
      total_bytes: count,
      available_bytes: count,
    }),
    cpu: v.strictObject({
      status: v.picklist(["ok", "busy"]),
      usage_percent: v.nullable(v.number()),
      load_1m: v.number(),
      load_5m: v.number(),
      load_15m: v.number(),
      cores: count,
    }),
    /** `connected`: a store of the memory answers. */
    database: v.strictObject({ status: v.picklist(["ok", "warning", "critical"]), connected: v.boolean() }),
  }),
  databases: v.strictObject({
    neo4j: databaseState,
    postgresql: databaseState,
    redis: databaseState,
    sqlite: databaseState,
  }),
  engines: v.array(
    v.strictObject({
      engine,
      status: databaseState,
      version: nullableText,
      latency_ms: v.nullable(v.number()),
      code: nullableText,
      message: nullableText,
      /** With `--deep`: a value that was set, read back and deleted. */
      write_test: v.nullable(
        v.strictObject({ ok: v.boolean(), duration_ms: v.number(), message: nullableText }),
      ),
    }),
  ),
  /** Neo4j's HTTP port; null: NEO4J_HTTP_URL is not set. */
  http: v.nullable(
    v.strictObject({
      url: text,
      status: databaseState,
      latency_ms: v.nullable(v.number()),
      message: nullableText,
    }),
  ),
  /** The id of a restore that is not over. */
  unfinished_restore: nullableText,
});

export const environment = v.strictObject({
  settings: v.array(v.strictObject({ name: text, value: nullableText, source: text })),
  connections: v.array(v.strictObject({ engine, configured: v.boolean(), url: nullableText })),
  files: v.array(
    v.strictObject({ name: text, path: text, exists: v.boolean(), owner: nullableText, mode: nullableText }),
  ),
  config_file: nullableText,
  profile: nullableText,
});

export const failure = v.strictObject({
  code: text,
  message: text,
  hint: nullableText,
  engine: v.nullable(engine),
  exit_code: count,
});
