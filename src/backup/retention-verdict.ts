import type { EngineName } from "../errors.ts";
import type { Archive } from "./archives.ts";
import { isDrilled } from "./drilled.ts";
import { type KeepRules, pick, type Timed } from "./keep-rules.ts";
import { covers, DAY_MS, type Placed } from "./timeline.ts";

/** By age, or by rules. `days`: sets that are more than that older than the newest good one go; 0 keeps all. */
export type RetentionPolicy = { days: number } | KeepRules;

export interface Judgement {
  action: "keep" | "remove";
  /** At least one. */
  reasons: string[];
}

export const keep = (...reasons: string[]): Judgement => ({ action: "keep", reasons });
const remove = (reason: string): Judgement => ({ action: "remove", reasons: [reason] });

/** A newest set so much later than the one before it does not date the others: its clock may be wrong. One more set confirms it. */
const LONG_MS = 366 * DAY_MS;
const UNCONFIRMED =
  "the newest archive is more than a year later than the one before it: one more has to confirm its time";

/** Sets with the same engines, and those they compete with. */
interface Group {
  /** Place of the last trusted set that has all their engines; -1: none has. */
  lastTrusted: number;
  /** What the rules keep of the sets that count. */
  counted: Map<Placed, string[]>;
  /** What they would keep if all counted. */
  all: Map<Placed, string[]>;
  /** Time of the oldest in `counted`. */
  oldest: number | undefined;
}

/** What a policy says of each of a row of sets. */
export class Verdicts {
  readonly #policy: RetentionPolicy;
  readonly #rules: KeepRules;
  readonly #sets: readonly Placed[];
  readonly #groups = new Map<string, Group>();
  readonly #last: ReadonlyMap<Placed, string[]>;
  /** Of the newest good sets whose times are not in the future, the newest first. */
  readonly #newest: readonly number[];
  /** For each place the time of the nearest trusted set before it, and of that at it or after it. */
  readonly #before: (number | undefined)[] = [];
  readonly #after: (number | undefined)[] = [];

  /** @param sets all, oldest first */
  constructor(sets: readonly Placed[], policy: RetentionPolicy) {
    this.#sets = sets;
    this.#policy = policy;
    this.#rules = "days" in policy ? {} : policy;
    const good = sets.filter(({ isGood }) => isGood);
    const trusted = sets.filter(({ isTrusted }) => isTrusted);
    const drilled = good.filter(({ archive }) => isDrilled(archive));
    this.#last = lastReasons(
      [...lastOnes(trusted, "good"), ...lastOnes(good, "good")],
      lastOnes(drilled, "drilled"),
    );
    this.#newest = good.flatMap(({ isAhead, at }) => (isAhead || at === null ? [] : at)).reverse();
    let before: number | undefined;
    for (const { isTrusted, at } of sets) {
      this.#before.push(before);
      if (isTrusted) before = at!;
    }
    let after: number | undefined;
    for (const { isTrusted, at } of sets.toReversed()) {
      if (isTrusted) after = at!;
      this.#after.unshift(after);
    }
  }

  /** @param nth its place in the row */
  of(set: Placed, nth: number): Judgement {
    const policy = this.#policy;
    if ("days" in policy && policy.days === 0) return keep("0 days: all are kept");
    const flaw = flawOf(set);
    const flaws = flaw === undefined ? [] : [flaw];
    const lasts = this.#last.get(set) ?? [];
    if (flaw !== undefined && this.#group(set).lastTrusted < nth)
      return keep(...flaws, ...lasts, "no newer good archive replaces it");
    if (set.at === null) return keep(...flaws, ...lasts, "its age is not known");
    const timed = set as Timed;
    const ruled = "days" in policy ? this.#byDays(timed, nth, policy.days) : this.#byRules(timed, nth);
    if (lasts.length > 0 || ruled.length > 0) return keep(...flaws, ...lasts, ...ruled);
    const why =
      "days" in policy ? `more than ${policy.days} days older than the newest good one` : "no rule keeps it";
    return remove([...flaws, why].join("; "));
  }

  #byDays(set: Timed, nth: number, days: number): string[] {
    return this.#byAge(set, nth, days * DAY_MS, `within ${days} days before the newest good one`);
  }

  #byRules(set: Timed, nth: number): string[] {
    const { withinMs } = this.#rules;
    const near =
      withinMs === undefined
        ? []
        : this.#byAge(set, nth, withinMs, "within the time before the newest good one");
    const { counted, all, oldest } = this.#group(set);
    if (set.isTrusted) return [...near, ...(counted.get(set) ?? [])];
    // it takes no place from those that count, and stays as long as one in its place would
    const reasons = [...near, ...(all.get(set) ?? [])];
    if (reasons.length > 0 || isWhole(set.archive)) return reasons;
    // what is in it is not known: it goes when it is older than all that is kept
    return oldest !== undefined && set.at >= oldest ? ["not older than what the rules keep"] : [];
  }

  /**
   * By the time before the newest good set. Where a set's own time contradicts its place, it counts as young as those before it: a clock that
   * was wrong once removes nothing.
   */
  #byAge(set: Timed, nth: number, ms: number, reason: string): string[] {
    const [newest, previous] = this.#newest;
    if (newest === undefined) return ["no good archive has a time that can be believed"];
    const before = this.#before[nth];
    const own = set.isAhead ? (before ?? this.#after[nth] ?? newest) : set.at;
    const at = set.isGood ? Math.max(own, before ?? own) : own;
    if (at >= newest - ms) return [reason];
    const isDoubtful = previous !== undefined && newest - previous > LONG_MS && at >= previous - ms;
    return isDoubtful ? [UNCONFIRMED] : [];
  }

  #group(set: Placed): Group {
    const key = [...set.engines].toSorted().join();
    let group = this.#groups.get(key);
    if (group === undefined) {
      const rivals = this.#sets.filter((other) => covers(other, set));
      const timed = rivals.filter((other): other is Timed => other.at !== null).reverse();
      const trusted = timed.filter(({ isTrusted }) => isTrusted);
      const counted = pick(trusted, this.#rules, true);
      group = {
        lastTrusted: this.#sets.findLastIndex((other) => other.isTrusted && covers(other, set)),
        counted,
        all: pick(timed, this.#rules, false),
        oldest: trusted.findLast((other) => counted.has(other))?.at,
      };
      this.#groups.set(key, group);
    }
    return group;
  }
}

/** Why a set is not counted; undefined: it is. */
function flawOf({ archive, at, isGood, isAhead, isTrusted }: Placed): string | undefined {
  const { problem, sidecar } = archive;
  if (isTrusted) return undefined;
  if (isAhead) return "its time lies in the future";
  if (isGood)
    return at === null ? "its time cannot be read" : "its time is before that of an earlier archive";
  if (problem !== null) return problem;
  if (sidecar === null) return "it has no sidecar";
  if (sidecar.damaged !== null) return "it is damaged";
  return sidecar.metadata.state === "incomplete" ? "it is incomplete" : "it is not verified";
}

function isWhole({ problem, sidecar }: Archive): boolean {
  return problem === null && sidecar !== null && sidecar.damaged === null;
}

/** The newest of them, and the newest of each engine. @param what they are */
function lastOnes(sets: readonly Placed[], what: "good" | "drilled"): Map<Placed, string> {
  const engines = new Map<EngineName, Placed>();
  for (const set of sets) for (const engine of set.engines) engines.set(engine, set);
  const last = new Map<Placed, string>();
  for (const set of new Set(engines.values())) {
    const names = [...set.engines].filter((engine) => engines.get(engine) === set);
    last.set(set, `the last ${what} archive of ${names.toSorted().join(", ")}`);
  }
  const newest = sets.at(-1);
  if (newest) last.set(newest, `the last ${what} archive`);
  return last;
}

/** @param good of one set the later counts */
function lastReasons(
  good: Iterable<[Placed, string]>,
  drilled: ReadonlyMap<Placed, string>,
): Map<Placed, string[]> {
  const reasons = new Map([...good].map(([set, reason]) => [set, [reason]]));
  for (const [set, reason] of drilled) reasons.set(set, [...(reasons.get(set) ?? []), reason]);
  return reasons;
}
