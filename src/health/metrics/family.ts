import type { OperationStats } from "../../contract/stats.ts";
import type { EngineName } from "../../errors.ts";
import type { Figures } from "../figures.ts";
import type { HealthReport } from "../health.ts";
import type { FileSize } from "../stats.ts";

/** What is known at one moment. Null: it could not be read, its metrics are absent. */
export interface Snapshot {
  version: string;
  /** Epoch ms. */
  at: number;
  /** Of reading all this, ms. */
  duration_ms: number;
  health: HealthReport;
  /** Null: not configured, or no answer. */
  figures: Figures;
  files: readonly FileSize[];
  archives: ArchiveFigures | null;
  /** Counts of the incident memory. */
  memory: Readonly<Record<"records" | "fixes" | "issues" | "events" | "agents", number>> | null;
  queue: QueueFigures | null;
  restores_unfinished: number | null;
  operations: OperationStats;
}

export interface ArchiveFigures {
  count: number;
  size_bytes: number;
  /** The newest complete and verified one. */
  newest: { created_at_ms: number | null; size_bytes: number } | null;
  /** When the newest good archive that holds an engine was begun, epoch ms; null: none does. For each configured engine. */
  engines: readonly { engine: EngineName; at_ms: number | null }[];
  /** When the oldest complete and verified one was begun, epoch ms; null: there is none. */
  oldest_at_ms: number | null;
  /** Of the newest drill that passed, epoch ms; null: none did. */
  drilled_at_ms: number | null;
}

export interface QueueFigures {
  waiting: number;
  rejected: number;
  /** Epoch ms; null: nothing waits. */
  oldest_at_ms: number | null;
}

/** Null: not known, so absent. */
export type Value = number | boolean | null;

/** A value with its labels. */
export interface Point {
  labels: Readonly<Record<string, string>>;
  value: Value;
}

/** One metric: what Prometheus is told of it, and how it is read. */
export interface Family {
  /** In base units: `_bytes`, `_seconds`, `_ratio` (0 to 1); `_total` for what only grows. */
  name: string;
  type: "gauge" | "counter" | "untyped";
  help: string;
  /** The labels that every point has. */
  labels: readonly string[];
  read(snapshot: Snapshot): readonly Point[];
}

/** Values of a label that come from data, such as tables: as many are shown each, and the others of those that were asked for are summed. */
export const MOST_LABELS = 20;
/** As many are asked for. More would cost a server with 10,000 tables seconds at every scrape. */
export const MOST_ROWS = 100;
/** What the help of such a metric says of that. */
export const BOUNDED_HELP = `The ${MOST_LABELS} largest each, the next ${MOST_ROWS - MOST_LABELS} summed as "other".`;
/** The label value of that sum. */
const OTHER = "other";
/** Characters of a label's value. */
const LONGEST_LABEL = 120;

/** A list of families that read one part of the snapshot; null: the part is not known. */
export function familiesOf<Part>(part: (snapshot: Snapshot) => Part | null) {
  const define = (
    type: Family["type"],
    name: string,
    help: string,
    labels: readonly string[],
    read: (part: Part) => readonly Point[],
  ): Family => ({
    name,
    type,
    help,
    labels,
    read: (snapshot) => {
      const known = part(snapshot);
      return known === null ? [] : read(known);
    },
  });
  const single = (type: Family["type"]) => (name: string, help: string, read: (part: Part) => Value) =>
    define(type, name, help, [], (known) => [{ labels: {}, value: read(known) }]);
  return { define, gauge: single("gauge"), counter: single("counter") };
}

/** One point for each row, whole: for lists that do not grow with the data. Of rows that look the same the first counts. */
export function points<Row>(
  rows: readonly Row[],
  labels: (row: Row) => Record<string, string>,
  value: (row: Row) => Value,
): Point[] {
  const known = new Map<string, Point>();
  for (const row of rows) {
    const shown = mapValues(labels(row), cleanLabel);
    const key = JSON.stringify(shown);
    if (!known.has(key)) known.set(key, { labels: shown, value: value(row) });
  }
  return [...known.values()];
}

/**
 * One point for each of the largest rows and one for the sum of the others, whose last label is `other` and whose other labels are empty. Rows
 * that look the same once their names are cut are one point.
 * @param rows largest first
 * @param join makes one value of two
 */
export function bounded<Row>(
  rows: readonly Row[],
  labels: (row: Row) => Record<string, string>,
  value: (row: Row) => number | null,
  join: (one: number, other: number) => number = (one, other) => one + other,
): Point[] {
  const joined = new Map<string, { labels: Record<string, string>; value: number }>();
  for (const [at, row] of rows.entries()) {
    const amount = value(row);
    if (amount === null) continue;
    const own = mapValues(labels(row), (text) => cut(cleanLabel(text)));
    const shown = at < MOST_LABELS ? own : otherOf(own);
    const key = JSON.stringify(shown);
    const known = joined.get(key);
    if (known) known.value = join(known.value, amount);
    else joined.set(key, { labels: shown, value: amount });
  }
  return [...joined.values()];
}

function otherOf(labels: Record<string, string>): Record<string, string> {
  const last = Object.keys(labels).at(-1);
  return Object.fromEntries(Object.keys(labels).map((name) => [name, name === last ? OTHER : ""]));
}

/**
 * Names come from users: no control characters (but the line feed, which the format escapes) and no half characters. A question mark stands for
 * them, because PromQL does not take U+FFFD.
 */
function cleanLabel(text: string): string {
  return text.replace(/(?!\n)[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\ufffd]/gu, "?");
}

function cut(text: string): string {
  const characters = [...text.slice(0, 2 * LONGEST_LABEL)];
  return characters.length <= LONGEST_LABEL ? text : `${characters.slice(0, LONGEST_LABEL - 1).join("")}…`;
}

function mapValues(record: Record<string, string>, change: (text: string) => string): Record<string, string> {
  return Object.fromEntries(Object.entries(record).map(([name, text]) => [name, change(text)]));
}

/** A part of a whole, 0 to 1; null where either is not known, or the whole is nothing. */
export function ratioOf(part: number | null, whole: number | null): number | null {
  return part === null || whole === null || whole <= 0 ? null : part / whole;
}

/** Seconds since 1970 of milliseconds or an RFC 3339 time. */
export function seconds(at: number | string | null): number | null {
  if (at === null) return null;
  return (typeof at === "number" ? at : Date.parse(at)) / 1000;
}
