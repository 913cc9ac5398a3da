import { neo4jMemory } from "../../src/engines/neo4j/memory.ts";
import { neo4jMigrations } from "../../src/engines/neo4j/migrations.ts";
import { defaultSets } from "../../src/migrate/sets.ts";
import { applySets } from "../../src/migrate/shipped.ts";
import { testCall } from "../support/calls.ts";
import { clearMemory, openNeo4j } from "../support/neo4j.ts";
import { memoryStoreContract } from "./memory-store.ts";

memoryStoreContract(
  "Neo4j",
  async () => {
    const { connection, wipe } = openNeo4j();
    await wipe();
    await applySets(testCall(), neo4jMigrations(connection), defaultSets("neo4j"), false);
    return {
      store: neo4jMemory(connection),
      clear: () => clearMemory(connection),
      close: () => connection.close(),
    };
  },
  { ordersWrites: true },
);
