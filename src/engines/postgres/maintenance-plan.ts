/** What is worth doing, as the server's statistics tell. */

import { bytes } from "../../amounts.ts";
import type { Call } from "../../call.ts";
import type { Thresholds } from "../../config/thresholds.ts";
import { sizeOf } from "./checks/kit.ts";
import { number, percent } from "./checks/words.ts";
import type { PostgresConnection } from "./connect.ts";
import { duplicatedKeys } from "./maintenance-unique.ts";
import { liveRows, USER_RELATION } from "./statistics-ask.ts";

export interface TableWork {
  /** Quoted, with its schema. */
  name: string;
  why: string;
  /** Of its heap, bytes. */
  size: number;
}

export interface IndexWork extends TableWork {
  /** What a REINDEX CONCURRENTLY that was broken off left beside the index that it was to replace. */
  isCopy: boolean;
}

interface InvalidRow extends Omit<IndexWork, "why"> {
  isUnique: boolean;
}

/** Changes from which on a table counts as loaded anew; less is what autovacuum sees to. */
const MANY_CHANGES = 1_000;
/** Ids before wraparound (https://www.postgresql.org/docs/current/routine-vacuuming.html#VACUUM-FOR-WRAPAROUND). */
const IDS = 2 ** 31;

interface TableRow {
  name: string;
  size: number;
  live: number;
  dead: number;
  never: boolean;
  changed: number;
  /** Share of the ids that are used up, percent. */
  used: number;
}

/** Every table: those that `all` wants; else with dead rows, changed since ANALYZE, or old. */
const TABLES = `WITH known AS MATERIALIZED (
    SELECT c.oid, c.relpages, c.relfrozenxid, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name, c.reltuples < 0 AS never,
      ${liveRows("c")} AS live, pg_stat_get_dead_tuples(c.oid) AS dead, pg_stat_get_mod_since_analyze(c.oid) AS changed,
      100.0::float8 * greatest(age(c.relfrozenxid), mxid_age(c.relminmxid)) / ${IDS} AS used
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'm') AND ${USER_RELATION}),
  wanted AS (SELECT * FROM known WHERE $1 OR never OR used >= $2 OR (changed > live AND changed > ${MANY_CHANGES})
    OR (dead > 0 AND 100.0 * dead / (dead + live) >= $3))
  SELECT name, live, dead, never, changed, used, ${sizeOf("c")} AS size FROM wanted c ORDER BY size DESC, name`;

/** Neither those that a session builds at this moment, nor those of partitioned tables: they wait for a partition's index. */
const INVALID = `SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name, ${sizeOf("c")} AS size,
    c.relname ~ '_cc(new|old)[0-9]*$' AS "isCopy", i.indisunique AS "isUnique"
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE NOT i.indisvalid AND c.relkind = 'i' AND ${USER_RELATION}
    AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.relid = i.indrelid)
  ORDER BY c.relname ~ '_cc(new|old)[0-9]*$' DESC, name`;

/** Nothing can be done on a standby: it does what its primary does. */
export async function isStandby(call: Call, connection: PostgresConnection): Promise<boolean> {
  const rows = await connection.query<{ standby: boolean }>(call, "SELECT pg_is_in_recovery() AS standby");
  return rows[0]!.standby;
}

/**
 * Invalid indexes: what costs every write and serves no query. A unique one only where it can be built: while values occur twice it is left
 * out, and the log says so; doctor names it.
 */
export async function invalidIndexes(call: Call, connection: PostgresConnection): Promise<IndexWork[]> {
  const works: IndexWork[] = [];
  for (const { name, size, isCopy, isUnique } of await connection.query<InvalidRow>(call, INVALID)) {
    const twice = isUnique && !isCopy ? await duplicatedKeys(call, connection, name) : null;
    if (twice !== null) {
      call.log("WARNING", `the invalid unique index ${name} is left out: values of (${twice}) occur twice`);
      continue;
    }
    const why = isCopy
      ? "it is invalid: a REINDEX that was broken off left it"
      : "it is invalid: every write pays for it, no query uses it";
    works.push({ name, size, isCopy, why: `${why}; ${bytes(size)}` });
  }
  return works;
}

/** Tables that VACUUM (ANALYZE) does good; the most used up first, then by how much it is. */
export async function tablesToVacuum(
  call: Call,
  connection: PostgresConnection,
  { wraparound, dead_rows, large }: Thresholds,
  all: boolean,
): Promise<TableWork[]> {
  const rows = await connection.query<TableRow>(call, TABLES, [all, wraparound, dead_rows]);
  const rated = rows.flatMap((row) => {
    const why = reasonOf(row, wraparound, dead_rows, large);
    if (why === undefined && !all) return [];
    return [
      {
        name: row.name,
        size: row.size,
        why: why ?? `all tables; ${bytes(row.size)}`,
        row,
        pays: why !== undefined,
      },
    ];
  });
  const rank = ({ row, pays }: (typeof rated)[number]) => (row.used >= wraparound ? 2 : pays ? 1 : 0);
  // within a rank they are by size already
  return rated.sort((a, b) => rank(b) - rank(a)).map(({ name, size, why }) => ({ name, size, why }));
}

function reasonOf(
  { live, dead, never, changed, used, size }: TableRow,
  wraparound: number,
  deadRows: number,
  large: number,
): string | undefined {
  if (used >= wraparound) return `${percent(used)} of the transaction ids are used up`;
  if (size < large) return undefined;
  const share = (100 * dead) / Math.max(1, dead + live);
  if (dead > 0 && share >= deadRows)
    return `${number(dead)} dead rows, ${percent(share)} of all; ${bytes(size)}`;
  if (never) return `never analyzed; ${bytes(size)}`;
  if (changed > live && changed > MANY_CHANGES)
    return `${number(changed)} changes since ANALYZE; ${bytes(size)}`;
  return undefined;
}
