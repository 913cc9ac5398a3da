import type { Engine } from "../engine.ts";
import type { RedisConnection } from "./connect.ts";

/** Redis: the session cache. It keeps no incident memory; opsctl probes it, sets its configuration, migrates it and backs it up. */
export const redis: Engine<RedisConnection> = {
  name: "redis",
  title: "Redis",
  async connect(target, limits) {
    const { connectRedis } = await import("./connect.ts");
    return connectRedis(target, limits);
  },
  capabilities: {
    async backup(_call, _connection, options, { target, limits }) {
      const { redisBackup } = await import("./backup.ts");
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
    restore: async (task, origin) => (await import("./restore.ts")).redisRestore(task, origin),
    drill: async (call, task, target, limits) =>
      (await import("./restore-drill.ts")).redisDrill(call, task, target, limits),
    statistics: async (connection, { target }) =>
      (await import("./statistics.ts")).redisStatistics(connection, target),
    checks: async () => (await import("./checks/index.ts")).redisChecks,
    maintenance: async (connection, _origin, thresholds) =>
      (await import("./maintenance.ts")).redisMaintenance(connection, thresholds),
    query: async (connection) => (await import("./query.ts")).redisQuery(connection),
    shell: async (target, program) => (await import("./shell.ts")).redisShell(target, program),
  },
};
