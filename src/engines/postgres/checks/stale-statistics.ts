import { bytes } from "../../../amounts.ts";
import { liveRows } from "../statistics-ask.ts";
import { ask, listed, OF_USERS, type PostgresCheck, sizeOf, statement, TOP } from "./kit.ts";
import { number } from "./words.ts";

interface Row {
  name: string;
  size: number;
  never: boolean;
  changed: number;
  live: number;
  total: number;
}

/** Never analyzed (a row count of -1, or no time of one while nothing reset the statistics), or all of it written anew since. */
const STALE = `WITH stale AS MATERIALIZED (SELECT c.oid, c.relpages, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name,
    c.reltuples < 0 AS never, s.n_mod_since_analyze AS changed, ${liveRows("c")} AS live
    FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'm') AND ${OF_USERS}
      AND (c.reltuples < 0 OR (s.n_mod_since_analyze > ${liveRows("c")} AND s.n_mod_since_analyze > 1000))),
  sized AS MATERIALIZED (SELECT c.*, ${sizeOf("c")} AS size FROM stale c)
  SELECT name, size, never, changed, live, count(*) OVER () AS total FROM sized WHERE size >= $1 ORDER BY size DESC, name LIMIT ${TOP}`;

export const staleStatistics: PostgresCheck = {
  id: "postgres-stale-statistics",
  area: "postgres",
  title: "the planner knows nothing of a large table",
  looks: "pg_class.reltuples, pg_stat_user_tables.n_mod_since_analyze",
  async run(call, scope) {
    const rows = await ask<Row>(call, scope, STALE, [scope.thresholds.large]);
    return listed(rows, "tables without statistics", ({ name, size, never, changed, live }) => ({
      severity: "warning",
      subject: `table ${name}`,
      evidence: never
        ? `never analyzed; ${bytes(size)}`
        : `${number(changed)} changes since it was analyzed, with ${number(live)} rows; ${bytes(size)}`,
      cause:
        "the planner guesses how many rows a condition leaves, and picks plans that are wrong by orders of magnitude",
      remedies: [statement(`ANALYZE ${name}`, true)],
    }));
  },
};
