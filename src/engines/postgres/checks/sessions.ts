/** Sessions of the server as the checks look at them. */
import type { Call } from "../../../call.ts";
import type { Found } from "../../../health/doctor/check.ts";
import { ask, hidden, type PostgresScope, TOP } from "./kit.ts";
import { excerpt } from "./words.ts";

export interface SessionRow {
  pid: number;
  user: string | null;
  database: string | null;
  application: string | null;
  address: string | null;
  /** Null: hidden from this role. */
  state: string | null;
  query: string | null;
  /** How long what was asked about takes. */
  seconds: number;
  total: number;
}

/**
 * Sessions of clients, longest first.
 * @param since the column that `seconds` counts from
 * @param condition on pg_stat_activity, `$1` is `limit`, seconds
 */
export function sessionsOver(
  call: Call,
  scope: PostgresScope,
  since: "xact_start" | "state_change",
  condition: string,
  limit: number,
): Promise<SessionRow[]> {
  return ask<SessionRow>(
    call,
    scope,
    `SELECT ${SESSION}, extract(epoch FROM clock_timestamp() - ${since})::float8 AS seconds, count(*) OVER () AS total
     FROM pg_stat_activity a WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
       AND clock_timestamp() - ${since} > $1 * interval '1 second' AND ${condition}
     ORDER BY ${since} LIMIT ${TOP}`,
    [limit],
  );
}

/** Columns of a session, of pg_stat_activity as `a`. */
export const SESSION = `a.pid, a.usename AS user, a.datname AS database, a.application_name AS application, host(a.client_addr) AS address,
  a.state, left(a.query, 1000) AS query`;

/** `user app, database shop, psql from 10.0.0.3`. */
export function identityOf({
  user,
  database,
  application,
  address,
}: Pick<SessionRow, "user" | "database" | "application" | "address">): string {
  const program = application === null || application === "" ? "" : `, ${application}`;
  return `user ${user ?? "?"}, database ${database ?? "?"}${program}${address === null ? "" : ` from ${address}`}`;
}

/** `“UPDATE orders SET …”`. */
export function quoted(query: string | null): string {
  return `“${excerpt(query)}”`;
}

/**
 * What was found; nothing only counts when every session could be seen.
 * @throws Unknowable
 */
export async function whenAllSeen(call: Call, scope: PostgresScope, found: Found[]): Promise<Found[]> {
  if (found.length > 0) return found;
  const [row] = await ask<{ others: number }>(
    call,
    scope,
    `SELECT count(*) AS others FROM pg_stat_activity
     WHERE usesysid IS NOT NULL AND datid IS NOT NULL AND query = '<insufficient privilege>'`,
  );
  if (row!.others > 0) throw hidden(scope, `what ${row!.others} sessions of other roles do`);
  return [];
}
