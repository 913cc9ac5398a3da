import type { Engine } from "../engine.ts";
import { connectPostgres, type PostgresConnection } from "./connect.ts";

export const postgres: Engine<PostgresConnection> = {
  name: "postgres",
  title: "PostgreSQL",
  connect: connectPostgres,
  capabilities: {
    memory: async (connection) => (await import("./memory.ts")).postgresMemory(connection),
    migrations: async (connection) => (await import("./migrations.ts")).postgresMigrations(connection),
    probe: async (connection) => (await import("./probe.ts")).postgresProbe(connection),
  },
};
