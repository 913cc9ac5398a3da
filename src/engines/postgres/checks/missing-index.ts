import { bytes } from "../../../amounts.ts";
import { ask, listed, OF_USERS, type PostgresCheck, sizeOf, TOP } from "./kit.ts";
import { number, percent } from "./words.ts";

/** Below these a table is read as fast without an index, or the counts are those of backups and reports (pghero: 95 %, 10,000 rows). */
const ROWS = 10_000;
const SCANS = 100;
const INDEX_SHARE = 95;
/** From here on it is most of what the table is asked. */
const MANY_SCANS = 1000;

interface Row {
  name: string;
  rows: number;
  size: number;
  scans: number;
  read: number;
  share: number;
  total: number;
}

const SCANNED = `WITH scanned AS MATERIALIZED (SELECT c.oid, c.relpages, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name,
    s.n_live_tup AS rows, s.seq_scan AS scans, s.seq_tup_read AS read, 100.0 * coalesce(s.idx_scan, 0) / (coalesce(s.idx_scan, 0) + s.seq_scan) AS share
    FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE s.n_live_tup >= ${ROWS} AND s.seq_scan >= ${SCANS} AND s.seq_tup_read / s.seq_scan >= s.n_live_tup / 2 AND ${OF_USERS}),
  sized AS MATERIALIZED (SELECT c.*, ${sizeOf("c")} AS size FROM scanned c WHERE share < ${INDEX_SHARE})
  SELECT name, rows, size, scans, read, share::float8, count(*) OVER () AS total FROM sized WHERE size >= $1
  ORDER BY read DESC, name LIMIT ${TOP}`;

export const missingIndex: PostgresCheck = {
  id: "postgres-missing-index",
  area: "postgres",
  title: "a large table is read without an index",
  looks: "pg_stat_user_tables: sequential scans of large tables against index scans",
  async run(call, scope) {
    const found = await ask<Row>(call, scope, SCANNED, [scope.thresholds.large]);
    return listed(found, "tables read without an index", ({ name, rows, size, scans, read, share }) => ({
      severity: share < 50 && scans >= MANY_SCANS ? "warning" : "info",
      subject: `table ${name}`,
      evidence: `${number(scans)} sequential scans read ${number(read)} rows; ${percent(share)} of its scans use an index; ${number(rows)} rows, ${bytes(size)}`,
      cause: "queries read the whole table where an index could lead them: each gets slower as it grows",
      remedies: [],
      advice:
        "find the statements (opsctl stats postgres, or log_min_duration_statement), look at them with " +
        "opsctl query postgres --explain, and create an index on the columns in their WHERE: CREATE INDEX CONCURRENTLY",
    }));
  },
};
