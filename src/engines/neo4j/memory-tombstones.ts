import type { Call } from "../../call.ts";
import type { Neo4jConnection } from "./connect.ts";
import { LOCK } from "./memory-write.ts";

/** Records that go in one transaction: other writers wait no longer. */
const BATCH = 500;

const COUNT = "MATCH (m:Memory) WHERE m.deleted_at < $before RETURN count(m) AS count";
/** Their events are no Fix nodes any more, and tied to nothing else, since they were forgotten. */
const PRUNE = `MATCH (m:Memory) WHERE m.deleted_at < $before WITH m ORDER BY m.id LIMIT $batch
OPTIONAL MATCH (m)<-[:OF]-(e:Event)
WITH collect(DISTINCT m) AS records, collect(e) AS events
FOREACH (e IN events | DETACH DELETE e) FOREACH (m IN records | DETACH DELETE m)
RETURN size(records) AS count`;

export async function countTombstones(
  call: Call,
  connection: Neo4jConnection,
  beforeMs: number,
): Promise<number> {
  const [row] = await connection.read<{ count: number }>(call, COUNT, { before: BigInt(beforeMs) });
  return row!.count;
}

/** Takes the lock of the writers first: one that brings a record back comes before, or finds it gone. */
export async function pruneTombstones(
  call: Call,
  connection: Neo4jConnection,
  beforeMs: number,
): Promise<number> {
  for (let total = 0; ; ) {
    const gone = await connection.write(call, async (run) => {
      await run(LOCK);
      const [row] = await run<{ count: number }>(PRUNE, { before: BigInt(beforeMs), batch: BigInt(BATCH) });
      return row!.count;
    });
    total += gone;
    if (gone < BATCH) return total;
  }
}
