import type { Call } from "../call.ts";
import type { MemoryStore, SimilarIssue } from "./port.ts";

/** An issue with how often it occurred in each part of the window, oldest part first; null when the window holds too many events. */
export interface Pattern extends SimilarIssue {
  trend: number[] | null;
}

const PARTS = 14;
/** Events that are looked at for the trends; half a trend would be a wrong one, so beyond this there is none. */
const TREND_EVENTS = 10_000;

/** The issues that occurred most since a time, ms. */
export async function patterns(
  call: Call,
  store: MemoryStore,
  since: number,
  limit: number,
): Promise<Pattern[]> {
  const now = Date.now();
  const [issues, events] = await Promise.all([
    store.similar(call, "", since, limit),
    store.events(call, { since }, { limit: TREND_EVENTS + 1, offset: 0 }),
  ]);
  if (events.length > TREND_EVENTS) return issues.map((issue) => ({ ...issue, trend: null }));
  const trends = new Map(issues.map(({ key }) => [key, new Array<number>(PARTS).fill(0)]));
  for (const { at, record } of events) {
    const part = Math.floor(((at - since) * PARTS) / Math.max(1, now - since));
    const trend = trends.get(record.key);
    // an event of the future counts for the last part
    if (trend) trend[Math.min(part, PARTS - 1)]! += 1;
  }
  return issues.map((issue) => ({ ...issue, trend: trends.get(issue.key)! }));
}
