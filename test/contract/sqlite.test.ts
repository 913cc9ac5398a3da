import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sqliteConnection } from "../../src/engines/sqlite/connect.ts";
import { sqliteMemory } from "../../src/engines/sqlite/memory.ts";
import { INDEX_VERSION } from "../../src/memory/analyze.ts";
import { testCall } from "../support/calls.ts";
import { memoryStoreContract } from "./memory-store.ts";

memoryStoreContract(
  "SQLite",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "opsctl-contract-"));
    const connection = sqliteConnection(join(folder, "memory.db"));
    const store = sqliteMemory(connection);
    await store.counts(testCall());
    return {
      store,
      async clear() {
        connection.database().exec(
          `DELETE FROM memori_events; DELETE FROM memori_metadata; DELETE FROM memori_agents; DELETE FROM memori_index;
           DELETE FROM memori_terms; UPDATE memori_statistics SET documents = 0, title_length = 0, body_length = 0, index_version = ${INDEX_VERSION}`,
        );
      },
      async setIndexVersion(version) {
        connection.database().prepare("UPDATE memori_statistics SET index_version = ?").run(version);
      },
      async close() {
        await connection.close();
        rmSync(folder, { recursive: true });
      },
    };
  },
  { ordersWrites: false },
);
