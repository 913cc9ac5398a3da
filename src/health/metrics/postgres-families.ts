import type { PostgresStats } from "../../contract/stats-postgres.ts";
import { BOUNDED_HELP, bounded, type Family, familiesOf, points } from "./family.ts";

const { define, gauge, counter } = familiesOf(({ figures }) => figures.postgres);

const tables = (
  name: string,
  help: string,
  read: (table: PostgresStats["tables"][number]) => number | null,
): Family =>
  define("gauge", name, `${help} ${BOUNDED_HELP}`, ["schema", "table"], (stats) =>
    bounded(stats.tables, (table) => ({ schema: table.schema, table: table.name }), read),
  );

/** A base backup is a walsender for minutes or hours and never streams: it is no replica. */
const replicasOf = ({ replicas }: PostgresStats) => replicas.filter(({ state }) => state !== "backup");

/** One PostgreSQL database, and its server. */
export const POSTGRES_FAMILIES: readonly Family[] = [
  gauge("opsctl_postgres_size_bytes", "Size of the configured database.", (stats) => stats.size_bytes),
  define(
    "gauge",
    "opsctl_postgres_database_size_bytes",
    `Size of the databases of the server. ${BOUNDED_HELP}`,
    ["database"],
    (stats) =>
      bounded(
        stats.databases.toSorted((a, b) => (b.size_bytes ?? 0) - (a.size_bytes ?? 0)),
        ({ name }) => ({ database: name }),
        ({ size_bytes }) => size_bytes,
      ),
  ),
  gauge("opsctl_postgres_tables", "Tables of the database.", (stats) => stats.table_count),
  gauge("opsctl_postgres_indexes", "Indexes of the database.", (stats) => stats.index_count),
  gauge("opsctl_postgres_indexes_size_bytes", "Size of all indexes.", (stats) => stats.indexes_bytes),
  tables(
    "opsctl_postgres_table_size_bytes",
    "Size of tables, with indexes and TOAST.",
    (table) => table.size_bytes,
  ),
  tables(
    "opsctl_postgres_table_data_size_bytes",
    "Size of tables without their indexes.",
    (table) => table.size_bytes - table.index_bytes,
  ),
  tables(
    "opsctl_postgres_table_rows",
    "Rows of tables, as the statistics estimate them.",
    (table) => table.rows,
  ),
  tables(
    "opsctl_postgres_table_dead_rows",
    "Dead rows of tables, which vacuum has not removed.",
    (table) => table.dead_rows,
  ),
  gauge("opsctl_postgres_connections_used", "Sessions of the server.", ({ connections }) => connections.used),
  gauge("opsctl_postgres_connections_max", "max_connections.", ({ connections }) => connections.max),
  gauge(
    "opsctl_postgres_connections_reserved",
    "Connections kept for superusers.",
    ({ connections }) => connections.reserved,
  ),
  define("gauge", "opsctl_postgres_sessions", "Sessions by state.", ["state"], ({ connections }) =>
    points(
      ["active", "idle", "idle_in_transaction"] as const,
      (state) => ({ state }),
      (state) => connections[state],
    ),
  ),
  gauge(
    "opsctl_postgres_sessions_waiting",
    "Sessions that wait for a lock.",
    ({ connections }) => connections.waiting,
  ),
  gauge(
    "opsctl_postgres_cache_hit_ratio",
    "Blocks found in shared buffers of all asked for, since the statistics were reset.",
    (stats) => stats.cache_hit_ratio,
  ),
  gauge(
    "opsctl_postgres_index_hit_ratio",
    "The same for blocks of indexes.",
    (stats) => stats.index_hit_ratio,
  ),
  define(
    "counter",
    "opsctl_postgres_transactions_total",
    "Transactions of the database.",
    ["outcome"],
    ({ transactions }) =>
      points(
        ["committed", "rolled_back"] as const,
        (outcome) => ({ outcome }),
        (outcome) => transactions[outcome],
      ),
  ),
  counter("opsctl_postgres_deadlocks_total", "Deadlocks.", ({ transactions }) => transactions.deadlocks),
  counter(
    "opsctl_postgres_temp_bytes_total",
    "Bytes that queries wrote to temporary files.",
    ({ transactions }) => transactions.temp_bytes,
  ),
  gauge(
    "opsctl_postgres_wraparound_used_ratio",
    "Share of the 2^31 transaction ids that are used up, of the worst database of the server.",
    ({ wraparound }) => wraparound.used_ratio,
  ),
  gauge(
    "opsctl_postgres_xid_age",
    "Age of the oldest unfrozen transaction id of the worst database.",
    ({ wraparound }) => wraparound.xid_age,
  ),
  gauge(
    "opsctl_postgres_mxid_age",
    "Age of the oldest multixact of the worst database.",
    ({ wraparound }) => wraparound.mxid_age,
  ),
  gauge("opsctl_postgres_replicas", "Connected replicas.", (stats) => replicasOf(stats).length),
  define(
    "gauge",
    "opsctl_postgres_replica_lag_bytes",
    "Write-ahead log that a replica has not replayed; of several that have one name the most.",
    ["replica"],
    (stats) =>
      bounded(
        replicasOf(stats),
        ({ name }) => ({ replica: name }),
        ({ lag_bytes }) => lag_bytes,
        Math.max,
      ),
  ),
  gauge(
    "opsctl_postgres_replicas_not_streaming",
    "Connected replicas that do not stream: they catch up, or stand still.",
    (stats) => replicasOf(stats).filter(({ state }) => state !== "streaming").length,
  ),
];
