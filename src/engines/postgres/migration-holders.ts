import type { Ask } from "./migration-history.ts";

/** A session that others wait for, as far as this user may see it. */
export interface Holder {
  /** 0: a prepared transaction. */
  pid: number;
  application: string | null;
  address: string | null;
  state: string | null;
  seconds: number | null;
}

const ABOUT = `a.application_name AS application, host(a.client_addr) AS address, a.state,
  extract(epoch FROM clock_timestamp() - a.backend_start)::float8 AS seconds`;

/** Who holds an advisory lock of two keys in this database. */
export async function lockHolder(ask: Ask, key: readonly [number, number]): Promise<Holder | undefined> {
  const rows = await ask<Holder>(
    `SELECT l.pid, ${ABOUT}
     FROM pg_locks l JOIN pg_database d ON d.oid = l.database LEFT JOIN pg_stat_activity a ON a.pid = l.pid
     WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND d.datname = current_database()
       AND l.classid = $1::bigint::oid AND l.objid = $2::bigint::oid`,
    key,
  );
  return rows[0];
}

/** For whom a backend waits at this moment. */
export function blockersOf(ask: Ask, pid: number): Promise<Holder[]> {
  return ask<Holder>(
    `SELECT b.pid, ${ABOUT}
     FROM (SELECT DISTINCT unnest(pg_blocking_pids($1)) AS pid) b LEFT JOIN pg_stat_activity a ON a.pid = b.pid
     ORDER BY b.pid LIMIT 3`,
    [pid],
  );
}

/** `backend 4711 (psql, from 10.0.0.1, idle in transaction, connected for 12 s)` */
export function describeHolder({ pid, application, address, state, seconds }: Holder): string {
  if (pid === 0) return "a prepared transaction";
  const about = [
    application || "unnamed",
    address && `from ${address}`,
    state,
    seconds !== null && `connected for ${Math.round(seconds)} s`,
  ];
  return `backend ${pid} (${about.filter(Boolean).join(", ")})`;
}

/** How to get rid of a session that does not end by itself. */
export function endHint({ pid }: Holder): string {
  return pid === 0
    ? "look at pg_prepared_xacts: COMMIT PREPARED or ROLLBACK PREPARED ends it"
    : `wait for it, or end it: SELECT pg_terminate_backend(${pid})`;
}
