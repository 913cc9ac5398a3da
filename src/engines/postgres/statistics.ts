import type { Statistics, StatsOf } from "../../health/port.ts";
import type { PostgresConnection } from "./connect.ts";
import { relationsOf } from "./statistics-relations.ts";
import { serverStats } from "./statistics-server.ts";
import { slowStatements } from "./statistics-statements.ts";

/**
 * A few queries of the catalogue and the server's statistics, one after another on one connection. Nothing of a table is read, and nothing waits
 * for the lock of another session. The queries themselves are in the figures: one session, a few transactions.
 */
export function postgresStatistics(connection: PostgresConnection): Statistics<StatsOf["postgres"]> {
  return {
    async read(call, { top }) {
      const asking = { call, connection, top, unknown: [] };
      const server = await serverStats(asking);
      const relations = await relationsOf(asking);
      const slow = await slowStatements(asking);
      // growth is a matter of samples, which whoever asks has
      return { ...server, ...relations, growth: null, slow_statements: slow, unknown: asking.unknown };
    },
  };
}
