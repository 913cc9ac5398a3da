import type Database from "better-sqlite3";
import type { Agent, EventView, RecordView } from "../../memory/model.ts";
import type { Page, RecordFilter } from "../../memory/port.ts";
import { afterOf, type Condition, conditionOf, fewFiltered, fewRecords, LATEST } from "./memory-sql.ts";

const RECORD_COLUMNS = `m.row_id, m.id, m.namespace, m.key, m.content, m.details, l.at AS last_seen, l.id AS last_event, l.success, l.agent,
    l.server, l.tags, l.metadata`;

interface RecordRow {
  row_id: number;
  id: string;
  namespace: string;
  key: string;
  content: string;
  details: string | null;
  last_seen: number;
  last_event: string;
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

/** Records with their latest event `l`: those of a list, or all, walking from the newest event (it counts when its record has no newer one). */
const LISTED = `json_each(?) listed CROSS JOIN memori_metadata m ON m.row_id = listed.value ${LATEST} WHERE TRUE`;
const WALKED = `memori_events l CROSS JOIN memori_metadata m ON m.row_id = l.record
  WHERE NOT EXISTS (SELECT 1 FROM memori_events n WHERE n.record = l.record AND (n.at, n.id) > (l.at, l.id))`;

export function readRecords(database: Database.Database, filter: RecordFilter, page: Page): RecordView[] {
  const few = fewFiltered(database, filter);
  const condition = conditionOf(filter, "l");
  const after = afterOf("l", page.after);
  const rows = database
    .prepare<unknown[], RecordRow>(
      `SELECT ${RECORD_COLUMNS} FROM ${few === undefined ? WALKED : LISTED} AND ${condition.sql} AND ${after.sql}
       ORDER BY l.at DESC, l.id DESC LIMIT ? OFFSET ?`,
    )
    .all(...(few === undefined ? [] : [few]), ...condition.params, ...after.params, page.limit, page.offset);
  return withCounts(database, rows);
}

/** Ids of the newest records that a condition on the record `m` alone and a filter select. */
function newestIds(
  database: Database.Database,
  keys: Condition,
  filter: RecordFilter,
  limit: number,
): string[] {
  const few = fewRecords(database, keys);
  const condition = conditionOf(filter, "l");
  return database
    .prepare<unknown[], string>(
      `SELECT m.id FROM ${few === undefined ? WALKED : LISTED} AND ${keys.sql} AND ${condition.sql}
       ORDER BY l.at DESC, l.id DESC LIMIT ?`,
    )
    .pluck()
    .all(...(few === undefined ? [] : [few]), ...keys.params, ...condition.params, limit);
}

/** Greatest character: `key < prefix + LAST` ends a prefix range. */
const LAST = "\u{10FFFF}";

export function readKeyMatches(
  database: Database.Database,
  foldedKey: string,
  filter: RecordFilter,
  limit: number,
): { id: string; exact: boolean }[] {
  const exact = newestIds(database, { sql: "m.folded_key = ?", params: [foldedKey] }, filter, limit);
  const prefix: Condition = {
    sql: "m.folded_key > ? AND m.folded_key < ?",
    params: [foldedKey, foldedKey + LAST],
  };
  const longer = exact.length < limit ? newestIds(database, prefix, filter, limit - exact.length) : [];
  return [...exact.map((id) => ({ id, exact: true })), ...longer.map((id) => ({ id, exact: false }))];
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
    lastEvent: row.last_event,
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

type EventRow = Omit<RecordRow, "row_id" | "last_seen" | "last_event"> & { event_id: string; at: number };

export function readEvents(database: Database.Database, filter: RecordFilter, page: Page): EventView[] {
  const few = fewFiltered(database, filter);
  const condition = conditionOf(filter, "e", true);
  const after = afterOf("e", page.after);
  const source =
    few === undefined
      ? "memori_events e CROSS JOIN memori_metadata m ON m.row_id = e.record"
      : "json_each(?) listed CROSS JOIN memori_metadata m ON m.row_id = listed.value CROSS JOIN memori_events e ON e.record = m.row_id";
  return database
    .prepare<unknown[], EventRow>(
      `SELECT ${EVENT_COLUMNS} FROM ${source} WHERE ${condition.sql} AND ${after.sql}
       ORDER BY e.at DESC, e.id DESC LIMIT ? OFFSET ?`,
    )
    .all(...(few === undefined ? [] : [few]), ...condition.params, ...after.params, page.limit, page.offset)
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
