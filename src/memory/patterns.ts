import type { Call } from "../call.ts";
import type { Places } from "./cursor.ts";
import type { MemoryStore, SimilarIssue } from "./port.ts";

/** An issue in a window of time, beside the window of the same length before it. Counts and outcomes are those of the window. */
export interface Pattern extends SimilarIssue {
  /** Events in the window before. */
  previous: number;
  /** Events in each of 14 equal parts of the window, oldest first; one of the future counts for the last part. */
  trend: number[];
}

export interface PatternPage {
  patterns: Pattern[];
  next: Places["patterns"] | null;
}

const PARTS = 14;
/** Issues of the window before that are looked at in one step for those that are gone. */
const GONE_STEP = 1000;

/**
 * The issues of the window, those that occurred most first; after all of them those that occurred in the window before and not in this one.
 * @param start where to begin: a window (ms), or the place after which the page begins
 */
export async function patterns(
  call: Call,
  store: MemoryStore,
  start: Places["patterns"] | { since: number; until: number },
  limit: number,
): Promise<PatternPage> {
  const { since, until } = start;
  const after = "key" in start ? start : undefined;
  const found: Pattern[] = [];
  if (!after?.isGone) {
    const query = { type: "", since, limit: limit + 1, ...(after ? { after } : {}) };
    found.push(...(await withTrends(call, store, await store.similar(call, query), since, until)));
  }
  if (found.length <= limit)
    found.push(
      ...(await gone(call, store, after?.isGone ? after : { since, until }, limit + 1 - found.length)),
    );
  const page = found.slice(0, limit);
  const last = page.at(-1);
  if (found.length <= limit || !last) return { patterns: page, next: null };
  const isGone = last.occurrences === 0;
  const { key, lastSeen } = last;
  const occurrences = isGone ? last.previous : last.occurrences;
  return { patterns: page, next: { since, until, isGone, occurrences, lastSeen, key } };
}

async function withTrends(
  call: Call,
  store: MemoryStore,
  issues: readonly SimilarIssue[],
  since: number,
  until: number,
): Promise<Pattern[]> {
  if (issues.length === 0) return [];
  const keys = issues.map(({ key }) => key);
  const both = await store.histogram(call, keys, {
    from: since - (until - since),
    to: until,
    parts: 2 * PARTS,
  });
  return issues.map((issue) => {
    const parts = both.get(issue.key) ?? new Array<number>(2 * PARTS).fill(0);
    const trend = parts.slice(PARTS);
    trend[PARTS - 1]! += Math.max(0, issue.occurrences - sum(trend));
    return { ...issue, previous: sum(parts.slice(0, PARTS)), trend };
  });
}

/** Issues of the window before without an event since, most events first: at most `limit`. */
async function gone(
  call: Call,
  store: MemoryStore,
  start: Places["patterns"] | { since: number; until: number },
  limit: number,
): Promise<Pattern[]> {
  const { since, until } = start;
  const found: Pattern[] = [];
  let after = "key" in start ? start : undefined;
  while (found.length < limit) {
    const query = { type: "", since: since - (until - since), limit: GONE_STEP, ...(after ? { after } : {}) };
    const issues = await store.similar(call, query);
    const silent = issues.filter(({ lastSeen }) => lastSeen < since);
    for (const issue of silent) {
      const none = { occurrences: 0, successes: 0, failures: 0, trend: new Array<number>(PARTS).fill(0) };
      found.push({ ...issue, ...none, previous: issue.occurrences });
    }
    const last = issues.at(-1);
    if (issues.length < GONE_STEP || !last) break;
    const { occurrences, lastSeen, key } = last;
    after = { since, until, isGone: true, occurrences, lastSeen, key };
  }
  return found.slice(0, limit);
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}
