import { bytes } from "../../../amounts.ts";
import type { Found } from "../../../health/doctor/check.ts";
import { literal } from "../quoting.ts";
import { ask, listed, type PostgresCheck, statement, TOP } from "./kit.ts";

interface Row {
  name: string;
  kind: string;
  status: string | null;
  retained: number;
  max: number;
  total: number;
}

/** So many times max_wal_size fill the disk before anybody looks again. */
const TOO_MUCH = 4;

const IDLE = `SELECT slot_name AS name, slot_type AS kind, wal_status AS status, pg_size_bytes(current_setting('max_wal_size')) AS max,
    coalesce(pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, restart_lsn), 0)::int8 AS retained,
    count(*) OVER () AS total
  FROM pg_replication_slots WHERE NOT active AND (restart_lsn IS NOT NULL OR wal_status = 'lost') ORDER BY retained DESC, name LIMIT ${TOP}`;

export const replicationSlot: PostgresCheck = {
  id: "postgres-replication-slot",
  area: "postgres",
  title: "a replication slot keeps WAL for nobody",
  looks: "pg_replication_slots: inactive ones and the WAL that they retain",
  async run(call, scope) {
    const rows = await ask<Row>(call, scope, IDLE);
    return listed(rows, "inactive slots", (row) => describe(row, scope.thresholds.large));
  },
};

function describe({ name, kind, status, retained, max }: Row, large: number): Found {
  const isLost = status === "lost";
  return {
    severity: isLost
      ? "warning"
      : retained >= TOO_MUCH * max
        ? "error"
        : retained >= large
          ? "warning"
          : "info",
    subject: `replication slot ${name}`,
    evidence: isLost
      ? `inactive, and WAL that it needs is gone (${kind})`
      : `inactive, and keeps ${bytes(retained)} of WAL (${kind}; max_wal_size is ${bytes(max)})`,
    cause: isLost
      ? "max_slot_wal_keep_size was passed: whoever used the slot must start anew"
      : "no replica reads from it: the server keeps all WAL since, until the disk is full, and vacuum may keep dead rows for it",
    remedies: [statement(`SELECT pg_drop_replication_slot(${literal(name)})`)],
    advice:
      "start its replica again, or drop the slot when that is gone for good; max_slot_wal_keep_size bounds what slots may keep",
  };
}
