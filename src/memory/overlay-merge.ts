/** How rows of a store and rows of its queued writes become one. */

import { compareBytes } from "./cursor.ts";
import { type Agent, type EventView, issueOf, type RecordView } from "./model.ts";
import type { EventCursor, IssueCursor, RecordFilter } from "./port.ts";

/** The newest first; of the same time, the greater id. */
export const newestFirst = (a: EventCursor, b: EventCursor) => b.at - a.at || compareBytes(b.id, a.id);

/** Place of a record: that of its latest event. */
export const placeOfRecord = ({ lastSeen, lastEvent }: RecordView): EventCursor => ({
  at: lastSeen,
  id: lastEvent,
});

export const newestRecordFirst = (a: RecordView, b: RecordView) =>
  newestFirst(placeOfRecord(a), placeOfRecord(b));

/** Most occurrences first, then the newest, then by key. */
export const mostFirst = (a: IssueCursor, b: IssueCursor) =>
  b.occurrences - a.occurrences || b.lastSeen - a.lastSeen || compareBytes(a.key, b.key);

export function mergeRecords(stored: readonly RecordView[], waiting: readonly RecordView[]): RecordView[] {
  const records = new Map(stored.map((record) => [record.id, record]));
  for (const record of waiting) {
    const known = records.get(record.id);
    const latest = known && newestRecordFirst(known, record) < 0 ? known : record;
    records.set(record.id, {
      ...latest,
      occurrences: record.occurrences + (known?.occurrences ?? 0),
      successes: record.successes + (known?.successes ?? 0),
      failures: record.failures + (known?.failures ?? 0),
      firstSeen: Math.min(record.firstSeen, known?.firstSeen ?? record.firstSeen),
    });
  }
  return [...records.values()];
}

export function mergeAgents(stored: Agent | undefined, waiting: Agent): Agent {
  if (!stored) return waiting;
  const latest = stored.lastSeen > waiting.lastSeen ? stored : waiting;
  return {
    name: stored.name,
    // a queued heartbeat names no server
    server: latest.server ?? stored.server ?? waiting.server,
    status: latest.status,
    lastSeen: latest.lastSeen,
  };
}

export function countOutcomes(events: readonly EventView[]) {
  return {
    total: events.length,
    successes: events.filter(({ success }) => success === true).length,
    failures: events.filter(({ success }) => success === false).length,
  };
}

export function foldedIssue(key: string): string {
  return (issueOf(key) ?? key).toLowerCase();
}

/** All conditions but that of the agent: a record does not know all of its agents. */
export function passes(record: RecordView, filter: RecordFilter): boolean {
  const issue = foldedIssue(record.key);
  return (
    (filter.key === undefined || record.key.toLowerCase() === filter.key) &&
    (filter.since === undefined || record.lastSeen >= filter.since) &&
    (filter.success === undefined || record.success === filter.success) &&
    (filter.issue === undefined || issue.includes(filter.issue)) &&
    (filter.record === undefined || record.id === filter.record)
  );
}
