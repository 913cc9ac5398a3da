import { bytes } from "../../../amounts.ts";
import type { Found } from "../../../health/doctor/check.ts";
import { ask, listed, OF_USERS, type PostgresCheck, sizeOf, statement, TOP } from "./kit.ts";
import { duration } from "./words.ts";

/** Statistics that are younger say little: a weekly report has not run yet. */
const WEEK_SECONDS = 7 * 86_400;

interface Row {
  name: string;
  table: string;
  size: number;
  /** Since the statistics began; as far as that is known. */
  seconds: number;
  replicas: number;
  total: number;
}

/**
 * Neither unique nor of a constraint, nor what a replica or CLUSTER needs; parts of partitioned indexes cannot go alone. By the pages of
 * the last vacuum: to ask for the sizes of 20,000 indexes takes 12 s.
 */
const UNUSED = `WITH idle AS MATERIALIZED (SELECT c.oid, c.relpages, s.relid, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name,
      count(*) OVER () AS total
    FROM pg_stat_user_indexes s JOIN pg_index i USING (indexrelid) JOIN pg_class c ON c.oid = i.indexrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE s.idx_scan = 0 AND c.relpages * current_setting('block_size')::int8 >= $1 AND i.indisvalid AND NOT i.indisunique
      AND NOT i.indisreplident AND NOT i.indisclustered AND NOT c.relispartition AND ${OF_USERS}
      AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = c.oid)
    ORDER BY c.relpages DESC, 4 LIMIT ${TOP})
  SELECT name, relid::regclass::text AS table, ${sizeOf("c")} AS size, total,
    (SELECT extract(epoch FROM now() - greatest(d.stats_reset, pg_postmaster_start_time()))::float8
      FROM pg_stat_database d WHERE d.datname = current_database()) AS seconds,
    (SELECT count(*) FROM pg_stat_replication WHERE state IS DISTINCT FROM 'backup') AS replicas
  FROM idle c ORDER BY relpages DESC, name`;

export const unusedIndex: PostgresCheck = {
  id: "postgres-unused-index",
  area: "postgres",
  title: "a large index is never used",
  looks: "pg_stat_user_indexes.idx_scan = 0, from 7 days of statistics on",
  async run(call, scope) {
    return listed(await ask<Row>(call, scope, UNUSED, [scope.thresholds.large]), "unused indexes", describe);
  },
};

function describe({ name, table, size, seconds, replicas }: Row): Found {
  const isSure = seconds >= WEEK_SECONDS;
  const elsewhere =
    replicas > 0 ? "; look at the replicas too, which count their own scans: queries may use it there" : "";
  return {
    severity: isSure ? "warning" : "info",
    subject: `index ${name}`,
    evidence: `no scan in ${duration(seconds)}; ${bytes(size)} on table ${table}`,
    cause: isSure
      ? "every write of the table pays for it, and no query asked for it in a week or more"
      : "no query asked for it since the server or its statistics began; less than 7 days say little yet",
    remedies: isSure ? [statement(`DROP INDEX CONCURRENTLY ${name}`)] : [],
    advice: isSure
      ? `keep it where a monthly or yearly job needs it${elsewhere}`
      : `look again after a week; then: DROP INDEX CONCURRENTLY ${name}${elsewhere}`,
  };
}
