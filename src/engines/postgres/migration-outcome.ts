import { setTimeout as delay } from "node:timers/promises";
import type { Call } from "../../call.ts";
import type { HistoryRow } from "../../migrate/port.ts";
import type { PostgresConnection } from "./connect.ts";
import { type Held, WORK } from "./migration-lock.ts";

const PAUSE_MS = 200;

/**
 * What became of a file whose connection was lost before its last answer: a new connection asks history, once the old one's backend has
 * ended. It is tried for twice the time of a connection: a server that restarts comes back.
 * @returns undefined when the server cannot be asked in time
 */
export async function learnOutcome(
  server: PostgresConnection,
  call: Call,
  { table }: Held,
  row: HistoryRow,
): Promise<"recorded" | "nothing" | undefined> {
  const deadline = performance.now() + Math.min(2 * server.limits.connectMs, call.remainingMs());
  while (performance.now() < deadline && !call.signal.aborted) {
    const other = server.sibling();
    try {
      const [found] = await other.query<{ ended: boolean; recorded: boolean }>(
        call,
        `SELECT pg_try_advisory_lock($1, $2) AS ended, EXISTS (SELECT FROM ${table}
           WHERE set_name = $3 AND version = $4 AND state = $5 AND applied_at = $6) AS recorded`,
        [...WORK, row.set_name, row.version, row.state, row.applied_at],
      );
      if (found!.recorded) return "recorded";
      if (found!.ended) return "nothing";
    } catch {
      // it may come up yet
    } finally {
      await other.close();
    }
    await delay(PAUSE_MS);
  }
  return undefined;
}
