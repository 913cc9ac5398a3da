import { bytes } from "../../../amounts.ts";
import type { Call } from "../../../call.ts";
import type { Found } from "../../../health/doctor/check.ts";
import { ask, hidden, type PostgresCheck, type PostgresScope, TOP } from "./kit.ts";
import { duration } from "./words.ts";

/** A replica is behind from so many times the size that counts as large on; or by this time. */
const LARGE = 16;
const BEHIND_SECONDS = 60;

interface Row {
  name: string;
  state: string | null;
  lag: number | null;
}

/** What a client that only receives WAL (pg_receivewal) does not report is taken from what it has written. A base backup is no replica. */
const REPLICAS = `SELECT coalesce(nullif(application_name, ''), host(client_addr), pid::text) AS name, state,
    pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END,
      coalesce(replay_lsn, flush_lsn, write_lsn, sent_lsn))::int8 AS lag
  FROM pg_stat_replication WHERE state IS DISTINCT FROM 'backup' ORDER BY lag DESC NULLS LAST, name LIMIT ${TOP}`;

/** Without new transactions the last one gets old by itself: only with WAL that waits it is a lag. */
const STANDBY = `SELECT pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::int8 AS lag,
    extract(epoch FROM now() - pg_last_xact_replay_timestamp())::float8 AS seconds WHERE pg_is_in_recovery()`;

export const replicaLag: PostgresCheck = {
  id: "postgres-replica-lag",
  area: "postgres",
  title: "a replica is behind",
  looks: "pg_stat_replication; on a replica its own replay",
  async run(call, scope) {
    const rows = await ask<Row>(call, scope, REPLICAS);
    const behind = rows.filter(({ lag }) => (lag ?? 0) >= LARGE * scope.thresholds.large);
    const found = [...(await itself(call, scope)), ...behind.map(describe)];
    const unseen = rows.filter(({ state }) => state === null).length;
    if (found.length === 0 && unseen > 0) throw hidden(scope, `the state of ${unseen} replicas`);
    return found;
  },
};

function describe({ name, state, lag }: Row): Found {
  return {
    severity: "warning",
    subject: `replica ${name}`,
    evidence: `${bytes(lag ?? 0)} of WAL behind, state ${state}`,
    cause:
      "its network or disk does not keep up, or a query there stops the replay: after a failover that much is lost, reads there are old",
    remedies: [],
    advice: "look at load, disk and long queries of the replica (opsctl doctor with its DATABASE_URL)",
  };
}

async function itself(call: Call, scope: PostgresScope): Promise<Found[]> {
  const [row] = await ask<{ lag: number | null; seconds: number | null }>(call, scope, STANDBY);
  if (!row?.lag || (row.seconds ?? 0) < BEHIND_SECONDS) return [];
  return [
    {
      severity: "warning",
      subject: "this replica",
      evidence: `it replays what was written ${duration(row.seconds ?? 0)} ago; ${bytes(row.lag)} of WAL wait`,
      cause: "a long query stops the replay, or the disk does not keep up: what is read here is old",
      remedies: [],
      advice: "end long queries here, or lower max_standby_streaming_delay",
    },
  ];
}
