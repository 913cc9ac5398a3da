import type { Engine } from "../engine.ts";
import { connectPostgres, type PostgresConnection } from "./connect.ts";

export const postgres: Engine<PostgresConnection> = {
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
    probe: async (connection) => (await import("./probe.ts")).postgresProbe(connection),
    restore: async (task, origin) => (await import("./restore.ts")).postgresRestore(task, origin),
    drill: async (call, task, target, limits) =>
      (await import("./restore-drill.ts")).postgresDrill(call, task, target, limits),
  },
};
