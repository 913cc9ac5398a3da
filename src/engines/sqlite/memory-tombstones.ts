import type { Call } from "../../call.ts";
import type { MemoryStore } from "../../memory/port.ts";
import type { SqliteConnection } from "./connect.ts";

/** Records that go in one transaction: other writers wait no longer. */
const BATCH = 1_000;

export function countTombstones({ read }: SqliteConnection, beforeMs: number): number {
  return read(
    (database) =>
      database
        .prepare<[number], number>("SELECT count(*) FROM memori_metadata WHERE deleted_at < ?")
        .pluck()
        .get(beforeMs)!,
  );
}

/** Their tokens left the index when they were forgotten. */
export async function pruneTombstones(
  call: Call,
  connection: SqliteConnection,
  beforeMs: number,
): ReturnType<MemoryStore["pruneTombstones"]> {
  for (let total = 0; ; ) {
    const gone = await connection.write(call, (database) => {
      const rows = database
        .prepare<[number], number>(
          `SELECT row_id FROM memori_metadata WHERE deleted_at < ? ORDER BY row_id LIMIT ${BATCH}`,
        )
        .pluck()
        .all(beforeMs);
      const list = JSON.stringify(rows);
      database
        .prepare("DELETE FROM memori_events WHERE record IN (SELECT value FROM json_each(?))")
        .run(list);
      database
        .prepare("DELETE FROM memori_metadata WHERE row_id IN (SELECT value FROM json_each(?))")
        .run(list);
      return rows.length;
    });
    total += gone;
    if (gone < BATCH) return total;
  }
}
