import type { Engine } from "../engine.ts";
import { connectNeo4j, type Neo4jConnection } from "./connect.ts";

export const neo4j: Engine<Neo4jConnection> = {
  name: "neo4j",
  title: "Neo4j",
  connect: async (target, limits) => connectNeo4j(target, limits),
  capabilities: {
    backup: async (_call, _connection, options, origin) =>
      (await import("./backup.ts")).neo4jParts(origin, options),
    backupGrants: async (target) =>
      (await import("./backup-grants.ts")).neo4jGrants(target?.database ?? "neo4j"),
    parseBackup: async () => (await import("./backup-parse.ts")).parseNeo4jFile,
    memory: async (connection) => (await import("./memory.ts")).neo4jMemory(connection),
    migrations: async (connection) => (await import("./migrations.ts")).neo4jMigrations(connection),
    probe: async (connection) => (await import("./probe.ts")).neo4jProbe(connection),
    restore: async (task, origin) => (await import("./restore.ts")).neo4jRestore(task, origin),
    drill: async (call, task, target, limits, live) =>
      (await import("./restore-drill.ts")).neo4jDrill(call, task, target, limits, live),
    statistics: async (connection, origin, thresholds, root) =>
      (await import("./statistics.ts")).neo4jStatistics(connection, origin, thresholds, root),
    checks: async () => (await import("./checks/index.ts")).neo4jChecks,
    maintenance: async (connection) => (await import("./maintenance.ts")).neo4jMaintenance(connection),
    query: async (_connection, origin) => (await import("./query.ts")).neo4jQuery(origin),
    shell: async (target, program) => (await import("./shell.ts")).neo4jShell(target, program),
  },
};
