import { existsSync } from "node:fs";
import { OpsError } from "../../errors.ts";
import type { QueryTarget } from "../../query/port.ts";
import type { SqliteConnection } from "./connect.ts";
import { runInProcess } from "./query-run.ts";

/** Statements on the file, each on a connection of its own that is read-only unless it may write. Makes no file. */
export function sqliteQuery(connection: SqliteConnection): QueryTarget {
  return {
    async query(call, text, options) {
      if (!existsSync(connection.path)) {
        throw new OpsError({
          code: "failed",
          engine: "sqlite",
          message: `the SQLite file ${connection.path} is not there yet`,
          hint: "opsctl init sqlite makes it",
        });
      }
      return runInProcess(call, connection.path, text, options);
    },
  };
}
