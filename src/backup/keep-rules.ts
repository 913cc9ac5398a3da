/**
 * The rules of `restic forget` (internal/data/snapshot_policy.go, doc/060_forget.rst): of each of the last N days, weeks, months and years
 * that have sets, the newest is kept; while a rule is not used up, the oldest set is kept too; periods are those of the calendar, in UTC,
 * weeks those of ISO 8601.
 */
import { DAY_MS, type Placed } from "./timeline.ts";

/** Any of them keeps a set. Whole numbers from 1; absent: the rule does not apply. */
export interface KeepRules {
  last?: number | undefined;
  daily?: number | undefined;
  weekly?: number | undefined;
  monthly?: number | undefined;
  yearly?: number | undefined;
  /** Milliseconds before the newest set. */
  withinMs?: number | undefined;
}

/** A rule that counts: the sets of one period are of one kind. */
interface Bucket {
  rule: "last" | "daily" | "weekly" | "monthly" | "yearly";
  /** @param nth from the newest */
  period(at: number, nth: number): string;
}

const BUCKETS: readonly Bucket[] = [
  { rule: "last", period: (_, nth) => String(nth + 1) },
  { rule: "daily", period: (at) => dateOf(at) },
  { rule: "weekly", period: isoWeek },
  { rule: "monthly", period: (at) => dateOf(at).slice(0, -3) },
  { rule: "yearly", period: (at) => dateOf(at).slice(0, -6) },
];

/** A set that has a time. */
export type Timed = Placed & { at: number };

/**
 * Which sets the counting rules keep, and why (`daily 2026-11-21`).
 * @param sets newest first
 * @param keepsOldest whether the last of them is kept while a rule is not used up
 */
export function pick(sets: readonly Timed[], rules: KeepRules, keepsOldest: boolean): Map<Placed, string[]> {
  const kept = new Map<Placed, string[]>();
  const keep = (set: Placed, reason: string) => kept.set(set, [...(kept.get(set) ?? []), reason]);
  for (const { rule, period } of BUCKETS) {
    let left = rules[rule] ?? 0;
    const seen = new Set<string>();
    for (const [nth, set] of sets.entries()) {
      if (left === 0) break;
      const name = period(set.at, nth);
      const isOldest = seen.has(name);
      if (isOldest && !(keepsOldest && nth === sets.length - 1)) continue;
      seen.add(name);
      left -= 1;
      keep(set, isOldest ? `oldest ${rule}` : `${rule} ${name}`);
    }
  }
  return kept;
}

/** `2026-11-21`; years after 9999 have more digits. */
function dateOf(at: number): string {
  const text = new Date(at).toISOString();
  return text.slice(0, text.indexOf("T"));
}

/** `2026-W47`: weeks begin on Monday, and belong to the year of their Thursday. */
function isoWeek(at: number): string {
  const day = new Date(at).getUTCDay() || 7;
  const thursday = new Date(at + (4 - day) * DAY_MS);
  const year = thursday.getUTCFullYear();
  const week = Math.floor((thursday.getTime() - Date.UTC(year, 0, 1)) / (7 * DAY_MS)) + 1;
  return `${year}-W${String(week).padStart(2, "0")}`;
}
