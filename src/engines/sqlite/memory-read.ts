import type Database from "better-sqlite3";
import type { Agent, EventView, RecordView } from "../../memory/model.ts";
import type {
  Candidate,
  Page,
  RecordFilter,
  SimilarIssue,
  StoreCounts,
  SuccessCounts,
  TermStatistics,
} from "../../memory/port.ts";

/** Greatest character: `key < prefix + LAST` ends a prefix range. */
const LAST = "\u{10FFFF}";

/** The folded issue of a record `m`: what the guide's CONTAINS looks into. */
const FOLDED_ISSUE =
  "CASE WHEN m.folded_key LIKE 'issue:%' THEN substr(m.folded_key, 7) ELSE m.folded_key END";

/** The latest event `l` of a record `m`: the greatest (at, id). */
const LATEST = `JOIN memori_events l ON l.id = (
    SELECT id FROM memori_events WHERE record = m.row_id ORDER BY at DESC, id DESC LIMIT 1)`;

const RECORD_COLUMNS = `m.row_id, m.id, m.namespace, m.key, m.content, m.details, l.at AS last_seen, l.success, l.agent,
    l.server, l.tags, l.metadata`;

interface Condition {
  sql: string;
  params: (string | number)[];
}

/** Conditions on a record `m`; `event` is the alias of the event that `since` and `success` speak of. */
function conditionOf(filter: RecordFilter, event: "l" | "e", perEvent = false): Condition {
  const parts = ["m.deleted_at IS NULL"];
  const params: (string | number)[] = [];
  const add = (sql: string, value: string | number) => {
    parts.push(sql);
    params.push(value);
  };
  if (filter.since !== undefined) add(`${event}.at >= ?`, filter.since);
  if (filter.success !== undefined) add(`${event}.success = ?`, Number(filter.success));
  if (filter.issue !== undefined) add(`instr(${FOLDED_ISSUE}, ?) > 0`, filter.issue);
  if (filter.record !== undefined) add("m.id = ?", filter.record);
  if (filter.agent !== undefined) {
    add(
      perEvent
        ? `${event}.agent = ?`
        : "EXISTS (SELECT 1 FROM memori_events a WHERE a.record = m.row_id AND a.agent = ?)",
      filter.agent,
    );
  }
  return { sql: parts.join(" AND "), params };
}

interface RecordRow {
  row_id: number;
  id: string;
  namespace: string;
  key: string;
  content: string;
  details: string | null;
  last_seen: number;
  success: number | null;
  agent: string | null;
  server: string | null;
  tags: string;
  metadata: string;
}

interface CountsRow {
  record: number;
  occurrences: number;
  successes: number;
  failures: number;
  first_seen: number;
}

export function readRecords(database: Database.Database, filter: RecordFilter, page: Page): RecordView[] {
  const condition = conditionOf(filter, "l");
  // walks the events from the newest; an event counts when its record has no newer one
  const rows = database
    .prepare<unknown[], RecordRow>(
      `SELECT ${RECORD_COLUMNS} FROM memori_events l CROSS JOIN memori_metadata m ON m.row_id = l.record
       WHERE NOT EXISTS (SELECT 1 FROM memori_events n WHERE n.record = l.record AND (n.at, n.id) > (l.at, l.id))
         AND ${condition.sql}
       ORDER BY l.at DESC, l.id DESC LIMIT ? OFFSET ?`,
    )
    .all(...condition.params, page.limit, page.offset);
  return withCounts(database, rows);
}

export function readByIds(database: Database.Database, ids: readonly string[]): RecordView[] {
  const rows = database
    .prepare<[string], RecordRow>(
      `SELECT ${RECORD_COLUMNS} FROM json_each(?) wanted JOIN memori_metadata m ON m.id = wanted.value ${LATEST}
       WHERE m.deleted_at IS NULL`,
    )
    .all(JSON.stringify(ids));
  return withCounts(database, rows);
}

/** One pass over the events of the records of a page. */
function withCounts(database: Database.Database, rows: RecordRow[]): RecordView[] {
  const counts = database
    .prepare<[string], CountsRow>(
      `SELECT e.record, count(*) AS occurrences, count(*) FILTER (WHERE e.success = 1) AS successes,
         count(*) FILTER (WHERE e.success = 0) AS failures, min(e.at) AS first_seen
       FROM json_each(?) wanted JOIN memori_events e ON e.record = wanted.value GROUP BY e.record`,
    )
    .all(JSON.stringify(rows.map((row) => row.row_id)));
  const byRow = new Map(counts.map((row) => [row.record, row]));
  return rows.map((row) => toView(row, byRow.get(row.row_id)!));
}

function toView(row: RecordRow, counts: CountsRow): RecordView {
  return {
    id: row.id,
    namespace: row.namespace,
    key: row.key,
    content: row.content,
    details: row.details,
    occurrences: counts.occurrences,
    successes: counts.successes,
    failures: counts.failures,
    lastSeen: row.last_seen,
    firstSeen: counts.first_seen,
    success: toBoolean(row.success),
    agent: row.agent,
    server: row.server,
    tags: JSON.parse(row.tags),
    metadata: JSON.parse(row.metadata),
  };
}

const toBoolean = (value: number | null) => (value === null ? null : value === 1);

const EVENT_COLUMNS = `e.id AS event_id, e.agent, e.server, e.success, e.tags, e.metadata, e.at,
    m.id, m.namespace, m.key, m.content, m.details`;

type EventRow = Omit<RecordRow, "row_id" | "last_seen"> & { event_id: string; at: number };

export function readEvents(database: Database.Database, filter: RecordFilter, page: Page): EventView[] {
  const condition = conditionOf(filter, "e", true);
  return database
    .prepare<unknown[], EventRow>(
      `SELECT ${EVENT_COLUMNS} FROM memori_events e CROSS JOIN memori_metadata m ON m.row_id = e.record
       WHERE ${condition.sql} ORDER BY e.at DESC, e.id DESC LIMIT ? OFFSET ?`,
    )
    .all(...condition.params, page.limit, page.offset)
    .map(toEvent);
}

export function* iterateEvents(database: Database.Database): Generator<EventView> {
  const rows = database
    .prepare<[], EventRow>(
      `SELECT ${EVENT_COLUMNS} FROM memori_events e CROSS JOIN memori_metadata m ON m.row_id = e.record
       WHERE m.deleted_at IS NULL ORDER BY e.at, e.id`,
    )
    .iterate();
  for (const row of rows) yield toEvent(row);
}

function toEvent(row: EventRow): EventView {
  const { id, namespace, key, content, details } = row;
  return {
    id: row.event_id,
    recordId: id,
    agent: row.agent,
    server: row.server,
    success: toBoolean(row.success),
    tags: JSON.parse(row.tags),
    metadata: JSON.parse(row.metadata),
    at: row.at,
    record: { id, namespace, key, content, details },
  };
}

export function readAgents(database: Database.Database, status: string | undefined): Agent[] {
  return database
    .prepare<unknown[], Agent>(
      `SELECT name, server, status, last_seen AS lastSeen FROM memori_agents
       ${status === undefined ? "" : "WHERE status = ?"} ORDER BY name`,
    )
    .all(...(status === undefined ? [] : [status]));
}

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
