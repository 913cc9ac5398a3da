import type { Call } from "../../call.ts";
import type { PostgresConnection } from "./connect.ts";

/** Records that go in one transaction: other writers wait no longer. */
const BATCH = 1_000;

/** A database without the tables has none: cleanup asks every server, also one that was never initialised. */
export async function countTombstones(
  connection: PostgresConnection,
  call: Call,
  beforeMs: number,
): Promise<number> {
  const [table] = await connection.query<{ there: boolean }>(
    call,
    "SELECT to_regclass('memori_metadata') IS NOT NULL AS there",
  );
  if (!table!.there) return 0;
  const [row] = await connection.query<{ count: number }>(
    call,
    "SELECT count(*)::int AS count FROM memori_metadata WHERE deleted_at IS NOT NULL AND deleted_at < $1",
    [beforeMs],
  );
  return row!.count;
}

/** Takes the lock of the writers first: one that brings a record back comes before, or finds it gone. */
export async function pruneTombstones(
  connection: PostgresConnection,
  call: Call,
  beforeMs: number,
): Promise<number> {
  for (let total = 0; ; ) {
    const gone = await connection.transaction(call, async (session) => {
      await session.query("SELECT id FROM memori_statistics FOR UPDATE");
      const rows = await session.query<{ id: string }>(
        `SELECT id FROM memori_metadata WHERE deleted_at IS NOT NULL AND deleted_at < $1 ORDER BY id LIMIT ${BATCH}`,
        [beforeMs],
      );
      const ids = rows.map(({ id }) => id);
      await session.query("DELETE FROM memori_events WHERE record_id = ANY ($1::text[])", [ids]);
      await session.query("DELETE FROM memori_metadata WHERE id = ANY ($1::text[])", [ids]);
      return ids.length;
    });
    total += gone;
    if (gone < BATCH) return total;
  }
}
