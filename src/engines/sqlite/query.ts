import { existsSync } from "node:fs";
import { OpsError } from "../../errors.ts";
import type { QueryTarget } from "../../query/port.ts";
import type { SqliteConnection } from "./connect.ts";
import { runInProcess } from "./query-run.ts";

/**
 * Statements on the file, each on a connection of its own that is read-only unless it may write. Makes no file.
 * @param queryMs how long one that only reads may take; what may write is ended by the call's deadline alone: what was cut off is lost work
 */
export function sqliteQuery(connection: SqliteConnection, queryMs: number): QueryTarget {
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
      const mayWrite = options.write && !options.explain;
      return runInProcess(call, connection.path, text, options, mayWrite ? undefined : queryMs);
    },
  };
}
