/** Domain objects as the contract writes them. */
import type * as v from "valibot";
import type { fix, fixes, similarIssues } from "../contract/memory.ts";
import { type EventView, issueOf, type RecordView } from "../memory/model.ts";
import type { SimilarIssue } from "../memory/port.ts";
import { wilson } from "../memory/wilson.ts";
import { age, isoTime, outcome, percent } from "../output/human.ts";
import type { Io } from "../output/io.ts";
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
    ...ratesOf(similar),
    last_seen: isoTime(similar.lastSeen),
    last_seen_ms: similar.lastSeen,
  };
}

/** Share of successes among the events whose outcome is known, with its 95 % interval; null when none is. */
export function ratesOf({ successes, failures }: { successes: number; failures: number }) {
  const known = successes + failures;
  if (known === 0) return { success_rate: null, success_low: null, success_high: null };
  const { low, high } = wilson(successes, known);
  return { success_rate: successes / known, success_low: low, success_high: high };
}

/** `67 % (21–94 %)`. */
export function shownRate(row: Pick<IssueRow, "success_rate" | "success_low" | "success_high">): string {
  if (row.success_rate === null) return percent(null);
  const low = Math.round(row.success_low! * 100);
  return `${percent(row.success_rate)} (${low}–${percent(row.success_high)})`;
}

export const AFTER = [
  "--after <cursor>",
  'only rows after this place: "next" of the page before, as --json gives it',
] as const;

/** Says on a terminal how to go on; whoever reads JSON has `next`. */
export function noteNext(io: Io, next: string | null): void {
  if (next !== null && io.stderrIsTty) io.note(`there is more: repeat with --after ${next}`);
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

/** Place of an event in a list of events. */
export const eventPlace = ({ at, id }: EventView) => ({ at, id });

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
    shown: shownRate,
    align: "right",
  },
  {
    header: "last",
    value: (row) => row.last_seen,
    shown: (row) => `${age(Date.now() - row.last_seen_ms)} ago`,
  },
  { header: "solution", flexible: true, value: (row) => row.solution },
];
