/** What is counted over many events. */
import type Database from "better-sqlite3";
import { issueOf } from "../../memory/model.ts";
import type { SimilarIssue, SimilarQuery, StoreCounts, SuccessCounts, Window } from "../../memory/port.ts";
import { type Condition, FOLDED_ISSUE, fewRecords } from "./memory-sql.ts";

type IssueRow = Omit<SimilarIssue, "issue" | "solution">;

/**
 * Counts of the asked events by visible record, as `c` beside the record `m`: over the events of few records where the type names few, else over
 * all since a time, else over all events in the order of the table (the order of an index would look each of them up).
 */
function countedBy(database: Database.Database, type: string, since: number | undefined): Condition {
  const asked: Condition = { sql: `instr(${FOLDED_ISSUE}, ?) > 0`, params: [type] };
  const few = type === "" ? undefined : fewRecords(database, asked);
  const inTime = since === undefined ? "TRUE" : "at >= ?";
  const source =
    few === undefined
      ? `memori_events ${since === undefined ? "NOT INDEXED" : ""} WHERE ${inTime}`
      : `memori_events WHERE record IN (SELECT value FROM json_each(?)) AND ${inTime}`;
  return {
    sql: `(SELECT record, count(*) AS total, count(*) FILTER (WHERE success = 1) AS successes,
        count(*) FILTER (WHERE success = 0) AS failures, max(at) AS last FROM ${source} GROUP BY +record) c
      CROSS JOIN memori_metadata m ON m.row_id = c.record WHERE m.deleted_at IS NULL AND ${asked.sql}`,
    params: [...(few === undefined ? [] : [few]), ...(since === undefined ? [] : [since]), type],
  };
}

/** Counts first; the solutions are read of those issues only that are returned. */
export function readSimilar(database: Database.Database, query: SimilarQuery): SimilarIssue[] {
  const { type, since, after, limit } = query;
  const counted = countedBy(database, type, since);
  const rows = database
    .prepare<unknown[], IssueRow>(
      `SELECT m.key, sum(c.total) AS occurrences, sum(c.successes) AS successes, sum(c.failures) AS failures,
         max(c.last) AS lastSeen
       FROM ${counted.sql}
       GROUP BY m.key ${after ? `HAVING ${AFTER}` : ""} ORDER BY occurrences DESC, lastSeen DESC, m.key LIMIT ?`,
    )
    .all(...counted.params, ...(after ? [after.occurrences, after.lastSeen, after.key] : []), limit);
  const solution = database
    .prepare<[string, string], string>(
      `SELECT m.content FROM memori_metadata m JOIN memori_events e ON e.record = m.row_id
       WHERE m.folded_key = ? AND m.key = ? AND m.deleted_at IS NULL ORDER BY e.at DESC, e.id DESC LIMIT 1`,
    )
    .pluck();
  return rows.map((row) => ({
    ...row,
    issue: issueOf(row.key),
    solution: solution.get(row.key.toLowerCase(), row.key)!,
  }));
}

/** Most occurrences first, then the newest, then by key. */
const AFTER = "(-sum(c.total), -max(c.last), m.key) > (-?, -?, ?)";

export function readHistogram(
  database: Database.Database,
  keys: readonly string[],
  { from, to, parts }: Window,
): Map<string, number[]> {
  const wanted = keys.map((key) => [key.toLowerCase(), key]);
  // the driver binds large integers as floating point
  const rows = database
    .prepare<unknown[], { key: string; part: number; count: number }>(
      `SELECT m.key, (e.at - b.first) * b.parts / (b.last - b.first) AS part, count(*) AS count
       FROM (SELECT CAST(@from AS INTEGER) AS first, CAST(@to AS INTEGER) AS last, CAST(@parts AS INTEGER) AS parts) b
         CROSS JOIN json_each(@wanted) w CROSS JOIN memori_metadata m ON m.folded_key = w.value ->> 0 AND m.key = w.value ->> 1
         CROSS JOIN memori_events e ON e.record = m.row_id AND e.at >= b.first AND e.at < b.last
       WHERE m.deleted_at IS NULL GROUP BY m.key, part`,
    )
    .all({ wanted: JSON.stringify(wanted), from, to, parts });
  const histogram = new Map<string, number[]>();
  for (const { key, part, count } of rows) {
    const counts = histogram.get(key) ?? new Array<number>(parts).fill(0);
    counts[part] = count;
    histogram.set(key, counts);
  }
  return histogram;
}

export function readSuccessCounts(
  database: Database.Database,
  type: string | undefined,
  since: number | undefined,
): SuccessCounts {
  const counted = countedBy(database, type ?? "", since);
  return database
    .prepare<unknown[], SuccessCounts>(
      `SELECT coalesce(sum(c.total), 0) AS total, coalesce(sum(c.successes), 0) AS successes,
         coalesce(sum(c.failures), 0) AS failures FROM ${counted.sql}`,
    )
    .get(...counted.params)!;
}

export function readCounts(database: Database.Database): StoreCounts {
  return database
    .prepare<[], StoreCounts>(
      `SELECT (SELECT documents FROM memori_statistics) AS records,
         count(*) FILTER (WHERE m.key GLOB 'issue:*') AS fixes,
         count(DISTINCT m.key) FILTER (WHERE m.key GLOB 'issue:*') AS issues,
         (SELECT count(*) FROM memori_events e JOIN memori_metadata r ON r.row_id = e.record WHERE r.deleted_at IS NULL) AS events,
         (SELECT count(*) FROM memori_agents) AS agents
       FROM memori_metadata m WHERE m.deleted_at IS NULL`,
    )
    .get()!;
}
