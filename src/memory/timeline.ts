import type { Call } from "../call.ts";
import { type EventView, ISSUE_PREFIX, type RecordView } from "./model.ts";
import type { MemoryStore, Page } from "./port.ts";

export interface Summary {
  occurrences: number;
  successes: number;
  failures: number;
  /** Different records. */
  fixes: number;
  /** ms */
  firstSeen: number;
  lastSeen: number;
  /** Events in each of 14 equal parts from first to last, oldest first. */
  trend: number[];
}

export interface Timeline {
  /** Folded. */
  key: string;
  summary: Summary;
  events: EventView[];
}

const PARTS = 14;
/** Records that are read in one step. */
const STEP = 1000;

/**
 * All events of the records whose key is `issue`, case ignored, newest first, and what they add up to. A text without `issue:` is an issue before it
 * is a key of another kind. Undefined when there is no such record.
 */
export async function timelineOf(
  call: Call,
  store: MemoryStore,
  issue: string,
  page: Page,
): Promise<Timeline | undefined> {
  const given = issue.toLowerCase();
  for (const key of given.startsWith(ISSUE_PREFIX) ? [given] : [ISSUE_PREFIX + given, given]) {
    const summary = await summaryOf(call, store, key);
    if (summary) return { key, summary, events: await store.events(call, { key }, page) };
  }
  return undefined;
}

async function summaryOf(call: Call, store: MemoryStore, key: string): Promise<Summary | undefined> {
  const sum = {
    occurrences: 0,
    successes: 0,
    failures: 0,
    fixes: 0,
    firstSeen: Number.POSITIVE_INFINITY,
    lastSeen: 0,
  };
  const keys = new Set<string>();
  for await (const record of recordsOf(call, store, key)) {
    sum.fixes += 1;
    sum.occurrences += record.occurrences;
    sum.successes += record.successes;
    sum.failures += record.failures;
    sum.firstSeen = Math.min(sum.firstSeen, record.firstSeen);
    sum.lastSeen = Math.max(sum.lastSeen, record.lastSeen);
    keys.add(record.key);
  }
  if (sum.fixes === 0) return undefined;
  const window = { from: sum.firstSeen, to: sum.lastSeen + 1, parts: PARTS };
  const trend = new Array<number>(PARTS).fill(0);
  for (const counts of (await store.histogram(call, [...keys], window)).values())
    for (const [part, count] of counts.entries()) trend[part]! += count;
  return { ...sum, trend };
}

async function* recordsOf(call: Call, store: MemoryStore, key: string): AsyncGenerator<RecordView> {
  let page: Page = { limit: STEP, offset: 0 };
  for (;;) {
    const records = await store.records(call, { key }, page);
    yield* records;
    const last = records.at(-1);
    if (records.length < STEP || !last) return;
    page = { ...page, after: { at: last.lastSeen, id: last.lastEvent } };
  }
}

/** Issues that hold the text or its longest word: up to three, most events first. */
export async function nearestKeys(call: Call, store: MemoryStore, issue: string): Promise<string[]> {
  const given = issue.toLowerCase().replace(ISSUE_PREFIX, "");
  const words = given.split(/[^\p{L}\p{N}]+/u).sort((a, b) => b.length - a.length);
  for (const type of [given, ...words.slice(0, 2)]) {
    if (type.length < 3) continue;
    const found = await store.similar(call, { type, limit: 3 });
    if (found.length > 0) return found.map(({ key }) => key);
  }
  return [];
}
