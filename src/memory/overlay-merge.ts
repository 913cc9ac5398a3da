/** How rows of a store and rows of its queued writes become one. */
import { type Agent, type EventView, issueOf, type RecordView } from "./model.ts";
import type { RecordFilter, SimilarIssue } from "./port.ts";

export const newestFirst = (a: EventView, b: EventView) => b.at - a.at || (a.id < b.id ? 1 : -1);

export function mergeRecords(stored: readonly RecordView[], waiting: readonly RecordView[]): RecordView[] {
  const records = new Map(stored.map((record) => [record.id, record]));
  for (const record of waiting) {
    const known = records.get(record.id);
    const latest = known && known.lastSeen > record.lastSeen ? known : record;
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

export function mergeSimilar(
  stored: readonly SimilarIssue[],
  waiting: readonly SimilarIssue[],
): SimilarIssue[] {
  const issues = new Map(stored.map((issue) => [issue.key, issue]));
  for (const issue of waiting) {
    const known = issues.get(issue.key);
    const latest = known && known.lastSeen > issue.lastSeen ? known : issue;
    issues.set(issue.key, {
      ...latest,
      occurrences: issue.occurrences + (known?.occurrences ?? 0),
      successes: issue.successes + (known?.successes ?? 0),
      failures: issue.failures + (known?.failures ?? 0),
    });
  }
  return [...issues.values()].sort(
    (a, b) => b.occurrences - a.occurrences || b.lastSeen - a.lastSeen || (a.key < b.key ? -1 : 1),
  );
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

export function passes(record: RecordView, filter: RecordFilter): boolean {
  const issue = foldedIssue(record.key);
  return (
    (filter.since === undefined || record.lastSeen >= filter.since) &&
    (filter.success === undefined || record.success === filter.success) &&
    (filter.issue === undefined || issue.includes(filter.issue)) &&
    (filter.record === undefined || record.id === filter.record) &&
    (filter.agent === undefined || record.agent === filter.agent)
  );
}
