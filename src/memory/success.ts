/** How a record's outcomes move its score. */
import type { RecordView } from "./model.ts";
import { SUCCESS_REACH } from "./tuning.ts";
import { type Interval, wilson } from "./wilson.ts";

export interface Success {
  /** Of the events whose outcome is known. */
  interval: Interval;
  known: number;
  /** 1 - SUCCESS_REACH to 1 + SUCCESS_REACH. */
  multiplier: number;
}

/**
 * The lower bound of how often it works, less the lower bound of how often it fails: nothing for a fix whose outcome nobody knows, little for one that
 * worked once, nearly all of the reach for one that always did.
 */
export function successOf({ successes, failures }: Pick<RecordView, "successes" | "failures">): Success {
  const known = successes + failures;
  const interval = wilson(successes, known);
  const worksLow = known === 0 ? 0 : interval.low;
  const failsLow = known === 0 ? 0 : wilson(failures, known).low;
  return { interval, known, multiplier: 1 + SUCCESS_REACH * (worksLow - failsLow) };
}
