import type Database from "better-sqlite3";
import type {
  Candidate,
  RecordFilter,
  SimilarIssue,
  StoreCounts,
  SuccessCounts,
  TermStatistics,
} from "../../memory/port.ts";
import { conditionOf, FOLDED_ISSUE, LATEST } from "./memory-sql.ts";

/** Greatest character: `key < prefix + LAST` ends a prefix range. */
const LAST = "\u{10FFFF}";

export function readKeyMatches(
  database: Database.Database,
  foldedKey: string,
  filter: RecordFilter,
  limit: number,
): { id: string; exact: boolean }[] {
  const condition = conditionOf(filter, "l");
  return database
    .prepare<unknown[], { id: string; exact: number }>(
      `SELECT m.id, m.folded_key = ? AS exact FROM memori_metadata m ${LATEST}
       WHERE m.folded_key >= ? AND m.folded_key < ? AND ${condition.sql}
       ORDER BY exact DESC, l.at DESC, l.id DESC LIMIT ?`,
    )
    .all(foldedKey, foldedKey, foldedKey + LAST, ...condition.params, limit)
    .map(({ id, exact }) => ({ id, exact: exact === 1 }));
}

export function readTerms(database: Database.Database, terms: readonly string[]): TermStatistics {
  const rows = database
    .prepare<[string], { term: string; df: number }>(
      "SELECT t.term, t.df FROM json_each(?) wanted JOIN memori_terms t ON t.term = wanted.value",
    )
    .all(JSON.stringify(terms));
  const statistics = database
    .prepare<[], { documents: number; titleLength: number; bodyLength: number }>(
      "SELECT documents, title_length AS titleLength, body_length AS bodyLength FROM memori_statistics",
    )
    .get()!;
  return { ...statistics, frequencies: new Map(rows.map(({ term, df }) => [term, df])) };
}

export function readCandidates(
  database: Database.Database,
  terms: readonly string[],
  filter: RecordFilter,
  limit: number,
): Candidate[] {
  const filtered = Object.keys(filter).length > 0;
  const condition = conditionOf(filter, "l");
  const match = terms.map((term) => `"${term}"`).join(" OR ");
  return database
    .prepare<
      unknown[],
      { id: string; title: string; body: string; foldedKey: string; titleLength: number; bodyLength: number }
    >(
      `SELECT m.id, i.title, i.body, m.folded_key AS foldedKey, m.title_length AS titleLength, m.body_length AS bodyLength
       FROM memori_index i CROSS JOIN memori_metadata m ON m.row_id = i.rowid ${filtered ? LATEST : ""}
       WHERE memori_index MATCH ? AND i.rank MATCH 'bm25(3.0, 1.0)' AND ${condition.sql}
       ORDER BY i.rank LIMIT ?`,
    )
    .all(match, ...condition.params, limit)
    .map(({ id, ...prepared }) => ({ id, prepared }));
}

export function readSimilar(
  database: Database.Database,
  type: string,
  since: number | undefined,
  limit: number,
): SimilarIssue[] {
  const rows = database
    .prepare<
      unknown[],
      {
        key: string;
        solution: string;
        occurrences: number;
        successes: number;
        failures: number;
        lastSeen: number;
      }
    >(
      `WITH matching AS (
         SELECT m.key, m.content, e.at, e.id, e.success FROM memori_metadata m JOIN memori_events e ON e.record = m.row_id
         WHERE m.deleted_at IS NULL AND instr(${FOLDED_ISSUE}, ?) > 0 AND e.at >= ?
       ), ranked AS (
         SELECT *, row_number() OVER (PARTITION BY key ORDER BY at DESC, id DESC) AS nth FROM matching
       )
       SELECT key, max(content) FILTER (WHERE nth = 1) AS solution, count(*) AS occurrences,
         count(*) FILTER (WHERE success = 1) AS successes, count(*) FILTER (WHERE success = 0) AS failures,
         max(at) AS lastSeen
       FROM ranked GROUP BY key ORDER BY occurrences DESC, lastSeen DESC, key LIMIT ?`,
    )
    .all(type, since ?? 0, limit);
  return rows.map((row) => ({ ...row, issue: row.key.startsWith("issue:") ? row.key.slice(6) : null }));
}

export function readSuccessCounts(
  database: Database.Database,
  type: string | undefined,
  since: number | undefined,
): SuccessCounts {
  return database
    .prepare<unknown[], SuccessCounts>(
      `SELECT count(*) AS total, count(*) FILTER (WHERE e.success = 1) AS successes,
         count(*) FILTER (WHERE e.success = 0) AS failures
       FROM memori_metadata m JOIN memori_events e ON e.record = m.row_id
       WHERE m.deleted_at IS NULL AND instr(${FOLDED_ISSUE}, ?) > 0 AND e.at >= ?`,
    )
    .get(type ?? "", since ?? 0)!;
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
