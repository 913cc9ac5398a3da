import { bytes } from "../../../amounts.ts";
import type { Call } from "../../../call.ts";
import type { Found } from "../../../health/doctor/check.ts";
import { ask, listed, OF_USERS, type PostgresCheck, type PostgresScope, statement, TOP } from "./kit.ts";

interface Row {
  name: string;
  kept: string;
  table: string;
  size: number;
  constrained: boolean;
  clustered: boolean;
  exact: boolean;
  total: number;
}

/**
 * `shape`: what two indexes must share to be of the same use. `rank`: which of them stays: that of a constraint, a replica's identity, a
 * unique one, one of a partitioned table (it cannot be dropped) or by which the table is clustered, the older. Arrays of the catalogue count from 0.
 */
const INDEXES = `SELECT i.indexrelid, i.indrelid, i.indisunique, i.indkey::int2[] AS keys, i.indclass::oid[] AS classes,
    i.indcollation::oid[] AS collations, i.indoption::int2[] AS options, i.indnkeyatts AS width, c.relpages,
    concat_ws('|', c.relam, i.indimmediate, to_jsonb(i) ->> 'indnullsnotdistinct',
      coalesce(pg_get_expr(i.indpred, i.indrelid), '')) AS shape, coalesce(pg_get_expr(i.indexprs, i.indrelid), '') AS expressions,
    a.amname, c.relispartition AS inherited, i.indisclustered AS clustered, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name,
    EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid) AS constrained,
    (CASE WHEN i.indisprimary THEN 0 WHEN EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid) OR i.indisreplident THEN 1
      WHEN i.indisunique THEN 2 ELSE 3 END) AS rank
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_am a ON a.oid = c.relam
  WHERE i.indisvalid AND NOT i.indisexclusion AND c.relkind = 'i' AND ${OF_USERS}`;

const EXACT = `a.keys = b.keys AND a.width = b.width AND a.classes = b.classes AND a.collations = b.collations
  AND a.options = b.options AND a.expressions = b.expressions AND (a.rank, NOT a.clustered, a.indexrelid) > (b.rank, NOT (b.clustered OR b.inherited),
    CASE WHEN b.inherited THEN 0::oid ELSE b.indexrelid END)`;

/** The shorter one's columns begin the longer one's: nothing but columns, which are easy to compare. */
const PREFIX = `a.width < b.width AND a.amname = 'btree' AND NOT a.indisunique AND a.rank = 3 AND NOT a.clustered AND a.expressions = '' AND b.expressions = ''
  AND cardinality(a.keys) = a.width AND a.keys[0:a.width - 1] = b.keys[0:a.width - 1] AND a.classes[0:a.width - 1] = b.classes[0:a.width - 1]
  AND a.collations[0:a.width - 1] = b.collations[0:a.width - 1] AND a.options[0:a.width - 1] = b.options[0:a.width - 1]`;

const PAIRS = `WITH i AS MATERIALIZED (${INDEXES}),
  pairs AS (SELECT DISTINCT ON (a.indexrelid) a.*, b.name AS kept, (${EXACT}) AS exact
    FROM i a JOIN i b ON a.indrelid = b.indrelid AND a.shape = b.shape AND a.indexrelid <> b.indexrelid AND NOT a.inherited AND ((${EXACT}) OR (${PREFIX}))
    ORDER BY a.indexrelid, (${EXACT}) DESC, b.rank, b.indexrelid)
  SELECT name, kept, indrelid::regclass::text AS table, constrained, clustered, exact, count(*) OVER () AS total,
    relpages::int8 * current_setting('block_size')::int8 AS size
  FROM pairs ORDER BY exact DESC, relpages DESC, name LIMIT ${TOP}`;

export const duplicateIndex: PostgresCheck = {
  id: "postgres-duplicate-index",
  area: "postgres",
  title: "two indexes do the same",
  looks:
    "pg_index: same table, columns, operator classes, expressions and predicate; or the beginning of another",
  async run(call: Call, scope: PostgresScope): Promise<Found[]> {
    const rows = await ask<Row>(call, scope, PAIRS);
    return listed(rows, "duplicate indexes", (row) => describe(row, scope.thresholds.large));
  },
};

function describe({ name, kept, table, size, constrained, clustered, exact }: Row, large: number): Found {
  const found = {
    subject: `index ${name}`,
    cause: "both are written on every change, and one of them serves every query of the other",
  };
  if (!exact) {
    return {
      ...found,
      severity: "info",
      evidence: `its columns are the first ones of index ${kept} of table ${table}; ${bytes(size)}`,
      remedies: [statement(`DROP INDEX CONCURRENTLY ${name}`)],
      advice: "keep it where it is much smaller than the other one and used often",
    };
  }
  return {
    ...found,
    severity: size >= large ? "warning" : "info",
    evidence: `it is the same as index ${kept} of table ${table}; ${bytes(size)}`,
    remedies: constrained || clustered ? [] : [statement(`DROP INDEX CONCURRENTLY ${name}`)],
    ...(constrained
      ? { advice: `both belong to constraints: drop one of them, ALTER TABLE ${table} DROP CONSTRAINT …` }
      : clustered
        ? { advice: `CLUSTER goes by it: first ALTER TABLE ${table} CLUSTER ON the other one, then drop it` }
        : {}),
  };
}
