import type { Probe } from "../../health/port.ts";
import type { PostgresConnection } from "./connect.ts";

/** Asks for the version first, so that the measured round trip contains no connecting. */
export function postgresProbe(connection: PostgresConnection): Probe {
  return {
    async probe(call) {
      const session = await connection.lend(call);
      let isDone = false;
      try {
        const rows = await session.query<{ version: string }>(
          "SELECT current_setting('server_version') AS version",
        );
        const startedAt = performance.now();
        await session.query("SELECT 1");
        isDone = true;
        // "15.20 (Debian 15.20-0+deb12u1)": the number is enough
        return { version: rows[0]!.version.split(" ")[0]!, latency_ms: performance.now() - startedAt };
      } catch (error) {
        throw connection.explain(error);
      } finally {
        session.release(!isDone);
      }
    },
  };
}
