import type { Call } from "../../call.ts";
import type { Agent, EventView, MemoryRecord, RecordView } from "../../memory/model.ts";
import type { Page, RecordFilter, StoreCounts } from "../../memory/port.ts";
import type { PostgresConnection } from "./connect.ts";
import { conditionOf, isAfter, LATEST, Parameters } from "./memory-sql.ts";

/** Columns of a RecordView; `m` is the record, `l` its latest event, `n` the counts of its events. */
const RECORD_VIEW = `m.id, m.namespace, m.key, m.content, m.details, n.occurrences, n.successes, n.failures,
  l.at AS "lastSeen", l.id AS "lastEvent", n.first_seen AS "firstSeen", l.success, l.agent, l.server, l.tags, l.metadata`;

const COUNTS = `CROSS JOIN LATERAL (
    SELECT count(*) AS occurrences, count(*) FILTER (WHERE success) AS successes,
      count(*) FILTER (WHERE NOT success) AS failures, min(at) AS first_seen
    FROM memori_events WHERE record_id = m.id) n`;

export async function readRecords(
  connection: PostgresConnection,
  call: Call,
  filter: RecordFilter,
  page: Page,
): Promise<RecordView[]> {
  const parameters = new Parameters();
  const condition = `${conditionOf(filter, "l", parameters)} AND ${isAfter(page, "l", parameters)}`;
  // walks the events from the newest; one is listed when its record has no newer one. Counts only for the
  // page
  return connection.query<RecordView>(
    call,
    `SELECT ${RECORD_VIEW}
     FROM (
       SELECT l.* FROM memori_events l JOIN memori_metadata m ON m.id = l.record_id
       WHERE ${condition} AND NOT EXISTS (
         SELECT 1 FROM memori_events n WHERE n.record_id = l.record_id AND (n.at, n.id) > (l.at, l.id))
       ORDER BY l.at DESC, l.id DESC LIMIT ${parameters.add(page.limit)} OFFSET ${parameters.add(page.offset)}
     ) l JOIN memori_metadata m ON m.id = l.record_id ${COUNTS}
     ORDER BY l.at DESC, l.id DESC`,
    parameters.values,
  );
}

export async function readByIds(
  connection: PostgresConnection,
  call: Call,
  ids: readonly string[],
): Promise<RecordView[]> {
  if (ids.length === 0) return [];
  return connection.query<RecordView>(
    call,
    `SELECT ${RECORD_VIEW} FROM memori_metadata m ${LATEST} ${COUNTS}
     WHERE m.id = ANY ($1::text[]) AND m.deleted_at IS NULL`,
    [ids],
  );
}

/** Columns of an EventView, one row each; `e` is the event, `m` its record. */
export const EVENT_COLUMNS = `e.id AS event_id, e.agent, e.server, e.success, e.tags, e.metadata, e.at,
  m.id, m.namespace, m.key, m.content, m.details`;

export type EventRow = MemoryRecord & Omit<EventView, "id" | "recordId" | "record"> & { event_id: string };

export function toEvent(row: EventRow): EventView {
  const { event_id, id, namespace, key, content, details, ...event } = row;
  return { ...event, id: event_id, recordId: id, record: { id, namespace, key, content, details } };
}

export async function readEvents(
  connection: PostgresConnection,
  call: Call,
  filter: RecordFilter,
  page: Page,
): Promise<EventView[]> {
  const parameters = new Parameters();
  const condition = `${conditionOf(filter, "e", parameters)} AND ${isAfter(page, "e", parameters)}`;
  const rows = await connection.query<EventRow>(
    call,
    `SELECT ${EVENT_COLUMNS} FROM memori_events e JOIN memori_metadata m ON m.id = e.record_id
     WHERE ${condition} ORDER BY e.at DESC, e.id DESC
     LIMIT ${parameters.add(page.limit)} OFFSET ${parameters.add(page.offset)}`,
    parameters.values,
  );
  return rows.map(toEvent);
}

export async function readAgents(
  connection: PostgresConnection,
  call: Call,
  status: string | undefined,
): Promise<Agent[]> {
  return connection.query<Agent>(
    call,
    `SELECT name, server, status, last_seen AS "lastSeen" FROM memori_agents
     WHERE $1::text IS NULL OR status = $1 ORDER BY name`,
    [status ?? null],
  );
}

export async function readCounts(connection: PostgresConnection, call: Call): Promise<StoreCounts> {
  const rows = await connection.query<StoreCounts>(
    call,
    `WITH issues AS (
       SELECT count(*) AS records FROM memori_metadata
       WHERE deleted_at IS NULL AND starts_with(key, 'issue:') GROUP BY key
     )
     SELECT (SELECT documents FROM memori_statistics) AS records, coalesce(sum(records), 0)::bigint AS fixes,
       count(*) AS issues,
       (SELECT count(*) FROM memori_events) - (
         SELECT count(*) FROM memori_metadata m JOIN memori_events e ON e.record_id = m.id
         WHERE m.deleted_at IS NOT NULL) AS events,
       (SELECT count(*) FROM memori_agents) AS agents
     FROM issues`,
  );
  return rows[0]!;
}
