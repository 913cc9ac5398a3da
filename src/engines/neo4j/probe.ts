import type { Probe } from "../../health/port.ts";
import type { Neo4jConnection } from "./connect.ts";

/** The version comes with the greeting of every connection, so no privilege is needed to read it. */
export function neo4jProbe(connection: Neo4jConnection): Probe {
  return {
    async probe(call) {
      // the first query opens the connection, the second one is the round trip
      await connection.read(call, "RETURN 1 AS one");
      const startedAt = performance.now();
      const version = await connection.serverVersion(call);
      return { version, latency_ms: performance.now() - startedAt };
    },
  };
}
