import { bytes } from "../../../amounts.ts";
import { liveRows } from "../statistics-ask.ts";
import { ask, listed, OF_USERS, type PostgresCheck, sizeOf, statement, TOP } from "./kit.ts";
import { duration, number, percent } from "./words.ts";

interface Row {
  name: string;
  dead: number;
  share: number;
  size: number;
  /** Since the last vacuum; null: never. */
  seconds: number | null;
  total: number;
}

const DEAD = `WITH dead AS MATERIALIZED (SELECT c.oid, c.relpages, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name,
    s.n_dead_tup AS dead, 100.0 * s.n_dead_tup / (s.n_dead_tup + ${liveRows("c")}) AS share,
    extract(epoch FROM now() - greatest(s.last_vacuum, s.last_autovacuum))::float8 AS seconds
    FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE s.n_dead_tup > 0 AND ${OF_USERS}),
  sized AS MATERIALIZED (SELECT c.*, ${sizeOf("c")} AS size FROM dead c WHERE share >= $2)
  SELECT name, dead, share::float8, size, seconds, count(*) OVER () AS total FROM sized WHERE size >= $1
  ORDER BY dead DESC, name LIMIT ${TOP}`;

export const deadRows: PostgresCheck = {
  id: "postgres-dead-rows",
  area: "postgres",
  title: "vacuum does not keep up with a table",
  looks: "pg_stat_user_tables: n_dead_tup against n_live_tup and pg_class.reltuples",
  async run(call, scope) {
    const { large, dead_rows } = scope.thresholds;
    const rows = await ask<Row>(call, scope, DEAD, [large, dead_rows]);
    return listed(rows, "tables with dead rows", ({ name, dead, share, size, seconds }) => ({
      severity: "warning",
      subject: `table ${name}`,
      evidence: `${number(dead)} dead rows, ${percent(share)} of all (limit ${dead_rows} %), ${bytes(size)}; ${
        seconds === null ? "never vacuumed" : `last vacuumed ${duration(seconds)} ago`
      }`,
      cause: "every scan reads the dead rows, and the table grows instead of using their space again",
      remedies: [statement(`VACUUM (ANALYZE) ${name}`, true)],
      advice:
        "where they stay, an old transaction, replication slot or prepared transaction still needs them; where they come back, lower autovacuum_vacuum_scale_factor of the table",
    }));
  },
};
