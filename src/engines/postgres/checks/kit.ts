/** What the checks of PostgreSQL share: how they ask, and the commands that mend. */
import type { Call } from "../../../call.ts";
import { type Check, type Found, type Remedy, Unknowable } from "../../../health/doctor/check.ts";
import type { EngineScope } from "../../../health/doctor/scope.ts";
import type { PostgresConnection } from "../connect.ts";
import { sqlState } from "../errors.ts";
import { identifier, literal } from "../quoting.ts";

export type PostgresScope = EngineScope<PostgresConnection>;
export type PostgresCheck = Check<PostgresScope>;

/** Findings of one check that are named; what is beyond is counted. */
export const TOP = 10;

/** Schemas `n` of users: neither the system's nor temporary ones. */
export const OF_USERS = "n.nspname !~ '^pg_(toast|temp_|catalog$)' AND n.nspname <> 'information_schema'";

/** Missing views, functions and columns: another version, or a server that only speaks the protocol. */
const UNKNOWN_THINGS: readonly (string | undefined)[] = ["42P01", "42883", "42703", "42704", "0A000"];

/** @throws Unknowable where the role may not look, or this version has no such thing; OpsError of the connection */
export async function ask<R extends object>(
  call: Call,
  scope: PostgresScope,
  text: string,
  params: readonly unknown[] = [],
): Promise<R[]> {
  try {
    return await scope.connection.query<R>(call, text, params);
  } catch (error) {
    const state = sqlState(error);
    if (state === "42501") throw hidden(scope, "what this check looks at");
    if (UNKNOWN_THINGS.includes(state)) {
      throw new Unknowable("this version of the server does not have what this check looks at");
    }
    throw error;
  }
}

/**
 * The role may not see `what`.
 * @param grants what lets it, each without the role at its end
 */
export function hidden(
  { connection }: PostgresScope,
  what: string,
  grants: readonly string[] = ["GRANT pg_monitor TO"],
): Unknowable {
  const { user } = connection.where;
  const statements = grants.map((grant) => `${grant} ${identifier(user)}`);
  return new Unknowable(`the role "${user}" may not see ${what}`, `as a superuser: ${statements.join("; ")}`);
}

/** What only a superuser sees. */
export function superuserOnly({ connection }: PostgresScope, what: string): Unknowable {
  return new Unknowable(
    `the role "${connection.where.user}" may not see ${what}`,
    "run doctor once with a superuser in DATABASE_URL",
  );
}

/** All of the maintenance that is due, this among it. */
export function maintain(safe: boolean): Remedy {
  return { argv: ["opsctl", "maintain", "postgres", "--yes"], safe };
}

/** A statement on the server that was looked at. */
export function statement(text: string, safe = false): Remedy {
  return { argv: ["opsctl", "query", "postgres", text, "--write"], safe };
}

/**
 * Bytes of a relation's main file. Asking for the size of one that somebody holds exclusively would wait for him: there the statistics
 * answer.
 * @param alias of its row of pg_class
 */
export function sizeOf(alias: string): string {
  return `CASE WHEN ${alias}.oid = ANY (ARRAY(SELECT relation FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation IS NOT NULL))
    THEN ${alias}.relpages::int8 * current_setting('block_size')::int8 ELSE coalesce(pg_relation_size(${alias}.oid), 0) END`;
}

/** Rows as findings; when there are more than were read, one more says how many. */
export function listed<R extends { total: number }>(
  rows: readonly R[],
  what: string,
  describe: (row: R) => Found,
): Found[] {
  const found = rows.map(describe);
  const rest = (rows[0]?.total ?? 0) - rows.length;
  const last = found.at(-1);
  if (last === undefined || rest <= 0) return found;
  const { severity, cause } = last;
  const evidence = `the first ${rows.length} are named here`;
  const advice = "mend those first, then run this check again";
  return [...found, { severity, subject: `${rest} more ${what}`, evidence, cause, remedies: [], advice }];
}

interface SettingRow {
  source: string;
  context: string;
  permitted: boolean;
  file: string | null;
}

/** How a setting is changed on this server, by this role. `safe` says whether the change itself is. */
export async function toSet(
  call: Call,
  scope: PostgresScope,
  name: string,
  value: string,
  safe = false,
): Promise<Pick<Found, "remedies" | "advice">> {
  const [row] = await ask<SettingRow>(
    call,
    scope,
    `SELECT source, context, current_setting('is_superuser') = 'on' AS permitted,
       (SELECT setting FROM pg_settings WHERE name = 'config_file') AS file FROM pg_settings WHERE name = $1`,
    [name],
  );
  const { source, context, permitted, file } = row!;
  const then = context === "postmaster" ? "restart the server" : "reload it: SELECT pg_reload_conf()";
  if (source === "command line") {
    return {
      remedies: [],
      advice: `it is set on the server's command line: change it there (-c ${name}=${value}) and restart`,
    };
  }
  if (!permitted || context === "postmaster") {
    return {
      remedies: [],
      advice: `in ${file ?? "postgresql.conf"}: ${name} = ${literal(value)}; then ${then}`,
    };
  }
  return {
    remedies: [
      statement(`ALTER SYSTEM SET ${name} = ${literal(value)}`, safe),
      statement("SELECT pg_reload_conf()", safe),
    ],
  };
}
