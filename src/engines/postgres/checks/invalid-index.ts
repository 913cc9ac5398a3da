import { bytes } from "../../../amounts.ts";
import type { Found } from "../../../health/doctor/check.ts";
import { ask, listed, maintain, type PostgresCheck, statement, TOP } from "./kit.ts";

interface Row {
  name: string;
  table: string;
  size: number;
  partitioned: boolean;
  leftover: boolean;
  unique: boolean;
  total: number;
}

/** Not those that a session builds at this moment. */
const INVALID = `SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name, i.indrelid::regclass::text AS table,
    c.relpages::int8 * current_setting('block_size')::int8 AS size, c.relkind = 'I' AS partitioned,
    c.relname ~ '_cc(new|old)[0-9]*$' AS leftover, i.indisunique AS unique, count(*) OVER () AS total
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE NOT i.indisvalid AND n.nspname !~ '^pg_temp_'
    AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.relid = i.indrelid)
  ORDER BY c.relpages DESC, name LIMIT ${TOP}`;

export const invalidIndex: PostgresCheck = {
  id: "postgres-invalid-index",
  area: "postgres",
  title: "an index is invalid",
  looks: "pg_index.indisvalid",
  async run(call, scope) {
    return listed(await ask<Row>(call, scope, INVALID), "invalid indexes", describe);
  },
};

function describe({ name, table, size, partitioned, leftover, unique }: Row): Found {
  const found = {
    severity: "warning",
    subject: `index ${name}`,
    evidence: `it is marked invalid; ${bytes(size)} on table ${table}`,
  } as const;
  if (partitioned) {
    return {
      ...found,
      severity: "info",
      cause: "not every partition has a part of this index yet: until then no query uses it as a whole",
      remedies: [],
      advice: `create the index on the partitions that lack it, then ALTER INDEX ${name} ATTACH PARTITION for each`,
    };
  }
  if (leftover) {
    return {
      ...found,
      cause:
        "a REINDEX CONCURRENTLY was broken off and left this copy: it costs every write and serves no query",
      remedies: [statement(`DROP INDEX CONCURRENTLY ${name}`)],
    };
  }
  return {
    ...found,
    cause:
      "a CREATE INDEX CONCURRENTLY failed or was broken off: every write pays for the index, no query uses it",
    // not REINDEX by itself: each time it fails it leaves one more index
    remedies: [maintain(!unique)],
    ...(unique
      ? {
          advice: `a unique index is only built when no values occur twice: while they do, the command leaves it out. Delete those rows first, or drop it: DROP INDEX CONCURRENTLY ${name}`,
        }
      : {}),
  };
}
