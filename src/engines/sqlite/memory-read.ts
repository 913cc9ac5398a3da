import type Database from "better-sqlite3";
import type { Agent, EventView, RecordView } from "../../memory/model.ts";
import type { Page, RecordFilter } from "../../memory/port.ts";
import { conditionOf, LATEST } from "./memory-sql.ts";

const RECORD_COLUMNS = `m.row_id, m.id, m.namespace, m.key, m.content, m.details, l.at AS last_seen, l.success, l.agent,
    l.server, l.tags, l.metadata`;

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
