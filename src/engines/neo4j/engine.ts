import type { Engine } from "../engine.ts";
import type { Origin } from "./bolt.ts";
import { connectNeo4j, type Neo4jConnection } from "./connect.ts";

/** A backup makes connections of its own to where this one goes. */
export const neo4j: Engine<Neo4jConnection & Origin> = {
  name: "neo4j",
  title: "Neo4j",
  connect: async (target, limits) => Object.assign(connectNeo4j(target, limits), { target, limits }),
  capabilities: {
    backup: async (_call, connection, options) =>
      (await import("./backup.ts")).neo4jParts(connection, options),
    backupGrants: async (target) => (await import("./backup-grants.ts")).neo4jGrants(target?.database ?? "neo4j"),
    parseBackup: async () => (await import("./backup-parse.ts")).parseNeo4jFile,
    memory: async (connection) => (await import("./memory.ts")).neo4jMemory(connection),
    migrations: async (connection) => (await import("./migrations.ts")).neo4jMigrations(connection),
    probe: async (connection) => (await import("./probe.ts")).neo4jProbe(connection),
  },
};
