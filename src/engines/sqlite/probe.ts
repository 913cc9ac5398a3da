import { statSync } from "node:fs";
import { OpsError } from "../../errors.ts";
import type { Probe } from "../../health/port.ts";
import type { SqliteConnection } from "./connect.ts";

/** Checking 32 MiB takes a tenth of a second; a larger file is left to a deeper check than a probe. */
const CHECKED_BYTES = 32 * 1024 * 1024;

/** Asks the file, not only the library: a small one is checked page by page, of a larger one the schema is read. */
export function sqliteProbe(connection: SqliteConnection): Probe {
  return {
    async probe() {
      return connection.read((database) => {
        const startedAt = performance.now();
        const { version } = database
          .prepare<[], { version: string }>("SELECT sqlite_version() AS version, count(*) FROM sqlite_schema")
          .get()!;
        const latency_ms = performance.now() - startedAt;
        if (statSync(connection.path).size <= CHECKED_BYTES) check(database, connection.path);
        return { version, latency_ms };
      });
    },
  };
}

function check(database: ReturnType<SqliteConnection["database"]>, path: string): void {
  const result = database.pragma("quick_check(1)", { simple: true });
  if (result === "ok") return;
  throw new OpsError({
    code: "integrity",
    engine: "sqlite",
    message: `SQLite file ${path} is damaged`,
    hint: "restore it from a backup, or try `sqlite3 FILE .recover`",
  });
}
