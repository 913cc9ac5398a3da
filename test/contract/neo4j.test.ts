import { neo4jMemory } from "../../src/engines/neo4j/memory.ts";
import { neo4jMigrations } from "../../src/engines/neo4j/migrations.ts";
import { INDEX_VERSION } from "../../src/memory/analyze.ts";
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
    const setIndexVersion = async (version: number) => {
      await connection.command(testCall(), `MATCH (s:Stat) SET s.index_version = ${version}`);
    };
    return {
      store: neo4jMemory(connection),
      async clear() {
        await clearMemory(connection);
        await setIndexVersion(INDEX_VERSION);
      },
      setIndexVersion,
      close: () => connection.close(),
    };
  },
  { ordersWrites: true },
);
