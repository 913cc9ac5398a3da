/** Ids of transactions that are used up, for wraparound of both kinds. */
import type { Call } from "../../../call.ts";
import type { Found } from "../../../health/doctor/check.ts";
import { ask, type PostgresScope, statement } from "./kit.ts";
import { number, percent } from "./words.ts";

/** Half of the 32-bit circle is the past: what is older would be the future. */
const IDS = 2 ** 31;
/** More tables than these are one job. */
const TABLES = 5;

export interface IdKind {
  /** `transaction ids`. */
  what: string;
  /** SQL: the age of a database `d`, of a table `c` with its TOAST table `t`. */
  ofDatabase: string;
  ofTable: string;
  cause: string;
}

/** Databases whose oldest id is beyond the limit, with what freezes it. */
export async function nearWraparound(call: Call, scope: PostgresScope, kind: IdKind): Promise<Found[]> {
  const { wraparound } = scope.thresholds;
  const limit = (wraparound / 100) * IDS;
  const databases = await ask<{ name: string; age: number; here: boolean; open: boolean }>(
    call,
    scope,
    `SELECT datname AS name, ${kind.ofDatabase}::int8 AS age, datname = current_database() AS here, datallowconn AS open
     FROM pg_database d WHERE ${kind.ofDatabase} >= $1 ORDER BY 2 DESC, 1`,
    [Math.ceil(limit)],
  );
  const tables = databases.some(({ here }) => here) ? await oldTables(call, scope, kind, limit) : [];
  return databases.map(({ name, age, here, open }) => {
    const share = (100 * age) / IDS;
    return {
      severity: share >= 2 * wraparound ? "error" : "warning",
      subject: `database ${name}`,
      evidence: `its oldest row is ${number(age)} ${kind.what} old: ${percent(share)} of the way to wraparound${here && tables.length > 0 ? `; oldest table: ${tables[0]}` : ""}`,
      cause: kind.cause,
      remedies: here ? freezing(tables) : [],
      advice: here
        ? "where it does not help, something old holds it back: see postgres-long-transaction, postgres-prepared-transaction and postgres-replication-slot"
        : open
          ? `with DATABASE_URL naming the database ${name}: opsctl query postgres "VACUUM (FREEZE)" --write`
          : "nobody may connect to it: autovacuum freezes it by itself; see that it runs (postgres-autovacuum-off)",
    };
  });
}

async function oldTables(call: Call, scope: PostgresScope, kind: IdKind, limit: number): Promise<string[]> {
  const rows = await ask<{ name: string }>(
    call,
    scope,
    `SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
     WHERE c.relkind IN ('r', 'm') AND ${kind.ofTable} >= $1 ORDER BY ${kind.ofTable} DESC, 1 LIMIT ${TABLES + 1}`,
    [Math.ceil(limit)],
  );
  return rows.map(({ name }) => name);
}

function freezing(tables: readonly string[]): Found["remedies"] {
  if (tables.length === 0 || tables.length > TABLES) return [statement("VACUUM (FREEZE)", true)];
  return tables.map((name) => statement(`VACUUM (FREEZE) ${name}`, true));
}
