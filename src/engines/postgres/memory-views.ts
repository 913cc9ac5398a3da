/** What is counted over events: issues, outcomes, parts of a time. */
import type { Call } from "../../call.ts";
import { issueOf } from "../../memory/model.ts";
import type { IssueCursor, SimilarIssue, SimilarQuery, SuccessCounts, Window } from "../../memory/port.ts";
import type { PostgresConnection } from "./connect.ts";
import { conditionOf, Parameters } from "./memory-sql.ts";

export async function readSimilar(
  connection: PostgresConnection,
  call: Call,
  { type, since, after, limit }: SimilarQuery,
): Promise<SimilarIssue[]> {
  const parameters = new Parameters();
  const condition = conditionOf({ issue: type, since }, "e", parameters);
  // the newest solution only for the issues of the page: it needs the events in their order
  const rows = await connection.query<Omit<SimilarIssue, "issue">>(
    call,
    `SELECT c.key, s.content AS solution, c.occurrences, c.successes, c.failures, c."lastSeen"
     FROM (
       SELECT m.key, m.folded_key, count(*) AS occurrences, count(*) FILTER (WHERE e.success) AS successes,
         count(*) FILTER (WHERE NOT e.success) AS failures, max(e.at) AS "lastSeen"
       FROM memori_metadata m JOIN memori_events e ON e.record_id = m.id
       WHERE ${condition} GROUP BY m.key, m.folded_key ${comesAfter(after, parameters)}
       ORDER BY occurrences DESC, "lastSeen" DESC, m.key LIMIT ${parameters.add(limit)}
     ) c CROSS JOIN LATERAL (
       SELECT r.content FROM memori_metadata r JOIN memori_events e ON e.record_id = r.id
       WHERE r.folded_key = c.folded_key AND r.key = c.key AND r.deleted_at IS NULL AND e.at = c."lastSeen"
       ORDER BY e.id DESC LIMIT 1
     ) s
     ORDER BY c.occurrences DESC, c."lastSeen" DESC, c.key`,
    parameters.values,
  );
  return rows.map((row) => ({ ...row, issue: issueOf(row.key) }));
}

function comesAfter(after: IssueCursor | undefined, parameters: Parameters): string {
  if (after === undefined) return "";
  const count = `${parameters.add(after.occurrences)}::bigint`;
  const at = `${parameters.add(after.lastSeen)}::bigint`;
  const key = `${parameters.add(after.key)}::text`;
  return `HAVING count(*) < ${count} OR (count(*) = ${count}
    AND (max(e.at) < ${at} OR (max(e.at) = ${at} AND m.key > ${key})))`;
}

/** Whole numbers throughout: an event at the border of two parts is in the same one in every store. */
export async function readHistogram(
  connection: PostgresConnection,
  call: Call,
  keys: readonly string[],
  { from, to, parts }: Window,
): Promise<Map<string, number[]>> {
  if (keys.length === 0 || to <= from) return new Map();
  const rows = await connection.query<{ key: string; part: number; events: number }>(
    call,
    `SELECT m.key, (e.at - $3::bigint) * $5::bigint / ($4::bigint - $3::bigint) AS part, count(*) AS events
     FROM memori_metadata m JOIN memori_events e ON e.record_id = m.id
     WHERE m.folded_key = ANY ($2::text[]) AND m.key = ANY ($1::text[]) AND m.deleted_at IS NULL
       AND e.at >= $3 AND e.at < $4
     GROUP BY 1, 2`,
    [keys, keys.map((key) => key.toLowerCase()), from, to, parts],
  );
  const histogram = new Map<string, number[]>();
  for (const { key, part, events } of rows) {
    const counts = histogram.get(key) ?? Array.from({ length: parts }, () => 0);
    counts[part] = events;
    histogram.set(key, counts);
  }
  return histogram;
}

export async function readSuccessCounts(
  connection: PostgresConnection,
  call: Call,
  type: string | undefined,
  since: number | undefined,
): Promise<SuccessCounts> {
  const parameters = new Parameters();
  const condition = conditionOf({ issue: type, since }, "e", parameters);
  const rows = await connection.query<SuccessCounts>(
    call,
    `SELECT count(*) AS total, count(*) FILTER (WHERE e.success) AS successes,
       count(*) FILTER (WHERE NOT e.success) AS failures
     FROM memori_metadata m JOIN memori_events e ON e.record_id = m.id WHERE ${condition}`,
    parameters.values,
  );
  return rows[0]!;
}
