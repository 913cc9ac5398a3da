import type { Found } from "../../../health/doctor/check.ts";
import { ask, hidden, listed, type PostgresCheck, statement, TOP } from "./kit.ts";
import { number, percent } from "./words.ts";

const WARNING = 70;
const ERROR = 90;

interface Row {
  name: string;
  last: number;
  limit: number;
  share: number;
  type: string;
  /** It has a maximum of its own, below that of its type. */
  capped: boolean;
  table: string | null;
  column: string | null;
  columnType: string | null;
  /** The column ends before the sequence, or with it. */
  byColumn: boolean;
  total: number;
}

/** `least` leaves out null: a sequence without a column, or a column that holds any number. */
const SEQUENCES = `WITH s AS MATERIALIZED (SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name, q.seqmin AS low, q.seqmax AS high,
      format_type(q.seqtypid, NULL) AS type, a.attrelid::regclass::text AS "table", quote_ident(a.attname) AS "column",
      format_type(a.atttypid, NULL) AS "columnType", q.seqcycle,
      CASE a.atttypid WHEN 'int2'::regtype THEN 32767 WHEN 'int4'::regtype THEN 2147483647 END AS room,
      CASE q.seqtypid WHEN 'int2'::regtype THEN 32767 WHEN 'int4'::regtype THEN 2147483647 ELSE 9223372036854775807 END AS type_room,
      CASE WHEN has_sequence_privilege(c.oid, 'SELECT, USAGE') THEN pg_sequence_last_value(c.oid) END AS last
    FROM pg_sequence q JOIN pg_class c ON c.oid = q.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass
      AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
    LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    WHERE q.seqincrement > 0 AND n.nspname !~ '^pg_temp_'),
  used AS (SELECT *, least(high, room) AS "limit", 100.0 * (last::numeric - low) / nullif(least(high, room)::numeric - low, 0) AS share FROM s
    WHERE last IS NOT NULL AND NOT (seqcycle AND high <= coalesce(room, high)))
  SELECT name, last, "limit", share::float8, type, high < type_room AS capped, "table", "column", "columnType",
    coalesce(room <= high, false) AS "byColumn", count(*) OVER () AS total
  FROM used WHERE share >= ${WARNING} ORDER BY share DESC, name LIMIT ${TOP}`;

/** pg_monitor does not read sequences. */
const HIDDEN = `SELECT count(*) AS hidden, string_agg(DISTINCT quote_ident(n.nspname), ', ') AS schemas
  FROM pg_sequence q JOIN pg_class c ON c.oid = q.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname !~ '^pg_temp_' AND NOT has_sequence_privilege(q.seqrelid, 'SELECT, USAGE')`;

export const sequenceExhaustion: PostgresCheck = {
  id: "postgres-sequence-exhaustion",
  area: "postgres",
  title: "a sequence is running out of numbers",
  looks: "pg_sequence: the last value against the maximum, and against the type of the column that it fills",
  async run(call, scope) {
    const rows = await ask<Row>(call, scope, SEQUENCES);
    if (rows.length > 0) return listed(rows, "sequences", describe);
    const [row] = await ask<{ hidden: number; schemas: string }>(call, scope, HIDDEN);
    if (row!.hidden > 0) {
      const grant = `GRANT SELECT ON ALL SEQUENCES IN SCHEMA ${row!.schemas} TO`;
      throw hidden(scope, `the values of ${row!.hidden} sequences`, [grant]);
    }
    return [];
  },
};

function describe({
  name,
  last,
  limit,
  share,
  type,
  capped,
  table,
  column,
  columnType,
  byColumn,
}: Row): Found {
  const fills = table === null ? "" : `, which fills ${table}.${column} (${columnType})`;
  const found = {
    severity: share >= ERROR ? "error" : "warning",
    subject: `sequence ${name}`,
    evidence: `${number(last)} of ${number(limit)} are used: ${percent(share)}${fills}`,
    cause: "at the end every INSERT that takes a number from it fails",
  } as const;
  if (byColumn) {
    return {
      ...found,
      remedies: [],
      advice: `make the column bigint: ALTER TABLE ${table} ALTER COLUMN ${column} TYPE bigint locks and rewrites the table; on a large one add a column, fill it in steps and swap the names. Then ALTER SEQUENCE ${name} AS bigint`,
    };
  }
  const grown = [
    ...(type === "bigint" ? [] : [statement(`ALTER SEQUENCE ${name} AS bigint`)]),
    ...(capped ? [statement(`ALTER SEQUENCE ${name} NO MAXVALUE`)] : []),
  ];
  return { ...found, remedies: grown };
}
