import type { SampleStore } from "../../health/port.ts";
import { stateSets } from "../../migrate/sets.ts";
import type { SqliteConnection } from "./connect.ts";
import { ensureSchema } from "./schema.ts";

/** Rows deleted in one transaction: a writer waits no longer. */
const PRUNE_ROWS = 10_000;

/** Figures of servers over time, in the host's state file. */
export function sqliteSamples(connection: SqliteConnection): SampleStore {
  const ready = (call: Parameters<SampleStore["add"]>[0]) => ensureSchema(call, connection, stateSets());
  return {
    async add(call, samples) {
      await ready(call);
      await connection.write(call, (database) => {
        const insert = database.prepare(
          "INSERT INTO opsctl_samples (target, metric, at, value) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        );
        for (const { target, metric, at, value } of samples) insert.run(target, metric, at, value);
      });
    },

    async since(call, target, sinceMs, metric) {
      await ready(call);
      return connection.read((database) =>
        database
          .prepare<
            [string, number, string | null, string | null],
            Awaited<ReturnType<SampleStore["since"]>>[0]
          >(
            `SELECT at, target, metric, value FROM opsctl_samples
             WHERE target = ? AND at >= ? AND (? IS NULL OR metric = ?) ORDER BY at, metric`,
          )
          .all(target, sinceMs, metric ?? null, metric ?? null),
      );
    },

    async countBefore(call, beforeMs) {
      await ready(call);
      return connection.read(
        (database) =>
          database
            .prepare<[number], number>("SELECT count(*) FROM opsctl_samples WHERE at < ?")
            .pluck()
            .get(beforeMs)!,
      );
    },

    async prune(call, beforeMs) {
      await ready(call);
      for (let total = 0; ; ) {
        const gone = await connection.write(
          call,
          (database) =>
            database
              .prepare(
                `DELETE FROM opsctl_samples WHERE (target, metric, at) IN
                   (SELECT target, metric, at FROM opsctl_samples WHERE at < ? LIMIT ${PRUNE_ROWS})`,
              )
              .run(beforeMs).changes,
        );
        total += gone;
        if (gone < PRUNE_ROWS) return total;
      }
    },
  };
}
