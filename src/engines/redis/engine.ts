import type { Limits, Target } from "../../config/targets.ts";
import type { Engine } from "../engine.ts";
import type { RedisConnection } from "./connect.ts";

/** Where a connection leads: a backup makes others. Kept beside it, because whatever prints a connection would print the password. */
const origins = new WeakMap<RedisConnection, { target: Target; limits: Limits }>();

/** Redis: the session cache. It keeps no incident memory; opsctl probes it, sets its configuration, migrates it and backs it up. */
export const redis: Engine<RedisConnection> = {
  name: "redis",
  title: "Redis",
  async connect(target, limits) {
    const { connectRedis } = await import("./connect.ts");
    const connection = connectRedis(target, limits);
    origins.set(connection, { target, limits });
    return connection;
  },
  capabilities: {
    async backup(_call, connection, options) {
      const { redisBackup } = await import("./backup.ts");
      const { target, limits } = origins.get(connection)!;
      return [redisBackup(target, limits, options)];
    },
    async backupGrants() {
      const { redisGrants } = await import("./backup-grants.ts");
      return redisGrants();
    },
    async parseBackup() {
      const { parseRdb } = await import("./backup-parse.ts");
      return parseRdb;
    },
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
