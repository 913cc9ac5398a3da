import { type Asking, ask } from "./statistics-ask.ts";

/** Smaller tables are not worth an estimate: 1 MiB. */
const MIN_PAGES = 128;

/**
 * The estimate of ioguix (https://github.com/ioguix/pgsql-bloat-estimation), for the heap alone: pages that the table has, less those that its rows
 * would fill by the average widths of pg_stats. Needs an ANALYZE, and SELECT on every column: without it there is no row.
 */
const BLOAT = `SELECT oid, (bs * greatest(relpages - ceil(reltuples / ((bs - 24) * fillfactor / (row_size * 100))), 0))::int8 AS bloat
  FROM (
    SELECT oid, relpages, reltuples, bs, fillfactor,
      4 + header + data + 2 * ma - CASE WHEN header % ma = 0 THEN ma ELSE header % ma END
        - CASE WHEN ceil(data)::int % ma = 0 THEN ma ELSE ceil(data)::int % ma END AS row_size
    FROM (
      SELECT c.oid, c.relpages, c.reltuples, current_setting('block_size')::numeric AS bs, 8 AS ma,
        coalesce(substring(array_to_string(c.reloptions, ' ') FROM 'fillfactor=([0-9]+)')::int, 100) AS fillfactor,
        23 + CASE WHEN max(s.null_frac) > 0 THEN (7 + count(s.attname)::int) / 8 ELSE 0 END AS header,
        sum((1 - s.null_frac) * s.avg_width)::numeric AS data
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN pg_stats s ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = a.attname AND NOT s.inherited
      WHERE c.oid = ANY ($1) AND c.relkind IN ('r', 'm') AND c.relpages >= ${MIN_PAGES} AND c.reltuples >= 0
      GROUP BY c.oid, c.relpages, c.reltuples, c.reloptions
      HAVING count(*) = count(s.attname) AND NOT bool_or(a.atttypid = 'name'::regtype)
    ) widths
  ) sizes`;

/** Bytes of these tables that are estimated to be empty; those that cannot be estimated are not in it. */
export async function bloatOf(asking: Asking, oids: readonly number[]): Promise<ReadonlyMap<number, number>> {
  const rows = await ask<{ oid: number; bloat: number }>(asking, BLOAT, [oids]);
  return new Map(rows.map(({ oid, bloat }) => [oid, bloat]));
}
