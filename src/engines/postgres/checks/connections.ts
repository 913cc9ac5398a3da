import { ask, type PostgresCheck } from "./kit.ts";
import { percent } from "./words.ts";

/** From here on the next burst is refused. */
const NEARLY_ALL = 95;

interface Row {
  used: number;
  usable: number;
  top: string | null;
}

/** Every role sees that a session is there and whose it is. */
const USED = `WITH s AS MATERIALIZED (SELECT usename FROM pg_stat_activity WHERE usesysid IS NOT NULL AND datid IS NOT NULL)
  SELECT (SELECT count(*) FROM s) AS used,
    current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
      - coalesce(current_setting('reserved_connections', true)::int, 0) AS usable,
    (SELECT string_agg(format('%s: %s', usename, n), ', ' ORDER BY n DESC)
      FROM (SELECT usename, count(*) AS n FROM s GROUP BY 1 ORDER BY 2 DESC LIMIT 3) t) AS top`;

export const connections: PostgresCheck = {
  id: "postgres-connections",
  area: "postgres",
  title: "connections are running out",
  looks: "pg_stat_activity against max_connections without the reserved ones",
  async run(call, scope) {
    const [row] = await ask<Row>(call, scope, USED);
    const { used, usable, top } = row!;
    const share = (100 * used) / usable;
    if (share < scope.thresholds.connections) return [];
    return [
      {
        severity: share >= NEARLY_ALL ? "error" : "warning",
        subject: "connections",
        evidence: `${percent(share)} of ${usable} connections are in use (limit ${scope.thresholds.connections} %); by user: ${top}`,
        cause: "when none is left every further client is refused, whatever it wants",
        remedies: [],
        advice:
          "end what is idle (pg_stat_activity), shrink the pools of the programs or put PgBouncer between; raising max_connections " +
          "needs a restart and memory",
      },
    ];
  },
};
