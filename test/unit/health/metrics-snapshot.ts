import type { Snapshot } from "../../../src/health/metrics/family.ts";

type Figures = Snapshot["figures"];

/** A database name that somebody chose to break things. */
export const HOSTILE = 'a"b\\c\nd\u001b[31m\u202e{x="1"} 2';

/** Paths are not cut: they would be the same then. */
export const DEEP = `/${"deep".repeat(50)}`;

const at = "2026-11-21T22:00:00.000Z";

/** A stack of which everything is known, with hostile and too many names. Values are small numbers that say which they are. */
export function snapshot(changes: Partial<Snapshot> = {}): Snapshot {
  return {
    version: "1.2.3",
    at: Date.parse(at),
    duration_ms: 250,
    health: health(),
    figures: { postgres: postgres(), neo4j: neo4j(), redis: redis(), sqlite: sqlite() },
    files: [
      { name: "data", path: "/d", size_bytes: 10 },
      { name: "state", path: "/s", size_bytes: null },
    ],
    archives: {
      count: 3,
      size_bytes: 300,
      newest: { created_at_ms: Date.parse(at), size_bytes: 100 },
      engines: [
        { engine: "postgres", at_ms: 2_000 },
        { engine: "redis", at_ms: null },
      ],
      oldest_at_ms: 1_000,
      drilled_at_ms: null,
    },
    memory: { records: 5, fixes: 4, issues: 3, events: 2, agents: 1 },
    queue: { waiting: 2, rejected: 1, oldest_at_ms: 1_500 },
    restores_unfinished: 0,
    operations: {
      since: at,
      count: 3,
      errors: 1,
      commands: [{ command: "backup", count: 3, errors: 1, mean_ms: 1_500, max_ms: 2_000, last_at: at }],
    },
    ...changes,
  };
}

function health(): Snapshot["health"] {
  const engine = (name: string, status: string) =>
    ({ engine: name, status, version: status === "connected" ? "1" : null, latency_ms: 2 }) as never;
  const disk = {
    path: "/data",
    usage_percent: 50,
    total_bytes: 100,
    used_bytes: 47,
    free_bytes: 40,
    message: null,
  };
  return {
    status: "degraded",
    timestamp: at,
    checks: {
      disk: {
        status: "ok",
        ...disk,
        disks: [disk, { ...disk, path: `${DEEP}/a` }, { ...disk, path: `${DEEP}/b` }],
      },
      memory: { status: "ok", usage_percent: 25, total_bytes: 400, available_bytes: 300 },
      cpu: { status: "ok", usage_percent: 12.5, load_1m: 1, load_5m: 2, load_15m: 3, cores: 4 },
      database: { status: "ok", connected: true },
    },
    http: null,
    engines: [
      engine("neo4j", "connected"),
      engine("postgres", "connected"),
      engine("redis", "disconnected"),
      engine("sqlite", "not configured"),
    ],
  } as unknown as Snapshot["health"];
}

function postgres(): Figures["postgres"] {
  const table = (name: string, size_bytes: number) => ({
    schema: "public",
    name,
    rows: 100,
    dead_rows: 1,
    size_bytes,
    index_bytes: 100,
  });
  const names = Array.from({ length: 30 }, (_, index) => table(`t${index}`, 1_000 - index));
  return {
    size_bytes: 1_000_000,
    databases: [
      { name: "app", size_bytes: 7 },
      { name: HOSTILE, size_bytes: null },
    ],
    table_count: 32,
    tables: [table(HOSTILE, 9_000), table("x".repeat(10_000), 8_000), ...names],
    index_count: 3,
    indexes_bytes: 4,
    connections: {
      used: 10,
      max: 100,
      reserved: 3,
      active: 1,
      idle: null,
      idle_in_transaction: 2,
      waiting: null,
    },
    cache_hit_ratio: 0.99,
    index_hit_ratio: null,
    transactions: { committed: 5, rolled_back: 6, deadlocks: 7, temp_bytes: 8 },
    wraparound: { xid_age: 9, used_ratio: 0.1, database: "app", mxid_age: 1 },
    replicas: [
      { name: HOSTILE, state: "catchup", lag_bytes: 5 },
      { name: "walreceiver", state: "streaming", lag_bytes: 7 },
      { name: "walreceiver", state: "streaming", lag_bytes: 9 },
      { name: "pg_basebackup", state: "backup", lag_bytes: 11 },
    ],
    unknown: [{ what: "x", reason: "y", hint: null }],
  } as unknown as Figures["postgres"];
}

function neo4j(): Figures["neo4j"] {
  return {
    nodes: 10,
    relationships: 20,
    // alike once they are cut
    labels: [
      { label: `${"l".repeat(9_000)}a`, nodes: 3 },
      { label: `${"l".repeat(9_000)}b`, nodes: 4 },
      { label: "other", nodes: 5 },
    ],
    types: [{ type: HOSTILE, relationships: 20 }],
    indexes: [{ state: "ONLINE" }, { state: "FAILED" }],
    constraint_count: null,
    transactions: { running: null, slow: [] },
    heap: { used_bytes: 50, committed_bytes: 60, max_bytes: 100 },
    store_size_bytes: null,
    page_cache: { size_bytes: 1, hit_ratio: null },
    unknown: [],
  } as unknown as Figures["neo4j"];
}

function redis(): Figures["redis"] {
  const namespaces = Array.from({ length: 25 }, (_, index) => ({ name: `n${index}`, keys: 100 - index }));
  return {
    version: "8.0.0",
    role: "master",
    uptime_seconds: 1,
    memory: {
      used_bytes: 1,
      peak_bytes: 2,
      rss_bytes: 3,
      dataset_bytes: 4,
      max_bytes: null,
      used_ratio: null,
      policy: "allkeys-lru",
      fragmentation_ratio: 1.1,
    },
    evicted_keys: 1,
    expired_keys: 2,
    rejected_connections: 3,
    keys: {
      total: 12,
      expiring: 1,
      databases: [{ db: 0, keys: 12, expiring: 1 }],
      namespaces: [{ name: `\ud800${HOSTILE}`, keys: 500 }, { name: "other", keys: 200 }, ...namespaces],
      sampled: true,
      scanned: 10,
    },
    hits: 1,
    misses: 2,
    persistence: {
      loading: false,
      aof_enabled: true,
      aof_last_write_ok: null,
      aof_last_rewrite_ok: true,
      aof_size_bytes: 1,
      aof_delayed_fsyncs: 0,
      rdb_last_save_ok: false,
      rdb_last_save: at,
      changes_since_save: 5,
    },
    replication: { connected_replicas: 0, lag_bytes: null, master_link: "down" },
    clients: { connected: 2, blocked: 0, max: 100 },
    commands_processed: 9,
    unknown: [],
  } as unknown as Figures["redis"];
}

function sqlite(): Figures["sqlite"] {
  return {
    size_bytes: 1,
    wal_bytes: 2,
    free_bytes: 3,
    table_count: 2,
    tables: [
      { name: "big", rows: null },
      { name: HOSTILE, rows: 3 },
    ],
    unknown: [],
  } as unknown as Figures["sqlite"];
}
