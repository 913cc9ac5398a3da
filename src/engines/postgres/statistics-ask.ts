/** How the figures are asked for. */
import type { Call } from "../../call.ts";
import type { PostgresStats } from "../../contract/stats-postgres.ts";
import type { PostgresConnection } from "./connect.ts";
import { sqlState } from "./errors.ts";

export interface Asking {
  call: Call;
  connection: PostgresConnection;
  /** What could not be known; entries are added. */
  unknown: PostgresStats["unknown"];
  /** Rows of lists at most. */
  top: number;
}

/** A database or relation went while it was measured, or somebody locked it just then. */
const PASSING: ReadonlySet<string | undefined> = new Set(["3D000", "42P01", "XX000", "55P03"]);
const ATTEMPTS = 4;

/** Rows of a statement that looks at objects others may drop meanwhile: asked again then. */
export async function ask<R extends object>(
  { call, connection }: Asking,
  text: string,
  params: readonly unknown[] = [],
): Promise<R[]> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await connection.query<R>(call, text, params);
    } catch (error) {
      if (attempt >= ATTEMPTS || !PASSING.has(sqlState(error))) throw error;
    }
  }
}

/**
 * The rows of several statements in one round trip, by their names here: far away a dozen of them would take seconds. As JSON knows no other,
 * moments are text, and an oid must be cast to a number.
 */
export async function askTogether<R extends Record<string, object>>(
  asking: Asking,
  texts: { [K in keyof R]: string },
  params: readonly unknown[] = [],
): Promise<{ [K in keyof R]: R[K][] }> {
  const columns = Object.entries<string>(texts).map(
    ([name, text]) => `(SELECT coalesce(json_agg(r), '[]') FROM (${text}) r) AS "${name}"`,
  );
  const [row] = await ask<{ [K in keyof R]: R[K][] }>(asking, `SELECT ${columns.join(", ")}`, params);
  return row!;
}

/**
 * Rows of a table. What a session has loaded is counted when it is idle again, or not at all after a crash or a reset of the statistics, while
 * ANALYZE and VACUUM write theirs at once: where the two differ by more than what was changed since, that estimate holds.
 * @param alias of its row of pg_class
 */
export function liveRows(alias: string): string {
  return `CASE WHEN ${alias}.reltuples > 0 AND abs(${alias}.reltuples - pg_stat_get_live_tuples(${alias}.oid))
      > ${alias}.reltuples / 10 + pg_stat_get_mod_since_analyze(${alias}.oid)
    THEN ${alias}.reltuples::int8 ELSE pg_stat_get_live_tuples(${alias}.oid) END`;
}

/** User's relations: not the server's own, not those of sessions. For `pg_class c` and `pg_namespace n`. */
export const USER_RELATION = `n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' AND c.relpersistence <> 't'`;
