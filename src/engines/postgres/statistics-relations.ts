/**
 * Tables and indexes. Measuring a relation opens its files and its catalogue entry: up to a number of them all are measured; of more, those with
 * the most pages (as the last VACUUM, ANALYZE or CREATE INDEX counted them) or rows. Measuring waits for whoever holds a relation exclusively:
 * such a table is not measured, its size is estimated.
 */
import type { PostgresStats } from "../../contract/stats-postgres.ts";
import { type Asking, askTogether, liveRows, USER_RELATION } from "./statistics-ask.ts";
import { bloatOf } from "./statistics-bloat.ts";

/** So many of each are all measured: within a second or two. A table has several files, an index one. */
const ALL = { tables: 2_000, indexes: 20_000 };
/** Of more, these for each row that is wanted, and never fewer than the second figure. */
const CANDIDATES_PER_ROW = 10;
const MIN_CANDIDATES = 500;
/** Rows on a page, where nobody has counted pages yet. */
const ROWS_A_PAGE = 50;

/** Relations that somebody holds, or waits for, so that a look at them would wait, with the tables of indexes and TOAST tables. */
const LOCKED = `locked AS (
    SELECT DISTINCT coalesce(i.indrelid, t.oid, l.relation) AS oid FROM pg_locks l
      LEFT JOIN pg_index i ON i.indexrelid = l.relation LEFT JOIN pg_class t ON t.reltoastrelid = l.relation
    WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.pid <> pg_backend_pid()
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))`;

const COUNTS = `SELECT count(*) FILTER (WHERE c.relkind IN ('r', 'm', 'p')) AS tables,
    count(*) FILTER (WHERE c.relkind = 'i') AS indexes,
    coalesce(sum(c.relpages) FILTER (WHERE c.relkind = 'i'), 0)::int8 * current_setting('block_size')::int8 AS indexes_bytes
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'm', 'p', 'i') AND ${USER_RELATION}`;

/** How many are looked at: `$2` where there are too many to measure all. */
const measured = (kind: keyof typeof ALL) =>
  `(SELECT CASE WHEN ${kind} <= ${ALL[kind]} THEN ${kind} ELSE $2 END FROM (${COUNTS}) counts)`;

const TABLES = `WITH ${LOCKED},
  indexed AS (SELECT indrelid AS oid, sum(c.relpages)::int8 AS pages FROM pg_index JOIN pg_class c ON c.oid = indexrelid GROUP BY 1),
  known AS (
    SELECT c.oid, n.nspname AS schema, c.relname AS name, c.reltuples, c.relkind,
      greatest(c.relpages, (pg_stat_get_live_tuples(c.oid) + pg_stat_get_dead_tuples(c.oid)) / ${ROWS_A_PAGE})
        + coalesce(t.relpages, 0) + coalesce(i.pages, 0) AS pages, coalesce(i.pages, 0) AS index_pages
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN pg_class t ON t.oid = c.reltoastrelid LEFT JOIN indexed i ON i.oid = c.oid
    WHERE c.relkind IN ('r', 'm', 'p') AND ${USER_RELATION}),
  candidates AS (SELECT * FROM known ORDER BY pages DESC, oid LIMIT ${measured("tables")}),
  measured AS (
    SELECT k.*, l.oid IS NOT NULL AS locked,
      CASE WHEN l.oid IS NULL THEN pg_total_relation_size(k.oid) ELSE k.pages * current_setting('block_size')::int8 END AS size_bytes,
      CASE WHEN l.oid IS NULL THEN pg_indexes_size(k.oid) ELSE k.index_pages * current_setting('block_size')::int8 END AS index_bytes
    FROM candidates k LEFT JOIN locked l ON l.oid = k.oid)
  SELECT m.oid::int8, m.schema, m.name, m.locked, m.size_bytes, coalesce(m.index_bytes, 0) AS index_bytes,
    CASE m.relkind WHEN 'p' THEN 0 ELSE ${liveRows("m")} END AS rows,
    pg_stat_get_dead_tuples(m.oid) AS dead_rows, pg_stat_get_numscans(m.oid) AS seq_scans,
    (SELECT coalesce(sum(pg_stat_get_numscans(indexrelid)), 0)::int8 FROM pg_index WHERE indrelid = m.oid) AS index_scans,
    greatest(pg_stat_get_last_vacuum_time(m.oid), pg_stat_get_last_autovacuum_time(m.oid)) AS last_vacuum,
    greatest(pg_stat_get_last_analyze_time(m.oid), pg_stat_get_last_autoanalyze_time(m.oid)) AS last_analyze
  FROM measured m WHERE m.size_bytes IS NOT NULL ORDER BY m.size_bytes DESC, m.schema, m.name LIMIT $1`;

const INDEXES = `WITH ${LOCKED},
  candidates AS (
    SELECT c.oid, n.nspname AS schema, t.relname AS "table", c.relname AS name, i.indisvalid AS valid, i.indisunique AS unique,
      i.indrelid, c.relpages::int8 AS pages
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'i' AND t.relkind IN ('r', 'm') AND ${USER_RELATION}
    ORDER BY greatest(c.relpages, t.relpages / 10, pg_stat_get_live_tuples(t.oid) / 500) DESC, c.oid LIMIT ${measured("indexes")}),
  measured AS (
    SELECT k.*, CASE WHEN l.oid IS NULL THEN pg_relation_size(k.oid) ELSE k.pages * current_setting('block_size')::int8 END AS size_bytes
    FROM candidates k LEFT JOIN locked l ON l.oid = k.indrelid)
  SELECT m.schema, m."table", m.name, m.size_bytes, pg_stat_get_numscans(m.oid) AS scans, m.valid, m.unique,
    sum(m.size_bytes) OVER ()::int8 AS total
  FROM measured m WHERE m.size_bytes IS NOT NULL ORDER BY m.size_bytes DESC, m.schema, m.name LIMIT $1`;

type Table = Omit<PostgresStats["tables"][number], "growth" | "bloat_bytes" | "last_vacuum" | "last_analyze">;

interface TableRow extends Table {
  oid: number;
  locked: boolean;
  last_vacuum: string | null;
  last_analyze: string | null;
}

type IndexRow = PostgresStats["indexes"][number] & { total: number };

type Rows = {
  counts: { tables: number; indexes: number; indexes_bytes: number };
  tables: TableRow;
  indexes: IndexRow;
};

export type Relations = Pick<
  PostgresStats,
  "table_count" | "tables" | "index_count" | "indexes" | "indexes_bytes"
>;

/** Largest first. @throws OpsError for a server that does not answer */
export async function relationsOf(asking: Asking): Promise<Relations> {
  const { top, unknown } = asking;
  const some = Math.max(MIN_CANDIDATES, top * CANDIDATES_PER_ROW);
  const {
    counts: [counts],
    tables,
    indexes,
  } = await askTogether<Rows>(asking, { counts: COUNTS, tables: TABLES, indexes: INDEXES }, [top, some]);
  const bloat = await bloatOf(
    asking,
    tables.map(({ oid }) => oid),
  );
  for (const { schema, name } of tables.filter(({ locked }) => locked)) {
    unknown.push({
      what: `size of the table ${schema}.${name}`,
      reason: "another session holds it exclusively: it is estimated from its pages at the last VACUUM",
      hint: null,
    });
  }
  const isEstimate = counts!.indexes > ALL.indexes;
  if (isEstimate) {
    unknown.push({
      what: "size of all indexes",
      reason: `there are ${counts!.indexes}: it is estimated from their pages at the last VACUUM`,
      hint: null,
    });
  }
  return {
    table_count: counts!.tables,
    tables: tables.map(({ oid, locked: _, last_vacuum, last_analyze, ...table }) => ({
      ...table,
      bloat_bytes: bloat.get(oid) ?? null,
      last_vacuum: momentOf(last_vacuum),
      last_analyze: momentOf(last_analyze),
      growth: null,
    })),
    index_count: counts!.indexes,
    indexes: indexes.map(({ total: _, ...index }) => index),
    indexes_bytes: isEstimate ? counts!.indexes_bytes : (indexes[0]?.total ?? 0),
  };
}

function momentOf(text: string | null): string | null {
  return text === null ? null : new Date(text).toISOString();
}
