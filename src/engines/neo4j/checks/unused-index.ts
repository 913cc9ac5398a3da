import type { Call } from "../../../call.ts";
import type { Found } from "../../../health/doctor/check.ts";
import { type Described, indexSizes, keyOf } from "../count-store.ts";
import { quoted } from "../migration-schema.ts";
import { told } from "../server-facts.ts";
import { cypher, type Neo4jCheck, type Neo4jScope } from "./common.ts";

const DAY_MS = 86_400_000;
/** Indexes of fewer entries cost nothing worth a finding. */
const MIN_ENTRIES = 10_000;
const MIN_AGE_MS = 7 * DAY_MS;

/** `trackedSince`: since when reads are counted. Those of constraints have another purpose. */
const UNREAD = `SHOW INDEXES YIELD name, type, state, labelsOrTypes, properties, owningConstraint, readCount, trackedSince
WHERE state = 'ONLINE' AND type IN ['RANGE', 'TEXT', 'POINT'] AND owningConstraint IS NULL AND readCount = 0
  AND trackedSince.epochMillis <= $before
RETURN name, type, labelsOrTypes AS covered, properties, trackedSince.epochMillis AS since ORDER BY name`;

export const unusedIndex: Neo4jCheck = {
  id: "neo4j-unused-index",
  area: "neo4j",
  title: "an index that no query reads",
  looks: "SHOW INDEXES: readCount of indexes with 10,000 entries and more, counted for seven days",
  run: (call, scope) => unreadIndexes(call, scope, Date.now(), MIN_ENTRIES),
};

/** @param now epoch ms */
export async function unreadIndexes(
  call: Call,
  { connection }: Neo4jScope,
  now: number,
  minEntries: number,
): Promise<Found[]> {
  const before = BigInt(now - MIN_AGE_MS);
  const unread = await told<Described & { name: string; since: number }>(
    call,
    connection,
    "indexes",
    UNREAD,
    { before },
  );
  if (unread.length === 0) return [];
  const sizes = await indexSizes(call, connection);
  const sizeOf = (index: Described) => sizes.get(keyOf(index))?.size ?? 0;
  return unread
    .filter((index) => sizeOf(index) >= minEntries)
    .map((index) => ({
      severity: "info",
      subject: `index ${index.name}`,
      evidence: `no query has read it in ${((now - index.since) / DAY_MS).toFixed(0)} days; it has ${sizeOf(index)} entries`,
      cause: "every write of what it covers also writes the index",
      remedies: [cypher(`DROP INDEX ${quoted(index.name)} IF EXISTS`, false)],
      advice: "keep it when a yearly report or an incident needs it",
    }));
}
