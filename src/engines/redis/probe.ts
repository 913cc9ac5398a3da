import type { Probe } from "../../health/port.ts";
import type { RedisConnection } from "./connect.ts";
import { RedisRefusal } from "./errors.ts";
import { readInfo } from "./info.ts";

/** Asks for the version, then times one PING on the connection that is open by then. */
export function redisProbe(connection: RedisConnection): Probe {
  return {
    async probe(call) {
      const version = await readVersion();
      const startedAt = performance.now();
      await connection.run(call, ["PING"]);
      return { version, latency_ms: Math.round((performance.now() - startedAt) * 100) / 100 };

      async function readVersion(): Promise<string> {
        try {
          return (await readInfo(call, connection, "server"))["redis_version"] ?? "unknown";
        } catch (error) {
          // a monitoring user often has PING and no INFO: the server answers, only its version stays unknown
          if (error instanceof RedisRefusal && error.reply === "NOPERM") return "unknown";
          throw error;
        }
      }
    },
  };
}
