import type { Engine } from "../engine.ts";
import { connectSqlite, type SqliteConnection } from "./connect.ts";

export const sqlite: Engine<SqliteConnection> = {
  name: "sqlite",
  title: "SQLite",
  connect: connectSqlite,
  capabilities: {
    memory: async (connection) => (await import("./memory.ts")).sqliteMemory(connection),
    migrations: async (connection) => (await import("./migrations.ts")).sqliteMigrations(connection),
    probe: async (connection) => (await import("./probe.ts")).sqliteProbe(connection),
  },
};
