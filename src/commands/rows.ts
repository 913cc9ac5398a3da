/** Domain objects as the contract writes them. */
import type * as v from "valibot";
import type { fix, fixes, similarIssues } from "../contract/memory.ts";
import { type EventView, issueOf, type RecordView } from "../memory/model.ts";
import type { SimilarIssue } from "../memory/port.ts";
import { age, isoTime, outcome, percent } from "../output/human.ts";
import type { Column } from "../output/table.ts";

export type FixRow = v.InferOutput<typeof fix>;
export type EventRow = Exclude<v.InferOutput<typeof fixes>["fixes"][number], FixRow>;
export type IssueRow = v.InferOutput<typeof similarIssues>["issues"][number];

export function fixRow(record: RecordView): FixRow {
  return {
    id: record.id,
    key: record.key,
    issue: issueOf(record.key),
    solution: record.content,
    details: record.details,
    success: record.success,
    timestamp: isoTime(record.lastSeen),
    timestamp_ms: record.lastSeen,
    agent: record.agent,
    server: record.server,
    tags: record.tags,
    metadata: record.metadata,
    occurrences: record.occurrences,
    successes: record.successes,
    failures: record.failures,
    first_seen: isoTime(record.firstSeen),
    first_seen_ms: record.firstSeen,
  };
}

export function eventRow(event: EventView): EventRow {
  return {
    event_id: event.id,
    id: event.recordId,
    key: event.record.key,
    issue: issueOf(event.record.key),
    solution: event.record.content,
    details: event.record.details,
    success: event.success,
    timestamp: isoTime(event.at),
    timestamp_ms: event.at,
    agent: event.agent,
    server: event.server,
    tags: event.tags,
    metadata: event.metadata,
  };
}

export function issueRow(similar: SimilarIssue): IssueRow {
  return {
    issue: similar.issue,
    key: similar.key,
    solution: similar.solution,
    occurrence_count: similar.occurrences,
    successes: similar.successes,
    failures: similar.failures,
    success_rate: rateOf(similar.successes, similar.failures),
    last_seen: isoTime(similar.lastSeen),
    last_seen_ms: similar.lastSeen,
  };
}

/** Share of successes among the events whose outcome is known; null when none is. */
export function rateOf(successes: number, failures: number): number | null {
  const known = successes + failures;
  return known === 0 ? null : successes / known;
}

const successStyle = (success: boolean | null) => (success === null ? "dim" : success ? "green" : "red");
/** `worked`, `failed` or `unknown`: the raw value of an outcome in a pipe. */
export const outcomeWord = (success: boolean | null) =>
  success === null ? "unknown" : success ? "worked" : "failed";

type Shown = Pick<FixRow, "key" | "solution" | "success" | "timestamp" | "timestamp_ms" | "agent" | "id">;

const fixColumns: readonly Column<Shown>[] = [
  { header: "key", flexible: true, value: (row) => row.key },
  { header: "solution", flexible: true, value: (row) => row.solution },
  {
    header: "outcome",
    value: (row) => outcomeWord(row.success),
    shown: (row) => `${outcome(row.success)} ${outcomeWord(row.success)}`,
    style: (row) => successStyle(row.success),
  },
  {
    header: "when",
    value: (row) => row.timestamp,
    shown: (row) => `${age(Date.now() - row.timestamp_ms)} ago`,
  },
  { header: "agent", value: (row) => row.agent },
];

/** Columns of `fixes`: key, solution, outcome, when, agent, times seen, id. */
export const FIX_COLUMNS: readonly Column<FixRow>[] = [
  ...fixColumns,
  { header: "seen", value: (row) => row.occurrences, align: "right" },
  { header: "id", value: (row) => row.id },
];

/** Columns of `fixes --events`: key, solution, outcome, when, agent, event id, id. */
export const EVENT_COLUMNS: readonly Column<EventRow>[] = [
  ...fixColumns,
  { header: "event", value: (row) => row.event_id },
  { header: "id", value: (row) => row.id },
];

/** Columns of `fixes similar` and `fixes patterns`: key, times seen, success rate, last seen, newest solution. */
export const ISSUE_COLUMNS: readonly Column<IssueRow>[] = [
  { header: "key", flexible: true, value: (row) => row.key },
  { header: "seen", value: (row) => row.occurrence_count, align: "right" },
  {
    header: "worked",
    value: (row) => row.success_rate,
    shown: (row) => percent(row.success_rate),
    align: "right",
  },
  {
    header: "last",
    value: (row) => row.last_seen,
    shown: (row) => `${age(Date.now() - row.last_seen_ms)} ago`,
  },
  { header: "solution", flexible: true, value: (row) => row.solution },
];
