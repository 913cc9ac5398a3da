/** What the views of the memory ask: groups of records and sums over events. */
import type { Call } from "../../call.ts";
import { compareBytes } from "../../memory/cursor.ts";
import { issueOf } from "../../memory/model.ts";
import type { SimilarIssue, SimilarQuery, SuccessCounts, Window } from "../../memory/port.ts";
import type { Neo4jConnection } from "./connect.ts";
import { conditionOf, EVENT_SUMS } from "./memory-rows.ts";

/** The newest event of a group is of the group's `lastSeen`; its record's content is the solution. */
export async function readSimilar(
  call: Call,
  connection: Neo4jConnection,
  { type, since, after, limit }: SimilarQuery,
): Promise<SimilarIssue[]> {
  const { cypher, params } = conditionOf({ since, issue: type });
  const place = after
    ? `WHERE occurrences < $occurrences OR (occurrences = $occurrences
  AND (lastSeen < $lastSeen OR (lastSeen = $lastSeen AND key > $key)))`
    : "";
  const query = `MATCH (m:Memory)<-[:OF]-(x:Event) WHERE ${cypher.replaceAll("e.ts", "x.ts")}
WITH m, ${EVENT_SUMS}, max(x.ts) AS lastSeen
WITH m.key AS key, collect(m) AS records, sum(occurrences) AS occurrences, sum(successes) AS successes,
  sum(failures) AS failures, max(lastSeen) AS lastSeen
${place}
ORDER BY occurrences DESC, lastSeen DESC, key LIMIT $limit
RETURN key, occurrences, successes, failures, lastSeen,
  COLLECT { UNWIND records AS m MATCH (m)<-[:OF]-(e:Event {ts: lastSeen})
    RETURN m.content ORDER BY e.id DESC LIMIT 1 }[0] AS solution`;
  const rows = await connection.read<Omit<SimilarIssue, "issue">>(call, query, {
    ...params,
    ...(after && {
      occurrences: BigInt(after.occurrences),
      lastSeen: BigInt(after.lastSeen),
      key: after.key,
    }),
    limit: BigInt(limit),
  });
  return rows
    .map((row) => ({ ...row, issue: issueOf(row.key) }))
    .sort((a, b) => b.occurrences - a.occurrences || b.lastSeen - a.lastSeen || compareBytes(a.key, b.key));
}

// the index is on the folded key
const HISTOGRAM = `UNWIND $folded AS folded MATCH (m:Memory {folded_key: folded})<-[:OF]-(e:Event)
WHERE m.key IN $keys AND m.deleted_at IS NULL AND e.ts >= $from AND e.ts < $to
RETURN m.key AS key, (e.ts - $from) * $parts / ($to - $from) AS part, count(e) AS events`;

export async function readHistogram(
  call: Call,
  connection: Neo4jConnection,
  keys: readonly string[],
  { from, to, parts }: Window,
): Promise<Map<string, number[]>> {
  const rows = await connection.read<{ key: string; part: number; events: number }>(call, HISTOGRAM, {
    keys: [...new Set(keys)],
    folded: [...new Set(keys.map((key) => key.toLowerCase()))],
    from: BigInt(from),
    to: BigInt(to),
    parts: BigInt(parts),
  });
  const histogram = new Map<string, number[]>();
  for (const { key, part, events } of rows) {
    const counts = histogram.get(key) ?? Array.from({ length: parts }, () => 0);
    counts[part] = events;
    histogram.set(key, counts);
  }
  return histogram;
}

export async function readSuccessCounts(
  call: Call,
  connection: Neo4jConnection,
  type: string | undefined,
  since: number | undefined,
): Promise<SuccessCounts> {
  const { cypher, params } = conditionOf({ since, issue: type });
  const query = `MATCH (m:Memory)<-[:OF]-(x:Event) WHERE ${cypher.replaceAll("e.ts", "x.ts")}
WITH ${EVENT_SUMS} RETURN occurrences AS total, successes, failures`;
  const [counts] = await connection.read<SuccessCounts>(call, query, params);
  return counts!;
}
