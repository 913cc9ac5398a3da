/** Fragments of queries and the shapes of their rows, shared by the reads of the memory. */
import type { EventView, MemoryRecord, RecordView } from "../../memory/model.ts";
import type { EventCursor, RecordFilter } from "../../memory/port.ts";
import type { Params } from "./connect.ts";

/** What the guide's CONTAINS looks into, of a record `m`. */
export const FOLDED_ISSUE =
  "CASE WHEN m.folded_key STARTS WITH 'issue:' THEN substring(m.folded_key, 6) ELSE m.folded_key END";

/**
 * No event of the record `m` is later than `e`. The newest relationships come first, so an old event fails
 * fast.
 */
export const IS_LATEST = `NOT EXISTS { MATCH (m)<-[:OF]-(n:Event)
  WHERE n.ts > e.ts OR (n.ts = e.ts AND n.id > e.id) }`;

export const RECORD = "m {.id, .namespace, .key, .content, .details}";
export const EVENT = "e {.id, .agent, .server, .success, .tags, .metadata, .ts}";

/** Sums over the events of a record: `x`. */
export const EVENT_SUMS = `count(x) AS occurrences, sum(CASE WHEN x.success THEN 1 ELSE 0 END) AS successes,
  sum(CASE WHEN x.success = false THEN 1 ELSE 0 END) AS failures`;

export interface Condition {
  /** A WHERE expression about a record `m` and an event `e`. */
  cypher: string;
  params: Params;
}

/**
 * Conditions of a filter. The time is always there, however early, because a condition on `e.ts` is what lets
 * the index on it give the order.
 * @param perEvent the agent must be that of the event itself, not of any event of the record
 */
export function conditionOf(filter: RecordFilter, perEvent = false): Condition {
  const parts = ["e.ts >= $since", "m.deleted_at IS NULL"];
  const params: Params = { since: BigInt(filter.since ?? Number.MIN_SAFE_INTEGER) };
  const add = (cypher: string, value: Params) => {
    parts.push(cypher);
    Object.assign(params, value);
  };
  const { success, issue, agent, record, key } = filter;
  if (success !== undefined) add("e.success = $success", { success });
  if (issue !== undefined) add(`${FOLDED_ISSUE} CONTAINS $issue`, { issue });
  if (record !== undefined) add("m.id = $record", { record });
  if (key !== undefined) add("m.folded_key = $key", { key });
  if (agent !== undefined) {
    add(perEvent ? "e.agent = $agent" : "EXISTS { (m)<-[:OF]-(:Event {agent: $agent}) }", { agent });
  }
  return { cypher: parts.join(" AND "), params };
}

/** Only events after the cursor, newest first. The first comparison is what the index on the time can answer. */
export function after(cursor: EventCursor | undefined): Condition {
  if (!cursor) return { cypher: "true", params: {} };
  return {
    cypher: "e.ts <= $afterAt AND (e.ts < $afterAt OR e.id < $afterId)",
    params: { afterAt: BigInt(cursor.at), afterId: cursor.id },
  };
}

export interface EventRow {
  record: MemoryRecord;
  event: {
    id: string;
    agent: string | null;
    server: string | null;
    success: boolean | null;
    tags: string[];
    metadata: string;
    ts: number;
  };
}

export interface RecordRow extends EventRow {
  occurrences: number;
  successes: number;
  failures: number;
  firstSeen: number;
}

export function toRecordView({ record, event, ...sums }: RecordRow): RecordView {
  const { id, ts, metadata, ...latest } = event;
  return { ...record, ...sums, ...latest, lastSeen: ts, lastEvent: id, metadata: JSON.parse(metadata) };
}

export function toEventView({ record, event }: EventRow): EventView {
  const { ts, metadata, ...rest } = event;
  return { ...rest, metadata: JSON.parse(metadata), at: ts, recordId: record.id, record };
}
