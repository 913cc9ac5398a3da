import { bytes } from "../../../amounts.ts";
import { ask, listed, OF_USERS, type PostgresCheck, sizeOf, statement, TOP } from "./kit.ts";
import { number } from "./words.ts";

interface Row {
  constraint: string;
  name: string;
  parent: string;
  columns: string;
  size: number;
  rows: number;
  partitioned: boolean;
  total: number;
}

/** The columns of the key, in any order, must be the first ones of an index over all rows. */
const UNINDEXED = `WITH keys AS MATERIALIZED (SELECT c.oid, c.relpages, c.reltuples, c.relkind, k.conname, k.confrelid, k.conkey,
      quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE k.contype = 'f' AND k.conparentid = 0 AND ${OF_USERS} AND NOT EXISTS (SELECT FROM pg_index i
      WHERE i.indrelid = k.conrelid AND i.indisvalid AND i.indpred IS NULL AND i.indnkeyatts >= cardinality(k.conkey)
        AND (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey)),
  sized AS MATERIALIZED (SELECT c.*, ${sizeOf("c")} AS size FROM keys c)
  SELECT quote_ident(conname) AS constraint, name, confrelid::regclass::text AS parent, size, greatest(reltuples, 0)::int8 AS rows,
    relkind = 'p' AS partitioned, count(*) OVER () AS total,
    (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY o.at) FROM unnest(conkey) WITH ORDINALITY o(num, at)
      JOIN pg_attribute a ON a.attrelid = sized.oid AND a.attnum = o.num) AS columns
  FROM sized WHERE size >= $1 ORDER BY size DESC, name, conname LIMIT ${TOP}`;

export const foreignKeyIndex: PostgresCheck = {
  id: "postgres-foreign-key-index",
  area: "postgres",
  title: "a foreign key of a large table has no index",
  looks: "pg_constraint, pg_index: the referencing columns of foreign keys",
  async run(call, scope) {
    const rows = await ask<Row>(call, scope, UNINDEXED, [scope.thresholds.large]);
    return listed(rows, "foreign keys without an index", (row) => {
      const sql = `CREATE INDEX ${row.partitioned ? "" : "CONCURRENTLY "}ON ${row.name} (${row.columns})`;
      return {
        severity: "warning",
        subject: `foreign key ${row.constraint} of table ${row.name}`,
        evidence: `no index begins with (${row.columns}); about ${number(row.rows)} rows, ${bytes(row.size)}`,
        cause: `each DELETE in ${row.parent}, and each change of its key, reads the whole table and holds its locks meanwhile`,
        remedies: row.partitioned ? [] : [statement(sql)],
        advice: row.partitioned
          ? `in a quiet hour, it locks writes meanwhile: ${sql}`
          : "put it into a migration as well, so that new installations have it",
      };
    });
  },
};
