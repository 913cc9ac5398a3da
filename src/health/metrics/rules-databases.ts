import { type Rule, type RuleGroup, share } from "./rule.ts";

/** How far a replica may be behind, in times of the threshold `large`: one segment of the write-ahead log is nothing. */
const LAG = 16;

/** A cache fills by reading: of a database with fewer transactions in an hour the share of hits says nothing. */
const TRANSACTIONS = 10_000;

const POSTGRES: readonly Rule[] = [
  {
    alert: "OpsctlPostgresConnections",
    expr: ({ connections }) =>
      `opsctl_postgres_connections_used / (opsctl_postgres_connections_max - opsctl_postgres_connections_reserved) >= ${share(connections)}`,
    for: "5m",
    severity: "warning",
    summary:
      "{{ $value | humanizePercentage }} of the connections of PostgreSQL on {{ $labels.instance }} are in use",
    description:
      "At the limit every new session is refused. Run: opsctl doctor; sessions: opsctl stats postgres",
  },
  {
    alert: "OpsctlPostgresLocks",
    expr: () => "opsctl_postgres_sessions_waiting > 0",
    for: "5m",
    severity: "warning",
    summary: "{{ $value }} sessions of PostgreSQL on {{ $labels.instance }} wait for locks",
    description: "Somebody holds a lock for minutes. Run: opsctl doctor, which says who blocks whom",
  },
  {
    alert: "OpsctlPostgresDeadlocks",
    expr: () => "increase(opsctl_postgres_deadlocks_total[15m]) > 0",
    for: "0m",
    severity: "info",
    summary: "PostgreSQL on {{ $labels.instance }} broke off a deadlock",
    description:
      "Two transactions lock the same rows in different orders. The server's log names both statements; opsctl stats postgres counts them",
  },
  {
    alert: "OpsctlPostgresWraparound",
    expr: ({ wraparound }) =>
      `(opsctl_postgres_wraparound_used_ratio >= ${share(wraparound)}) < ${share(Math.min(100, 2 * wraparound))}`,
    for: "1h",
    severity: "warning",
    summary:
      "{{ $value | humanizePercentage }} of the transaction ids of PostgreSQL on {{ $labels.instance }} are used up",
    description:
      "Vacuum does not keep up or something holds it back. Run: opsctl doctor; then: opsctl maintain postgres",
  },
  {
    alert: "OpsctlPostgresWraparoundNear",
    expr: ({ wraparound }) =>
      `opsctl_postgres_wraparound_used_ratio >= ${share(Math.min(100, 2 * wraparound))}`,
    for: "5m",
    severity: "critical",
    summary:
      "{{ $value | humanizePercentage }} of the transaction ids of PostgreSQL on {{ $labels.instance }} are used up",
    description:
      "Close to 100 % the server refuses every write. Run: opsctl doctor; then: opsctl maintain postgres",
  },
  {
    alert: "OpsctlPostgresCacheHit",
    expr: ({ cache_hit, large }) =>
      `opsctl_postgres_cache_hit_ratio < ${share(cache_hit)} and opsctl_postgres_size_bytes >= ${large} and ignoring (outcome) increase(opsctl_postgres_transactions_total{outcome="committed"}[1h]) >= ${TRANSACTIONS}`,
    for: "1h",
    severity: "info",
    summary:
      "PostgreSQL on {{ $labels.instance }} finds only {{ $value | humanizePercentage }} of its blocks in shared buffers",
    description:
      "Queries wait for the disk: shared_buffers is small, or an index is missing. Run: opsctl doctor",
  },
  {
    alert: "OpsctlPostgresDeadRows",
    expr: ({ dead_rows, large }) =>
      `opsctl_postgres_table_dead_rows{schema!=""} / (opsctl_postgres_table_rows + opsctl_postgres_table_dead_rows) >= ${share(dead_rows)} and opsctl_postgres_table_data_size_bytes >= ${large}`,
    for: "1h",
    severity: "warning",
    summary:
      "{{ $value | humanizePercentage }} of the rows of {{ $labels.schema }}.{{ $labels.table }} are dead on {{ $labels.instance }}",
    description:
      "Vacuum does not keep up: the table grows and its queries slow down. Run: opsctl maintain postgres",
  },
  {
    alert: "OpsctlPostgresReplication",
    expr: () => "opsctl_postgres_replicas_not_streaming > 0",
    for: "10m",
    severity: "warning",
    summary: "{{ $value }} replicas of PostgreSQL on {{ $labels.instance }} do not stream",
    description:
      "They fall behind, and the write-ahead log they need fills the disk. Backups (state backup) are not counted. Run: opsctl stats postgres",
  },
  {
    alert: "OpsctlPostgresReplicaLag",
    expr: ({ large }) => `opsctl_postgres_replica_lag_bytes >= ${LAG * large}`,
    for: "10m",
    severity: "warning",
    summary:
      "the replica {{ $labels.replica }} of PostgreSQL on {{ $labels.instance }} is {{ $value | humanize1024 }}B behind",
    description:
      "Its answers are old, and a failover now loses that much. Run: opsctl doctor; replicas: opsctl stats postgres",
  },
];

const NEO4J: readonly Rule[] = [
  {
    alert: "OpsctlNeo4jHttpDown",
    expr: () => "opsctl_neo4j_http_up == 0",
    for: "5m",
    severity: "warning",
    summary: "the HTTP port of Neo4j does not answer for {{ $labels.instance }}",
    description:
      "Browsers and programs that use HTTP are cut off; Bolt has an alert of its own. Run: opsctl health neo4j",
  },
  {
    alert: "OpsctlNeo4jHeap",
    expr: ({ heap }) => `opsctl_neo4j_heap_used_ratio >= ${share(heap)}`,
    for: "15m",
    severity: "warning",
    summary: "{{ $value | humanizePercentage }} of the heap of Neo4j on {{ $labels.instance }} is in use",
    description:
      "Long pauses and failing transactions follow. Run: opsctl doctor; transactions: opsctl stats neo4j",
  },
  {
    alert: "OpsctlNeo4jIndexFailed",
    expr: () => 'opsctl_neo4j_indexes{state="FAILED"} > 0',
    for: "5m",
    severity: "critical",
    summary: "{{ $value }} indexes of Neo4j on {{ $labels.instance }} have failed",
    description: "Queries scan instead, and a constraint behind one is not enforced. Run: opsctl doctor",
  },
  {
    alert: "OpsctlNeo4jIndexPopulating",
    expr: () => 'opsctl_neo4j_indexes{state="POPULATING"} > 0',
    for: "1h",
    severity: "info",
    summary: "{{ $value }} indexes of Neo4j on {{ $labels.instance }} have been populating for an hour",
    description: "Until they are online no query uses them. Run: opsctl stats neo4j",
  },
  {
    alert: "OpsctlNeo4jSlowTransactions",
    expr: () => "opsctl_neo4j_transactions_slow > 0",
    for: "5m",
    severity: "warning",
    summary: "{{ $value }} transactions of Neo4j on {{ $labels.instance }} run for long",
    description: "They hold locks and heap. Run: opsctl stats neo4j, which names them; then: opsctl doctor",
  },
];

/** Below this many lookups in an hour the share of hits says nothing. */
const LOOKUPS = 10_000;
/** Holes in the memory that are worth a look, in times of the threshold `large`: a small server is all overhead. */
const HOLES = 10;

const REDIS: readonly Rule[] = [
  {
    alert: "OpsctlRedisMemory",
    // a cache that drops what was not used for long is full all its life: OpsctlRedisEvictions says that it works
    expr: ({ redis_memory }) =>
      `opsctl_redis_memory_used_ratio >= ${share(redis_memory)} unless ignoring (version, role, policy) opsctl_redis_info{policy=~"allkeys-.*"}`,
    for: "10m",
    severity: "warning",
    summary: "Redis on {{ $labels.instance }} uses {{ $value | humanizePercentage }} of its maxmemory",
    description:
      "At the limit it refuses writes, or evicts keys that have a time to live. Run: opsctl doctor; namespaces: opsctl stats redis",
  },
  {
    alert: "OpsctlRedisEvictions",
    expr: () => "increase(opsctl_redis_evicted_keys_total[15m]) > 0",
    for: "15m",
    severity: "info",
    summary: "Redis on {{ $labels.instance }} evicts keys",
    description:
      "Right for a cache, loss for anything else. Run: opsctl doctor; namespaces: opsctl stats redis",
  },
  {
    alert: "OpsctlRedisPersistence",
    expr: () => "opsctl_redis_aof_last_write_success == 0 or opsctl_redis_rdb_last_save_success == 0",
    for: "5m",
    severity: "critical",
    summary: "Redis on {{ $labels.instance }} cannot write its data to the disk",
    description:
      "It refuses writes (MISCONF) or loses them at its next restart. Run: opsctl doctor; disk: opsctl health",
  },
  {
    alert: "OpsctlRedisReplicaLag",
    expr: ({ large }) => `opsctl_redis_replication_lag_bytes > ${large}`,
    for: "10m",
    severity: "warning",
    summary: "a replica of Redis on {{ $labels.instance }} is {{ $value | humanize1024 }}B behind",
    description: "A failover now loses that much. Run: opsctl doctor; replicas: opsctl stats redis",
  },
  {
    alert: "OpsctlRedisClients",
    expr: ({ connections }) =>
      `opsctl_redis_clients{state="connected"} / ignoring (state) opsctl_redis_clients_max >= ${share(connections)}`,
    for: "5m",
    severity: "warning",
    summary:
      "{{ $value | humanizePercentage }} of the clients that Redis on {{ $labels.instance }} takes are connected",
    description: "At maxclients every new one is refused. Run: opsctl doctor; clients: opsctl stats redis",
  },
  {
    alert: "OpsctlRedisReplication",
    expr: () => "opsctl_redis_master_link_up == 0",
    for: "5m",
    severity: "critical",
    summary: "the replica {{ $labels.instance }} of Redis has lost its master",
    description: "What it answers is old. Run: opsctl stats redis",
  },
  {
    alert: "OpsctlRedisRejectedConnections",
    expr: () => "increase(opsctl_redis_rejected_connections_total[15m]) > 0",
    for: "0m",
    severity: "warning",
    summary: "Redis on {{ $labels.instance }} refuses clients",
    description:
      "maxclients is reached: clients leak connections, or the limit is low. Run: opsctl stats redis",
  },
  {
    alert: "OpsctlRedisHitRate",
    expr: ({ redis_hit_rate }) =>
      `increase(opsctl_redis_keyspace_hits_total[1h]) / (increase(opsctl_redis_keyspace_hits_total[1h]) + increase(opsctl_redis_keyspace_misses_total[1h])) < ${share(redis_hit_rate)} and increase(opsctl_redis_keyspace_hits_total[1h]) + increase(opsctl_redis_keyspace_misses_total[1h]) >= ${LOOKUPS}`,
    for: "1h",
    severity: "info",
    summary:
      "only {{ $value | humanizePercentage }} of the lookups of Redis on {{ $labels.instance }} found their key in the last hour",
    description:
      "Keys expire or are evicted before they are used. Run: opsctl doctor; namespaces: opsctl stats redis",
  },
  {
    alert: "OpsctlRedisFragmentation",
    expr: ({ redis_fragmentation, large }) =>
      `opsctl_redis_memory_fragmentation_ratio >= ${redis_fragmentation} and opsctl_redis_memory_rss_bytes - opsctl_redis_memory_used_bytes >= ${HOLES * large}`,
    for: "1h",
    severity: "info",
    summary: "Redis on {{ $labels.instance }} holds {{ $value }} bytes of memory for each byte it uses",
    description: "Freed memory does not go back to the host. Run: opsctl maintain redis",
  },
];

const SQLITE: readonly Rule[] = [
  {
    alert: "OpsctlSqliteWal",
    expr: ({ sqlite_wal }) => `opsctl_sqlite_wal_bytes >= ${sqlite_wal}`,
    for: "1h",
    severity: "warning",
    summary:
      "the write-ahead log of the embedded file on {{ $labels.instance }} is {{ $value | humanize1024 }}B",
    description:
      "A reader that does not end keeps it from being emptied. Run: opsctl doctor; then: opsctl maintain sqlite",
  },
  {
    alert: "OpsctlSqliteFreePages",
    expr: ({ sqlite_free, large }) =>
      `opsctl_sqlite_free_bytes / opsctl_sqlite_size_bytes >= ${share(sqlite_free)} and opsctl_sqlite_size_bytes >= ${large}`,
    for: "1h",
    severity: "info",
    summary:
      "{{ $value | humanizePercentage }} of the embedded file on {{ $labels.instance }} are free pages",
    description: "The disk gets them back by a VACUUM. Run: opsctl maintain sqlite",
  },
];

export const DATABASE_RULES: readonly RuleGroup[] = [
  { name: "opsctl-postgres", rules: POSTGRES },
  { name: "opsctl-neo4j", rules: NEO4J },
  { name: "opsctl-redis", rules: REDIS },
  { name: "opsctl-sqlite", rules: SQLITE },
];
