import { describe, expect, it } from "vitest";
import { planRetention, type RetentionPolicy } from "../../../src/backup/retention.ts";
import { archiveOf, DAY, HOUR, NOW, type SetFacts } from "./sets.ts";

/** Sets by their age in days, oldest first; sequences follow the order. */
function series(...sets: (number | [age: number, facts: Partial<SetFacts>])[]) {
  return sets.map((given, nth) => {
    const [days, facts] = typeof given === "number" ? [given, {}] : given;
    return archiveOf({ at: NOW - days * DAY, sequence: nth + 1, name: `set-${nth + 1}`, ...facts });
  });
}

/** Numbers of the sets that stay. */
function kept(sets: ReturnType<typeof series>, policy: RetentionPolicy, now = NOW): number[] {
  return planRetention(sets, policy, now)
    .filter(({ action }) => action === "keep")
    .map(({ archive }) => sets.indexOf(archive) + 1)
    .toSorted((a, b) => a - b);
}

const week = { days: 7 };
const named = (days: number): [number, Partial<SetFacts>] => {
  const at = new Date(NOW - days * DAY).toISOString();
  return [days, { state: "unknown", name: at.slice(0, 19).replace("T", "_").replace(/[-:]/g, "") }];
};

describe("RETENTION_DAYS", () => {
  it.each<[string, ReturnType<typeof series>, RetentionPolicy, number[]]>([
    ["removes what is older than that", series(9, 8, 7, 6, 0), week, [3, 4, 5]],
    ["counts from the newest good set, not from now", series(40, 38, 33, 32), week, [2, 3, 4]],
    ["0 keeps all", series(4000, 0), { days: 0 }, [1, 2]],
    ["the last good set stays, however old", series(300, [20, { state: "incomplete" }]), week, [1, 2]],
    [
      "seven failing days keep the last good set and those after it",
      series(
        20,
        9,
        ...[7, 6, 5, 4, 3, 2, 1].map((days): [number, Partial<SetFacts>] => [days, { state: "incomplete" }]),
      ),
      week,
      [2, 3, 4, 5, 6, 7, 8, 9],
    ],
    [
      "what does not count goes like the others once a good one follows",
      series(
        30,
        [20, { state: "incomplete" }],
        [19, { state: "unverified" }],
        [18, { state: "damaged" }],
        [17, { state: "torn" }],
        named(16),
        [3, { state: "incomplete" }],
        0,
      ),
      week,
      [7, 8],
    ],
    [
      "nothing good, nothing removed",
      series([30, { state: "unverified" }], [0, { state: "incomplete" }]),
      week,
      [1, 2],
    ],
    [
      "an archive without sidecar whose name says no time stays",
      series([30, { state: "unknown" }], 0),
      week,
      [1, 2],
    ],
    [
      "an incomplete set stays while no newer good one has all that it has",
      series(
        [30, { state: "incomplete", engines: ["neo4j", "redis", "sqlite"] }],
        [29, { state: "incomplete", engines: ["neo4j", "postgres"] }],
        [0, { engines: ["postgres"] }],
      ),
      week,
      [1, 3],
    ],
    [
      "the last good set of each engine stays",
      series(
        [40, { engines: ["redis", "postgres"] }],
        [30, { engines: ["redis"] }],
        [0, { engines: ["postgres"] }],
      ),
      week,
      [2, 3],
    ],
    ["a single file is never removed", series([90, { container: "file" }], 0), week, [1, 2]],
    ["a single file is no last good set", series(30, [0, { container: "file" }]), week, [1, 2]],
  ])("%s", (_, sets, policy, expected) => {
    expect(kept(sets, policy)).toEqual(expected);
  });

  it("says why", () => {
    const reasons = planRetention(series(30, [20, { state: "incomplete" }], 0), week, NOW).map(
      ({ archive: { name }, action, reasons }) => [name, action, ...reasons],
    );
    expect(reasons).toEqual([
      ["set-3", "keep", "the last good archive", "within 7 days before the newest good one"],
      ["set-2", "remove", "it is incomplete; more than 7 days older than the newest good one"],
      ["set-1", "remove", "more than 7 days older than the newest good one"],
    ]);
  });
});

describe("rules", () => {
  it.each<[string, ReturnType<typeof series>, RetentionPolicy, number[]]>([
    ["last", series(3, 2, 1, 0), { last: 2 }, [3, 4]],
    [
      "only days that have sets count; the newest of a day stays",
      series(30, 20.1, 20, 3, 0),
      { daily: 3 },
      [3, 4, 5],
    ],
    ["the oldest stays while a rule is not used up", series(5.2, 5.1, 5, 0), { daily: 7 }, [1, 3, 4]],
    // 21 November 2026 is a Saturday: six days before is the Sunday of the week before
    ["weeks begin on Monday", series(12, 6, 5, 0), { weekly: 2 }, [2, 4]],
    ["months and years", series(800, 400, 330, 50, 25, 0), { monthly: 2, yearly: 2 }, [3, 5, 6]],
    ["within counts from the newest good one", series(50, 43, 42, 40), { withinMs: 2 * DAY }, [3, 4]],
    [
      "what is newer than the last good set stays, whatever the rules say",
      series(3, ...[2, 1, 0.5].map((days): [number, Partial<SetFacts>] => [days, { state: "incomplete" }])),
      { last: 1 },
      [1, 2, 3, 4],
    ],
    [
      "an old set does not stay for being the oldest when it does not count",
      series([3.1, { state: "incomplete" }], 3, 0),
      { daily: 7 },
      [2, 3],
    ],
    ["any rule keeps", series(400, 3, 2, 0), { last: 1, withinMs: 2 * DAY, yearly: 2 }, [1, 3, 4]],
    [
      "what does not count takes no place",
      series(3, 2, [1.5, { state: "incomplete" }], 1, [0.5, { state: "damaged" }], 0),
      { last: 3 },
      [2, 4, 5, 6],
    ],
    [
      "a frequent backup of one engine does not push out that of all",
      series(
        1,
        ...Array.from({ length: 6 }, (_, n): [number, Partial<SetFacts>] => [
          0.9 - n / 10,
          { engines: ["postgres"] },
        ]),
      ),
      { last: 2 },
      [1, 6, 7],
    ],
    [
      "an archive without sidecar stays while it is not older than what is kept",
      series(named(40), 30, named(10), 1, 0),
      { last: 2, monthly: 2 },
      [2, 3, 4, 5],
    ],
  ])("%s", (_, sets, policy, expected) => {
    expect(kept(sets, policy)).toEqual(expected);
  });

  it("name their periods", () => {
    const [plan] = planRetention(
      [archiveOf({ at: Date.UTC(2027, 0, 3, 23, 59), sequence: 1 })],
      { last: 1, daily: 1, weekly: 1, monthly: 1, yearly: 1 },
      NOW + 60 * DAY,
    );
    expect(plan!.reasons).toEqual([
      "the last good archive",
      "last 1",
      "daily 2027-01-03",
      // the third of January 2027 is the Sunday of the last week of 2026
      "weekly 2026-W53",
      "monthly 2027-01",
      "yearly 2027",
    ]);
  });

  it.each([{}, { last: undefined, withinMs: undefined }])("refuses a policy without a rule: %j", (policy) => {
    expect(() => planRetention(series(1, 0), policy, NOW)).toThrow("would remove everything");
  });
});

describe("clocks that were wrong", () => {
  const tenYears = 3650;
  it.each<[string, ReturnType<typeof series>, RetentionPolicy, number[]]>([
    [
      "a set from the future dates nothing and goes in its turn",
      series(9, 8, [-tenYears, {}], 7, 0),
      week,
      [4, 5],
    ],
    ["a set from the future is the last good one", series(9, 8, -tenYears), week, [1, 2, 3]],
    ["a set from the past is not older than its place", series(9, 8, tenYears, 7, 0), week, [4, 5]],
    ["nor older than the set before it", series(9, 5, tenYears, 4, 0), week, [2, 3, 4, 5]],
    ["a set from the past at the end dates nothing", series(9, 3, tenYears), week, [1, 2, 3]],
    ["a set from the future takes no place", series(3, 2, -tenYears, 1, 0), { daily: 3 }, [2, 3, 4, 5]],
    ["a set from the past takes no place", series(3, 2, tenYears, 1, 0), { daily: 3 }, [2, 3, 4, 5]],
  ])("%s", (_, sets, policy, expected) => {
    expect(kept(sets, policy)).toEqual(expected);
  });

  it("one set from ten years on removes nothing of the days before, two do", () => {
    const later = NOW + tenYears * DAY;
    const one = series(3, 2, 1, 0, -tenYears);
    expect(kept(one, week, later)).toEqual([1, 2, 3, 4, 5]);
    expect(planRetention(one, week, later).at(-1)!.reasons.join()).toContain("has to confirm its time");
    expect(kept(series(3, 2, 1, 0, -tenYears, -tenYears - 1), week, later + DAY)).toEqual([5, 6]);
  });

  it("a cleanup ten years on, or ten years back, removes nothing that it would not remove today", () => {
    const sets = series(9, 8, 3, 2, 0);
    expect(kept(sets, week, NOW + tenYears * DAY)).toEqual([3, 4, 5]);
    expect(kept(sets, week, NOW - tenYears * DAY)).toEqual([1, 2, 3, 4, 5]);
  });

  it("hosts may differ by a day", () => {
    expect(kept(series(9, [-0.9, {}]), week)).toEqual([2]);
    expect(kept(series(1, [1 + HOUR / DAY, {}], 0), { last: 1 })).toEqual([3]);
  });
});
