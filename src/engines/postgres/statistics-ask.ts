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

/** User's relations: not the server's own, not those of sessions. For `pg_class c` and `pg_namespace n`. */
export const USER_RELATION = `n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' AND c.relpersistence <> 't'`;
