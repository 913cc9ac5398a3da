/** What must hold for every row of sets and every policy; and the rules against a second, literal reading of restic's. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { type Archive, isGood } from "../../../src/backup/archives.ts";
import { planRetention, type RetentionPolicy } from "../../../src/backup/retention.ts";
import { archiveOf, DAY, HOUR, NOW, type SetFacts } from "./sets.ts";

const RUNS = { numRuns: 300 };

const engines = fc.constantFrom<SetFacts["engines"]>(
  ["neo4j", "postgres", "redis", "sqlite"],
  ["neo4j", "postgres", "redis", "sqlite"],
  ["postgres"],
  ["redis", "sqlite"],
);
const state = fc.constantFrom<NonNullable<SetFacts["state"]>>(
  "good",
  "good",
  "good",
  "incomplete",
  "unverified",
  "damaged",
  "torn",
  "unknown",
);
const gap = fc.oneof(
  fc.integer({ min: 1, max: 30 * HOUR }),
  fc.integer({ min: 1, max: 40 * DAY }),
  fc.integer({ min: 100 * DAY, max: 300 * DAY }),
);
/** How far a clock was off. */
const jump = fc.oneof(
  { weight: 8, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: fc.constantFrom(-3650 * DAY, 3650 * DAY) },
  { weight: 1, arbitrary: fc.integer({ min: -30 * DAY, max: 30 * DAY }) },
);

interface Step {
  gap: number;
  jump: number;
  state: NonNullable<SetFacts["state"]>;
  engines: SetFacts["engines"];
}

/** Sets in the order in which they were made, the last of them at NOW. */
function row(steps: readonly Step[]): Archive[] {
  let at = NOW - steps.reduce((sum, { gap }) => sum + gap, 0);
  return steps.map((step, nth) => {
    at += step.gap;
    const facts = { at: at + step.jump, sequence: nth + 1, state: step.state, engines: step.engines };
    return archiveOf(step.state === "unknown" ? facts : { ...facts, name: `set-${nth + 1}` });
  });
}

const steps = (of: Partial<Record<keyof Step, fc.Arbitrary<unknown>>> = {}) =>
  fc.array(fc.record({ gap, jump, state, engines, ...of }) as fc.Arbitrary<Step>, {
    minLength: 1,
    maxLength: 25,
  });
const plain = { jump: fc.constant(0), state: fc.constant("good"), engines: fc.constant(["postgres"]) };

const some = fc.option(fc.integer({ min: 1, max: 6 }), { nil: undefined });
const rules = fc
  .record({
    last: some,
    daily: some,
    weekly: some,
    monthly: some,
    yearly: some,
    withinMs: fc.option(fc.integer({ min: HOUR, max: 100 * DAY }), { nil: undefined }),
  })
  .filter((given) => Object.values(given).some((value) => value !== undefined));
const policy: fc.Arbitrary<RetentionPolicy> = fc.oneof(
  rules,
  fc.record({ days: fc.integer({ min: 1, max: 100 }) }),
);

function split(archives: readonly Archive[], given: RetentionPolicy) {
  const plan = planRetention(archives, given, NOW);
  const of = (action: "keep" | "remove") =>
    plan.filter((planned) => planned.action === action).map(({ archive }) => archive);
  return { kept: new Set(of("keep")), removed: of("remove") };
}

const bySequence = (archives: Iterable<Archive>) =>
  [...archives].toSorted((a, b) => a.sidecar!.metadata.sequence - b.sidecar!.metadata.sequence);

it("never removes the last good set, nor that of any engine", () => {
  fc.assert(
    fc.property(steps(), policy, (given, rule) => {
      const archives = row(given);
      const { kept } = split(archives, rule);
      const good = bySequence(archives.filter(isGood));
      for (const engine of ["neo4j", "postgres", "redis", "sqlite"]) {
        const last = good.findLast(({ sidecar }) =>
          sidecar!.metadata.parts.some((part) => part.engine === engine),
        );
        if (last) expect(kept).toContain(last);
      }
      if (good.length === 0) expect(kept.size).toBe(archives.length);
    }),
    RUNS,
  );
});

/** The third set is doubted because of the second, which goes: then it replaces the first. */
const DOUBTED: Step[] = [
  { gap: 1, jump: 0, state: "incomplete", engines: ["sqlite", "neo4j", "redis"] },
  { gap: 1, jump: 0, state: "good", engines: ["redis"] },
  { gap: 1, jump: -3650 * DAY, state: "good", engines: ["neo4j", "redis"] },
  { gap: 100 * DAY, jump: 0, state: "good", engines: ["postgres"] },
  { gap: 100 * DAY, jump: 0, state: "good", engines: ["redis"] },
];

it("removes nothing more when it is asked again", () => {
  fc.assert(
    fc.property(steps(), policy, (given, rule) => {
      const { kept } = split(row(given), rule);
      expect(split([...kept], rule).removed).toEqual([]);
    }),
    { ...RUNS, examples: [[DOUBTED, { days: 1 }]] },
  );
});

it("does not depend on the order in which a folder is listed", () => {
  const shuffled = steps().chain((given) => {
    const archives = row(given);
    return fc.tuple(fc.constant(archives), fc.shuffledSubarray(archives, { minLength: archives.length }));
  });
  fc.assert(
    fc.property(shuffled, policy, ([archives, others], rule) => {
      expect(planRetention(others, rule, NOW)).toEqual(planRetention(archives, rule, NOW));
    }),
    RUNS,
  );
});

it("removes no more when the policy keeps more", () => {
  const names = ["last", "daily", "weekly", "monthly", "yearly", "withinMs"] as const;
  fc.assert(
    fc.property(steps(), policy, fc.constantFrom(...names), (given, rule, name) => {
      const archives = row(given);
      const more: RetentionPolicy =
        "days" in rule
          ? { days: rule.days + 5 }
          : { ...rule, [name]: (rule[name] ?? 0) + (name === "withinMs" ? DAY : 1) };
      expect([...split(archives, more).kept]).toEqual(
        expect.arrayContaining([...split(archives, rule).kept]),
      );
    }),
    RUNS,
  );
});

it("a clock that was ten years off for one set removes no other set", () => {
  const off = fc.constantFrom(-3650 * DAY, 3650 * DAY);
  fc.assert(
    fc.property(steps(plain), policy, fc.nat(), off, (given, rule, which, ms) => {
      const nth = which % given.length;
      const archives = row(given);
      const jumped = row(given.map((step, index) => (index === nth ? { ...step, jump: ms } : step)));
      const numbers = (list: Iterable<Archive>) => bySequence(list).map(({ name }) => name);
      const before = numbers(split(archives, rule).kept).filter((name) => name !== `set-${nth + 1}`);
      expect(numbers(split(jumped, rule).kept)).toEqual(expect.arrayContaining(before));
    }),
    RUNS,
  );
});

it("sets that do not count change nothing for those that do", () => {
  fc.assert(
    fc.property(steps({ jump: fc.constant(0) }), policy, (given, rule) => {
      const archives = row(given);
      const good = archives.filter(isGood);
      fc.pre(good.length > 0);
      expect(new Set([...split(archives, rule).kept].filter(isGood))).toEqual(split(good, rule).kept);
    }),
    RUNS,
  );
});

it("keeps what restic keeps", () => {
  fc.assert(
    fc.property(steps(plain), rules, (given, rule) => {
      const archives = row(given);
      const times = archives.map(({ sidecar }) => Date.parse(sidecar!.metadata.started_at)).reverse();
      const expected = new Set(resticKeeps(times, rule).map((nth) => archives.at(-1 - nth)!));
      expect(split(archives, rule).kept).toEqual(expected);
    }),
    { numRuns: 500 },
  );
});

/** `ApplyPolicy` of restic as its documentation tells it, one set after another. @param times newest first @returns places */
function resticKeeps(times: readonly number[], rule: Extract<RetentionPolicy, { last?: unknown }>): number[] {
  const format = (options: Intl.DateTimeFormatOptions) => {
    const formatter = new Intl.DateTimeFormat("en", { timeZone: "UTC", ...options });
    return (at: number) => formatter.format(at);
  };
  const buckets = [
    { left: rule.last ?? 0, kind: (_: number, nth: number) => String(nth), last: "" },
    { left: rule.daily ?? 0, kind: format({ dateStyle: "short" }), last: "" },
    // weeks since a Monday
    {
      left: rule.weekly ?? 0,
      kind: (at: number) => String(Math.floor((at - 4 * DAY) / (7 * DAY))),
      last: "",
    },
    { left: rule.monthly ?? 0, kind: format({ year: "numeric", month: "short" }), last: "" },
    { left: rule.yearly ?? 0, kind: format({ year: "numeric" }), last: "" },
  ];
  const kept: number[] = [];
  for (const [nth, at] of times.entries()) {
    let isKept = rule.withinMs !== undefined && at >= times[0]! - rule.withinMs;
    for (const bucket of buckets) {
      const kind = bucket.kind(at, nth);
      if (bucket.left === 0 || (kind === bucket.last && nth < times.length - 1)) continue;
      bucket.last = kind;
      bucket.left -= 1;
      isKept = true;
    }
    if (isKept) kept.push(nth);
  }
  return kept;
}
