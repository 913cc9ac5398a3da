import type { Engine } from "../engine.ts";
import type { RedisConnection } from "./connect.ts";

/** Redis: the session cache. It keeps no incident memory; opsctl probes it, sets its configuration and migrates it. */
export const redis: Engine<RedisConnection> = {
  name: "redis",
  title: "Redis",
  async connect(target, limits) {
    const { connectRedis } = await import("./connect.ts");
    return connectRedis(target, limits);
  },
  capabilities: {
    async migrations(connection) {
      const { redisMigrations } = await import("./migrations.ts");
      return redisMigrations(connection);
    },
    async probe(connection) {
      const { redisProbe } = await import("./probe.ts");
      return redisProbe(connection);
    },
    async settings(connection) {
      const { redisSettings } = await import("./settings.ts");
      return redisSettings(connection);
    },
  },
};
