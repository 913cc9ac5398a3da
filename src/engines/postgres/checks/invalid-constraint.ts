import { ask, listed, OF_USERS, type PostgresCheck, statement, TOP } from "./kit.ts";

interface Row {
  name: string;
  table: string;
  foreign: boolean;
  total: number;
}

const NOT_VALID = `SELECT quote_ident(k.conname) AS name, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS table, k.contype = 'f' AS foreign,
    count(*) OVER () AS total
  FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE NOT k.convalidated AND k.contype IN ('c', 'f', 'n') AND ${OF_USERS}
    AND coalesce((to_jsonb(k) ->> 'conenforced')::bool, true) ORDER BY 2, 1 LIMIT ${TOP}`;

export const invalidConstraint: PostgresCheck = {
  id: "postgres-invalid-constraint",
  area: "postgres",
  title: "a constraint was never validated",
  looks: "pg_constraint.convalidated",
  async run(call, scope) {
    const rows = await ask<Row>(call, scope, NOT_VALID);
    return listed(rows, "constraints that are not valid", ({ name, table, foreign }) => ({
      severity: "warning",
      subject: `constraint ${name} of table ${table}`,
      evidence: `${foreign ? "a foreign key" : "a check"} that is NOT VALID`,
      cause:
        "it holds for new rows only: older ones may break it, and a restore of such a dump would not notice",
      remedies: [statement(`ALTER TABLE ${table} VALIDATE CONSTRAINT ${name}`, true)],
      advice: "the command names the first row that breaks it: mend the rows, then run it again",
    }));
  },
};
