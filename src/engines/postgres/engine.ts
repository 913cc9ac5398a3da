import type { Engine } from "../engine.ts";
import { connectPostgres, type PostgresConnection } from "./connect.ts";

export const postgres = {
  name: "postgres",
  title: "PostgreSQL",
  connect: connectPostgres,
  capabilities: {
    backup: async (call, connection, options) =>
      (await import("./backup.ts")).postgresBackup(call, connection, options),
    backupGrants: async (target, databases) => {
      const { postgresGrants } = await import("./backup-grants.ts");
      return postgresGrants([...new Set([target?.database ?? "app", ...databases])]);
    },
    parseBackup: async () => (await import("./backup-parse.ts")).parsePostgresFile,
    memory: async (connection) => (await import("./memory.ts")).postgresMemory(connection),
    migrations: async (connection) => (await import("./migrations.ts")).postgresMigrations(connection),
    probe: async (connection: PostgresConnection) => (await import("./probe.ts")).postgresProbe(connection),
    restore: async (task, origin) => (await import("./restore.ts")).postgresRestore(task, origin),
    drill: async (call, task, target, limits) =>
      (await import("./restore-drill.ts")).postgresDrill(call, task, target, limits),
    statistics: async (connection) => (await import("./statistics.ts")).postgresStatistics(connection),
    checks: async () => (await import("./checks/index.ts")).postgresChecks,
    maintenance: async (connection, origin, thresholds) =>
      (await import("./maintenance.ts")).postgresMaintenance(connection, origin, thresholds),
    query: async (connection, origin) => (await import("./query.ts")).postgresQuery({ connection, origin }),
    shell: async (target, program) => (await import("./shell.ts")).postgresShell(target, program),
    leftovers: async (call, connection, _origin, kept) =>
      (await import("./leftovers.ts")).postgresLeftovers(call, connection, kept),
  },
} satisfies Engine<PostgresConnection>;
