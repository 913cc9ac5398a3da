import type { Probe } from "../../health/port.ts";
import type { SqliteConnection } from "./connect.ts";

/** Asks the file, not only the library: reading the schema touches its first page. */
export function sqliteProbe(connection: SqliteConnection): Probe {
  return {
    async probe() {
      return connection.read((database) => {
        const startedAt = performance.now();
        const row = database
          .prepare<[], { version: string }>("SELECT sqlite_version() AS version, count(*) FROM sqlite_schema")
          .get()!;
        return { version: row.version, latency_ms: performance.now() - startedAt };
      });
    },
  };
}
