import { bytes } from "../../../amounts.ts";
import type { Call } from "../../../call.ts";
import type { Found } from "../../../health/doctor/check.ts";
import {
  ask,
  listed,
  OF_USERS,
  type PostgresCheck,
  type PostgresScope,
  sizeOf,
  statement,
  TOP,
  toSet,
} from "./kit.ts";

const OFF =
  "SELECT name FROM pg_settings WHERE name IN ('autovacuum', 'track_counts') AND setting = 'off' ORDER BY name";

const TABLES = `WITH off AS MATERIALIZED (SELECT c.oid, c.relpages, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'm') AND ${OF_USERS} AND EXISTS (SELECT FROM pg_options_to_table(c.reloptions)
      WHERE option_name = 'autovacuum_enabled' AND NOT option_value::bool)),
  sized AS MATERIALIZED (SELECT c.*, ${sizeOf("c")} AS size FROM off c)
  SELECT name, size, count(*) OVER () AS total FROM sized ORDER BY size DESC, name LIMIT ${TOP}`;

const CAUSE = "dead rows and old transaction ids stay until somebody vacuums by hand, and statistics get old";

export const autovacuumOff: PostgresCheck = {
  id: "postgres-autovacuum-off",
  area: "postgres",
  title: "autovacuum is off",
  looks: "autovacuum, track_counts, the storage parameter autovacuum_enabled of tables",
  async run(call, scope) {
    const found: Found[] = [];
    for (const { name } of await ask<{ name: string }>(call, scope, OFF)) {
      found.push({
        severity: "warning",
        subject: name,
        evidence: `${name} = off for the whole server`,
        cause: CAUSE,
        ...(await toSet(call, scope, name, "on", true)),
      });
    }
    return [...found, ...(await tables(call, scope))];
  },
};

async function tables(call: Call, scope: PostgresScope): Promise<Found[]> {
  const rows = await ask<{ name: string; size: number; total: number }>(call, scope, TABLES);
  return listed(rows, "tables without autovacuum", ({ name, size }) => ({
    severity: size >= scope.thresholds.large ? "warning" : "info",
    subject: `table ${name}`,
    evidence: `autovacuum_enabled = false for this table; ${bytes(size)}`,
    cause: CAUSE,
    remedies: [statement(`ALTER TABLE ${name} RESET (autovacuum_enabled)`)],
  }));
}
