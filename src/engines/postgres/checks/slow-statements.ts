import type { Call } from "../../../call.ts";
import { type Found, Unknowable } from "../../../health/doctor/check.ts";
import { sqlState } from "../errors.ts";
import { ask, hidden, type PostgresCheck, type PostgresScope, statement } from "./kit.ts";
import { quoted } from "./sessions.ts";
import { duration, number, percent } from "./words.ts";

/** A statement that is this slow, this often, is worth a person's time. */
const MEAN_MS = 1000;
const CALLS = 10;
const NAMED = 5;

interface Row {
  query: string;
  calls: number;
  mean_ms: number;
  total_ms: number;
  share: number;
}

/** Of this database; maintenance and dumps are slow by nature. */
const SLOW = (
  view: string,
) => `SELECT left(query, 1000) AS query, calls, mean_exec_time AS mean_ms, total_exec_time AS total_ms,
    100 * total_exec_time / nullif((SELECT sum(total_exec_time) FROM ${view}), 0) AS share
  FROM ${view} WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND calls >= ${CALLS} AND mean_exec_time >= $1 AND query !~* '^\\s*(vacuum|analyze|reindex|cluster|copy|create|alter|refresh|checkpoint)\\y'
  ORDER BY total_exec_time DESC LIMIT ${NAMED}`;

const EXTENSION = `SELECT quote_ident(n.nspname) AS schema, pg_has_role('pg_read_all_stats', 'USAGE') AS all,
    has_schema_privilege(n.oid, 'USAGE') AS enters, has_table_privilege(v.oid, 'SELECT') AS reads,
    (SELECT setting FROM pg_settings WHERE name = 'shared_preload_libraries') AS libraries
  FROM (SELECT 1) one LEFT JOIN pg_extension e ON extname = 'pg_stat_statements' LEFT JOIN pg_namespace n ON n.oid = e.extnamespace
    LEFT JOIN pg_class v ON v.relnamespace = n.oid AND v.relname = 'pg_stat_statements'`;

interface Extension {
  schema: string | null;
  all: boolean;
  enters: boolean | null;
  reads: boolean | null;
  libraries: string | null;
}

export const slowStatements: PostgresCheck = {
  id: "postgres-slow-statements",
  area: "postgres",
  title: "statements are slow, or nothing counts them",
  looks: "pg_stat_statements: mean and total time",
  async run(call, scope) {
    const [row] = await ask<Extension>(call, scope, EXTENSION);
    const extension = row!;
    if (extension.schema === null) return [missing(extension)];
    const view = `${extension.schema}.pg_stat_statements`;
    if (!extension.enters || !extension.reads) throw hidden(scope, "pg_stat_statements", GRANTS(extension));
    const rows = await slowOnes(call, scope, view);
    if (rows === undefined) return [notLoaded()];
    if (!extension.all && rows.length === 0) throw hidden(scope, "the statements of other roles");
    return rows.map(describe);
  },
};

/** pg_monitor reads the statements of others in the view; it does not open the view. */
const GRANTS = ({ schema, all }: Extension) => [
  `GRANT USAGE ON SCHEMA ${schema} TO`,
  `GRANT SELECT ON ${schema}.pg_stat_statements TO`,
  ...(all ? [] : ["GRANT pg_monitor TO"]),
];

/** Undefined: the extension is there, its library is not loaded. */
async function slowOnes(call: Call, scope: PostgresScope, view: string): Promise<Row[] | undefined> {
  try {
    return await ask<Row>(call, scope, SLOW(view), [MEAN_MS]);
  } catch (error) {
    if (error instanceof Unknowable || sqlState(error) !== "55000") throw error;
    return undefined;
  }
}

function describe({ query, calls, mean_ms, total_ms, share }: Row): Found {
  return {
    severity: share >= 10 ? "warning" : "info",
    subject: "statement",
    evidence: `${quoted(query)}: ${number(mean_ms)} ms on average, ${number(calls)} calls, ${duration(total_ms / 1000)} in all, ${percent(share)} of all time`,
    cause: "an index is missing, or it reads more than it needs",
    remedies: [],
    advice: "look at its plan with opsctl query postgres --explain and values of your own",
  };
}

function notCounted(): Pick<Found, "severity" | "subject" | "evidence" | "cause"> {
  return {
    severity: "info",
    subject: "pg_stat_statements",
    evidence: "it is not available in this database",
    cause: "nobody counts which statements take the time",
  };
}

const PRELOAD =
  "in postgresql.conf: shared_preload_libraries = 'pg_stat_statements' (beside what is there), then restart the server";

function notLoaded(): Found {
  return { ...notCounted(), evidence: "its library is not loaded", remedies: [], advice: PRELOAD };
}

function missing({ libraries }: Extension): Found {
  // hidden from roles without pg_read_all_settings
  if (libraries?.includes("pg_stat_statements") === true) {
    return {
      ...notCounted(),
      remedies: [statement("CREATE EXTENSION IF NOT EXISTS pg_stat_statements", true)],
    };
  }
  const advice = `${PRELOAD}, then: opsctl query postgres "CREATE EXTENSION pg_stat_statements" --write`;
  return { ...notCounted(), remedies: [], advice };
}
