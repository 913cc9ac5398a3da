/** Figures of the whole server, and of the database that we are in. */
import type { PostgresStats } from "../../contract/stats-postgres.ts";
import { type Asking, askTogether } from "./statistics-ask.ts";

/** Sizes of a server with very many databases take their time: of more only our own is measured. */
const MAX_DATABASES = 500;

const DATABASE = `SELECT current_database() AS database, split_part(current_setting('server_version'), ' ', 1) AS version,
    pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS "seesAll",
    pg_database_size((SELECT oid FROM pg_database WHERE datname = current_database())) AS size_bytes,
    d.xact_commit AS committed, d.xact_rollback AS rolled_back, d.deadlocks, d.temp_bytes,
    d.blks_hit::float8 / nullif(d.blks_hit + d.blks_read, 0) AS cache_hit_ratio,
    (SELECT sum(idx_blks_hit)::float8 / nullif(sum(idx_blks_hit + idx_blks_read), 0) FROM pg_statio_user_indexes) AS index_hit_ratio
  FROM pg_stat_database d WHERE d.datname = current_database()`;

const DATABASES = `SELECT datname AS name, pg_database_size(oid) AS size_bytes FROM (
    SELECT oid, datname FROM pg_database WHERE datallowconn AND has_database_privilege(oid, 'CONNECT') ORDER BY datname LIMIT ${MAX_DATABASES}
  ) open ORDER BY 2 DESC NULLS LAST, 1`;

/** Sessions of clients, ours among them. Of others their kind and state are hidden without pg_read_all_stats: a session in a database is one. */
const CONNECTIONS = `SELECT count(*) FILTER (WHERE is_client) AS used,
    current_setting('max_connections')::int AS max,
    (SELECT sum(setting::int)::int FROM pg_settings WHERE name IN ('superuser_reserved_connections', 'reserved_connections')) AS reserved,
    count(*) FILTER (WHERE is_client AND state = 'active') AS active,
    count(*) FILTER (WHERE is_client AND state = 'idle') AS idle,
    count(*) FILTER (WHERE is_client AND state LIKE 'idle in transaction%') AS idle_in_transaction,
    count(*) FILTER (WHERE wait_event_type = 'Lock') AS waiting
  FROM (SELECT state, wait_event_type, coalesce(backend_type = 'client backend', datid IS NOT NULL) AS is_client FROM pg_stat_activity) a`;

const WRAPAROUND = `SELECT age(datfrozenxid) AS xid_age, age(datfrozenxid) / 2147483648.0::float8 AS used_ratio, datname AS database,
    (SELECT max(mxid_age(datminmxid)) FROM pg_database) AS mxid_age
  FROM pg_database ORDER BY 1 DESC, 3 LIMIT 1`;

/** On a standby, those that follow it. A base backup is none. */
const REPLICAS = `SELECT coalesce(application_name, '') AS name, state,
    greatest(pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END, replay_lsn), 0)::int8 AS lag_bytes
  FROM pg_stat_replication WHERE state IS DISTINCT FROM 'backup' ORDER BY 1, pid`;

interface DatabaseRow {
  database: string;
  version: string;
  seesAll: boolean;
  size_bytes: number;
  committed: number;
  rolled_back: number;
  deadlocks: number;
  temp_bytes: number;
  cache_hit_ratio: number | null;
  index_hit_ratio: number | null;
}

type ServerStats = Pick<
  PostgresStats,
  | "database"
  | "version"
  | "size_bytes"
  | "databases"
  | "connections"
  | "cache_hit_ratio"
  | "index_hit_ratio"
  | "transactions"
  | "wraparound"
  | "replicas"
>;

type Rows = {
  of: DatabaseRow;
  databases: ServerStats["databases"][number];
  connections: ServerStats["connections"];
  wraparound: ServerStats["wraparound"];
  replicas: { name: string; state: string | null; lag_bytes: number | null };
};

const TEXTS = {
  of: DATABASE,
  databases: DATABASES,
  connections: CONNECTIONS,
  wraparound: WRAPAROUND,
  replicas: REPLICAS,
};

export async function serverStats(asking: Asking): Promise<ServerStats> {
  const {
    of: [row],
    databases,
    connections: [connections],
    wraparound: [wraparound],
    replicas,
  } = await askTogether<Rows>(asking, TEXTS);
  const { database, version, size_bytes, cache_hit_ratio, index_hit_ratio, seesAll, ...transactions } = row!;
  if (!seesAll) denied(asking, replicas.length > 0);
  return {
    database,
    version,
    size_bytes,
    databases,
    connections: seesAll
      ? connections!
      : { ...connections!, active: null, idle: null, idle_in_transaction: null, waiting: null },
    cache_hit_ratio,
    index_hit_ratio,
    transactions,
    wraparound: wraparound!,
    replicas: replicas.flatMap(({ name, state, lag_bytes }) =>
      state === null ? [] : [{ name, state, lag_bytes }],
    ),
  };
}

function denied({ connection, unknown }: Asking, hasReplicas: boolean): void {
  const { user } = connection.where;
  const what = hasReplicas
    ? "states and statements of other users' sessions, replicas"
    : "states and statements of other users' sessions";
  unknown.push({
    what,
    reason: `the user "${user}" is no member of pg_monitor`,
    hint: `GRANT pg_monitor TO "${user}"`,
  });
}
