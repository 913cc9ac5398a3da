import { BOUNDED_HELP, bounded, type Family, familiesOf, points, seconds } from "./family.ts";

const { define, gauge, counter } = familiesOf(({ figures }) => figures.redis);

/** One Redis server. */
export const REDIS_FAMILIES: readonly Family[] = [
  define(
    "gauge",
    "opsctl_redis_info",
    "Version, role and eviction policy of the server.",
    ["version", "role", "policy"],
    ({ version, role, memory }) =>
      points(
        [{ version, role, policy: memory.policy ?? "unknown" }],
        (known) => known,
        () => 1,
      ),
  ),
  gauge("opsctl_redis_uptime_seconds", "Time since the server started.", (stats) => stats.uptime_seconds),
  gauge("opsctl_redis_memory_used_bytes", "Memory in use.", ({ memory }) => memory.used_bytes),
  gauge("opsctl_redis_memory_peak_bytes", "The most that was in use.", ({ memory }) => memory.peak_bytes),
  gauge("opsctl_redis_memory_rss_bytes", "Resident memory.", ({ memory }) => memory.rss_bytes),
  gauge(
    "opsctl_redis_memory_dataset_bytes",
    "Memory of the data alone.",
    ({ memory }) => memory.dataset_bytes,
  ),
  gauge(
    "opsctl_redis_memory_max_bytes",
    "maxmemory; absent: no limit is set.",
    ({ memory }) => memory.max_bytes,
  ),
  gauge(
    "opsctl_redis_memory_used_ratio",
    "Share of maxmemory in use; absent: no limit is set.",
    ({ memory }) => memory.used_ratio,
  ),
  gauge(
    "opsctl_redis_memory_fragmentation_ratio",
    "Resident memory per used byte.",
    ({ memory }) => memory.fragmentation_ratio,
  ),
  counter(
    "opsctl_redis_evicted_keys_total",
    "Keys evicted because of maxmemory.",
    (stats) => stats.evicted_keys,
  ),
  counter("opsctl_redis_expired_keys_total", "Keys that expired.", (stats) => stats.expired_keys),
  counter(
    "opsctl_redis_rejected_connections_total",
    "Connections refused because of maxclients.",
    (stats) => stats.rejected_connections,
  ),
  gauge("opsctl_redis_keys", "Keys of all databases.", ({ keys }) => keys.total),
  gauge("opsctl_redis_expiring_keys", "Keys that will expire.", ({ keys }) => keys.expiring),
  define(
    "gauge",
    "opsctl_redis_database_keys",
    "Keys by database; one without keys is absent.",
    ["db"],
    ({ keys }) =>
      bounded(
        keys.databases,
        ({ db }) => ({ db: String(db) }),
        (database) => database.keys,
      ),
  ),
  define(
    "gauge",
    "opsctl_redis_namespace_keys",
    `Keys of the configured database by the text before the first colon; an estimate where opsctl_redis_namespaces_sampled is 1. ${BOUNDED_HELP}`,
    ["namespace"],
    ({ keys }) =>
      bounded(
        keys.namespaces,
        ({ name }) => ({ namespace: name }),
        (namespace) => namespace.keys,
      ),
  ),
  gauge(
    "opsctl_redis_namespaces_sampled",
    "Whether namespaces are estimated from a sample (1) or counted (0).",
    ({ keys }) => keys.sampled,
  ),
  counter("opsctl_redis_keyspace_hits_total", "Lookups that found their key.", (stats) => stats.hits),
  counter("opsctl_redis_keyspace_misses_total", "Lookups that did not.", (stats) => stats.misses),
  gauge(
    "opsctl_redis_loading",
    "Whether the server still loads its data.",
    ({ persistence }) => persistence.loading,
  ),
  gauge(
    "opsctl_redis_aof_enabled",
    "Whether appendonly is on.",
    ({ persistence }) => persistence.aof_enabled,
  ),
  gauge(
    "opsctl_redis_aof_last_write_success",
    "Whether the last write to the append-only file worked.",
    ({ persistence }) => persistence.aof_last_write_ok,
  ),
  gauge(
    "opsctl_redis_aof_last_rewrite_success",
    "Whether the last rewrite of the append-only file worked.",
    ({ persistence }) => persistence.aof_last_rewrite_ok,
  ),
  gauge(
    "opsctl_redis_aof_size_bytes",
    "Size of the append-only file.",
    ({ persistence }) => persistence.aof_size_bytes,
  ),
  counter(
    "opsctl_redis_aof_delayed_fsyncs_total",
    "fsyncs of the append-only file that came late.",
    ({ persistence }) => persistence.aof_delayed_fsyncs,
  ),
  gauge(
    "opsctl_redis_rdb_last_save_success",
    "Whether the last snapshot worked.",
    ({ persistence }) => persistence.rdb_last_save_ok,
  ),
  gauge(
    "opsctl_redis_rdb_last_save_timestamp_seconds",
    "Unix time of the last snapshot.",
    ({ persistence }) => seconds(persistence.rdb_last_save),
  ),
  gauge(
    "opsctl_redis_changes_since_save",
    "Changes since the last snapshot.",
    ({ persistence }) => persistence.changes_since_save,
  ),
  gauge("opsctl_redis_replicas", "Connected replicas.", ({ replication }) => replication.connected_replicas),
  gauge(
    "opsctl_redis_replication_lag_bytes",
    "Bytes of the replication stream that are not acknowledged.",
    ({ replication }) => replication.lag_bytes,
  ),
  gauge(
    "opsctl_redis_master_link_up",
    "Of a replica: whether its link to the master is up; absent: it is none.",
    ({ replication }) => (replication.master_link === null ? null : replication.master_link === "up"),
  ),
  define("gauge", "opsctl_redis_clients", "Clients by state.", ["state"], ({ clients }) =>
    points(
      ["connected", "blocked"] as const,
      (state) => ({ state }),
      (state) => clients[state],
    ),
  ),
  gauge("opsctl_redis_clients_max", "maxclients.", ({ clients }) => clients.max),
  counter("opsctl_redis_commands_processed_total", "Commands.", (stats) => stats.commands_processed),
];
