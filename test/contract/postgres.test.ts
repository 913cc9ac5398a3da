import type { Target } from "../../src/config/targets.ts";
import { connectPostgres } from "../../src/engines/postgres/connect.ts";
import { postgresMemory } from "../../src/engines/postgres/memory.ts";
import { postgresMigrations } from "../../src/engines/postgres/migrations.ts";
import { INDEX_VERSION } from "../../src/memory/analyze.ts";
import { defaultSets } from "../../src/migrate/sets.ts";
import { applySets } from "../../src/migrate/shipped.ts";
import { testCall } from "../support/calls.ts";
import { postgresDatabase } from "../support/servers.ts";
import { memoryStoreContract } from "./memory-store.ts";

memoryStoreContract(
  "PostgreSQL",
  async () => {
    const database = await postgresDatabase();
    const target: Target = { engine: "postgres", url: database.url, shown: "", identity: "" };
    const connection = await connectPostgres(target, { connectMs: 5000, queryMs: 30_000, poolSize: 4 });
    await applySets(testCall(), postgresMigrations(connection), defaultSets("postgres"), false);
    return {
      store: postgresMemory(connection),
      async clear() {
        await connection.transaction(testCall(), async (session) => {
          await session.query("TRUNCATE memori_metadata, memori_events, memori_agents, memori_terms");
          await session.query(
            `UPDATE memori_statistics SET documents = 0, title_length = 0, body_length = 0, index_version = ${INDEX_VERSION}`,
          );
        });
      },
      async setIndexVersion(version) {
        await connection.query(testCall(), "UPDATE memori_statistics SET index_version = $1", [version]);
      },
      async close() {
        await connection.close();
        await database.drop();
      },
    };
  },
  { ordersWrites: true },
);
