import type { Engine } from "../engine.ts";
import { connectSqlite, type SqliteConnection } from "./connect.ts";

export const sqlite: Engine<SqliteConnection> = {
  name: "sqlite",
  title: "SQLite",
  connect: connectSqlite,
  capabilities: {
    backup: async (_call, connection, { sqlite }) =>
      (await import("./backup.ts")).sqliteBackup(connection, sqlite?.name),
    parseBackup: async () => (await import("./backup-parse.ts")).parseSqlite,
    memory: async (connection) => (await import("./memory.ts")).sqliteMemory(connection),
    migrations: async (connection) => (await import("./migrations.ts")).sqliteMigrations(connection),
    probe: async (connection) => (await import("./probe.ts")).sqliteProbe(connection),
    restore: async (task, origin) => (await import("./restore.ts")).sqliteRestore(task, origin),
    drill: async (call, task, target, limits) =>
      (await import("./restore-drill.ts")).sqliteDrill(call, task, target, limits),
    statistics: async (connection) => (await import("./statistics.ts")).sqliteStatistics(connection),
    checks: async () => (await import("./checks/index.ts")).sqliteChecks,
    maintenance: async (connection, origin, thresholds) =>
      (await import("./maintenance.ts")).sqliteMaintenance(connection, origin, thresholds),
    query: async (connection, { limits }) =>
      (await import("./query.ts")).sqliteQuery(connection, limits.queryMs),
    shell: async (target, program) => (await import("./shell.ts")).sqliteShell(target, program),
  },
};
