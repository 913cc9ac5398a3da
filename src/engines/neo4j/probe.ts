import { randomUUID } from "node:crypto";
import { toOpsError } from "../../errors.ts";
import type { Probe } from "../../health/port.ts";
import type { Neo4jConnection } from "./connect.ts";
import { failure } from "./errors.ts";

/** One name for ever: nothing is committed, but a database may keep the name of a label. */
const LABEL = "__opsctl_health";

/** Ends the transaction: what was written in it never was. */
class RollBack extends Error {}

/** The version comes with the greeting of every connection, so no privilege is needed to read it. */
export function neo4jProbe(connection: Neo4jConnection): Probe {
  return {
    async selfTest(call) {
      const id = randomUUID();
      let step: string | undefined;
      try {
        await connection.write(call, async (run) => {
          step = "writing a node";
          await run(`CREATE (n:${LABEL} {id: $id})`, { id });
          step = "reading the node back";
          const read = await run(`MATCH (n:${LABEL} {id: $id}) RETURN n.id AS id`, { id });
          if (read.length !== 1 || read[0]!.id !== id) {
            throw failure("failed", connection.place, `self-test: ${step}: it is not what was written`);
          }
          step = "deleting the node";
          const deleted = await run(`MATCH (n:${LABEL} {id: $id}) DELETE n RETURN count(*) AS n`, { id });
          if (deleted[0]?.n !== 1) {
            throw failure("failed", connection.place, `self-test: ${step}: it was not there any more`);
          }
          throw new RollBack();
        });
      } catch (error) {
        const known = toOpsError(error);
        if (known.cause instanceof RollBack) return;
        // before the first step nothing was tried; what a step found is said as it is
        if (step === undefined || known.message.includes("self-test:")) throw known;
        const code = known.code === "unreachable" ? "unreachable" : "failed";
        throw failure(code, connection.place, `self-test: ${step}: ${known.message}`, known.hint, known);
      }
    },
    async probe(call) {
      // the first query opens the connection, the second one is the round trip
      await connection.read(call, "RETURN 1 AS one");
      const startedAt = performance.now();
      const version = await connection.serverVersion(call);
      return { version, latency_ms: performance.now() - startedAt };
    },
  };
}
