import { bytes } from "../../../amounts.ts";
import type { Call } from "../../../call.ts";
import type { Found, Remedy } from "../../../health/doctor/check.ts";
import {
  ask,
  listed,
  maintain,
  OF_USERS,
  type PostgresCheck,
  type PostgresScope,
  statement,
  TOP,
} from "./kit.ts";
import { percent } from "./words.ts";

interface Row {
  name: string;
  size: number;
  wasted: number;
  share: number;
  total: number;
}

/** With so many times the size that counts as large, empty space is worth a warning (pghero: 100 MB). */
const MUCH = 10;

const BLOCK = "current_setting('block_size')::int8";
const FILL = (alias: string, otherwise: number) =>
  `coalesce((SELECT option_value::int FROM pg_options_to_table(${alias}.reloptions) WHERE option_name = 'fillfactor'), ${otherwise}) / 100.0`;
/** Of the columns of a table in `large`, bytes a row; null: one was never analyzed, or may not be seen. */
const WIDTH = (
  columns = "true",
) => `(SELECT CASE WHEN count(s.avg_width) = count(*) THEN sum(s.avg_width * (1 - s.null_frac)) END
  FROM pg_attribute a LEFT JOIN pg_stats s ON s.schemaname = large.nspname AND s.tablename = large.owner AND s.attname = a.attname
  WHERE a.attrelid = large.relid AND a.attnum > 0 AND NOT a.attisdropped AND ${columns})`;

/** Pages that are there against pages that the rows would fill, both as the last VACUUM or ANALYZE counted them. */
const ESTIMATED = `SELECT name, pages * ${BLOCK} AS size, count(*) OVER () AS total, 100 * (1 - needed / pages)::float8 AS share,
    ((pages - needed) * ${BLOCK})::int8 AS wasted
  FROM estimated WHERE needed IS NOT NULL AND 100 * (1 - needed / pages) >= $2 ORDER BY pages - needed DESC, name LIMIT ${TOP}`;

/** A row: header and null bitmap of 24 bytes, its values rounded up to 8, a pointer of 4; a page: 24 bytes of header. */
const TABLES = `WITH large AS MATERIALIZED (SELECT c.oid AS relid, c.relname AS owner, n.nspname, c.reltuples AS rows, c.relpages::int8 AS pages,
    quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name, ${FILL("c", 100)} AS fill
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'm') AND c.reltuples >= 0 AND c.relpages * ${BLOCK} >= $1 AND c.relpages > 0 AND ${OF_USERS}),
  estimated AS MATERIALIZED (SELECT name, pages,
    ceil(rows * (28 + 8 * ceil(${WIDTH()} / 8)) / ((${BLOCK} - 24) * fill)) AS needed FROM large)
  ${ESTIMATED}`;

/** B-trees on columns. An entry: header of 8 bytes, values rounded up to 8, a pointer of 4. Equal keys share entries, so it may be fuller than this. */
const INDEXES = `WITH large AS MATERIALIZED (SELECT t.oid AS relid, t.relname AS owner, n.nspname, c.reltuples AS rows, c.relpages::int8 AS pages,
    quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name, i.indkey::int2[] AS keys, ${FILL("c", 90)} AS fill
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace
    JOIN pg_am m ON m.oid = c.relam
    WHERE c.relkind = 'i' AND m.amname = 'btree' AND i.indisvalid AND 0 <> ALL (i.indkey::int2[]) AND c.reltuples >= 0
      AND c.relpages * ${BLOCK} >= $1 AND c.relpages > 0 AND ${OF_USERS}),
  estimated AS MATERIALIZED (SELECT name, pages,
    2 + ceil(rows * (12 + 8 * ceil(${WIDTH("a.attnum = ANY (large.keys)")} / 8)) / ((${BLOCK} - 40) * fill)) AS needed
    FROM large)
  ${ESTIMATED}`;

export const bloat: PostgresCheck = {
  id: "postgres-bloat",
  area: "postgres",
  title: "a table or index is mostly empty",
  looks: "pg_class.relpages and reltuples against the widths in pg_stats (an estimate)",
  async run(call, scope) {
    const tables = await look(call, scope, TABLES, "table", (name) =>
      statement(`VACUUM (FULL, ANALYZE) ${name}`),
    );
    const indexes = await look(call, scope, INDEXES, "index", () => maintain(true));
    return [...tables, ...indexes];
  },
};

async function look(
  call: Call,
  scope: PostgresScope,
  text: string,
  kind: "table" | "index",
  remedy: (name: string) => Remedy,
): Promise<Found[]> {
  const { large, bloat } = scope.thresholds;
  const rows = await ask<Row>(call, scope, text, [large, bloat]);
  return listed(rows, `${kind === "table" ? "tables" : "indexes"} with much empty space`, (row) => ({
    severity: row.wasted >= MUCH * large ? "warning" : "info",
    subject: `${kind} ${row.name}`,
    evidence: `about ${percent(row.share)} of ${bytes(row.size)} is empty: ${bytes(row.wasted)} (estimated)`,
    cause:
      kind === "table"
        ? "many rows were deleted or updated faster than vacuum made room: scans read empty pages, backups and caches carry them"
        : "entries went and left pages half empty: the index takes more disk and cache than it needs",
    remedies: [remedy(row.name)],
    ...(kind === "table"
      ? {
          advice:
            "VACUUM FULL locks the table until it is rewritten, and needs its size in free space: in a quiet hour, or pg_repack. New rows fill the space as well",
        }
      : {}),
  }));
}
