import type { PostgresStats } from "../../contract/stats-postgres.ts";
import { excerpt } from "./checks/words.ts";
import { sqlState } from "./errors.ts";
import { identifier } from "./quoting.ts";
import { type Asking, ask } from "./statistics-ask.ts";

type SlowStatements = PostgresStats["slow_statements"];

/** Its column of the total time was renamed in 1.8 (PostgreSQL 13). */
const EXTENSION = `SELECT n.nspname AS schema, EXISTS (SELECT FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE c.relnamespace = n.oid AND c.relname = 'pg_stat_statements' AND a.attname = 'total_exec_time') AS renamed
  FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements'`;

const PRELOAD =
  "add pg_stat_statements to shared_preload_libraries in postgresql.conf and restart the server";
const CREATE = 'opsctl query postgres "CREATE EXTENSION pg_stat_statements" --write';

/** Statements of the current database by total time; texts of other users are there for pg_monitor only. */
export async function slowStatements(asking: Asking): Promise<SlowStatements> {
  const [extension] = await ask<{ schema: string; renamed: boolean }>(asking, EXTENSION);
  if (!extension) {
    const hint = `${PRELOAD}, then: ${CREATE}`;
    return { available: false, hint, statements: [] };
  }
  const time = extension.renamed ? "exec_time" : "time";
  const text = `SELECT coalesce(query, '') AS query, calls, total_${time} AS total_ms, mean_${time} AS mean_ms, rows
    FROM ${identifier(extension.schema)}.pg_stat_statements
    WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY total_${time} DESC LIMIT $1`;
  try {
    const statements = await ask<SlowStatements["statements"][number]>(asking, text, [asking.top]);
    return {
      available: true,
      hint: null,
      statements: statements.map((one) => ({ ...one, query: excerpt(one.query) })),
    };
  } catch (error) {
    const hint = HINTS[sqlState(error) ?? ""];
    if (hint === undefined) throw error;
    return { available: false, hint: hint(asking.connection.where.user, extension.schema), statements: [] };
  }
}

/** 55000: its library is not loaded. 42501: this user may not read it. */
const HINTS: Readonly<Record<string, (user: string, schema: string) => string>> = {
  "55000": () => PRELOAD,
  "42501": (user, schema) =>
    `GRANT USAGE ON SCHEMA ${identifier(schema)} TO ${identifier(user)}; GRANT SELECT ON ${identifier(schema)}.pg_stat_statements TO ${identifier(user)}`,
};
