/** The views of the incident history: their counts, and that paging gives every row exactly once. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Sandbox } from "../support/cli.ts";

const box = new Sandbox({ shared: true });
afterAll(() => box.remove());

const HOUR = 3_600_000;
const NOW = Date.now();

interface Event {
  issue: string;
  solution: string;
  /** Hours before now. */
  age: number;
  success?: boolean;
  agent?: string;
}

/** Twelve issues a kind: in both windows of two days, in this one, in the one before; many events at one and the same time. */
function history(): Event[] {
  const events: Event[] = [];
  for (let n = 0; n < 12; n += 1) {
    for (let time = 0; time <= n % 3; time += 1)
      events.push({
        issue: `both-${n}`,
        solution: "restart",
        age: 10,
        success: time > 0,
        agent: `agent-${time}`,
      });
    events.push({ issue: `both-${n}`, solution: "restart", age: 60 });
    events.push({ issue: `new-${n}`, solution: "patch", age: 1, success: true });
    events.push({ issue: `gone-${n}`, solution: "drop", age: 70, success: false });
  }
  return events;
}

beforeAll(async () => {
  const lines = history().map(({ age, ...event }, nth) =>
    JSON.stringify({ ...event, event_id: `e${nth}`, ts: NOW - age * HOUR }),
  );
  // one issue in two spellings and with two fixes
  lines.push(
    JSON.stringify({ issue: "Slow-Disk", solution: "defrag", ts: NOW - 20 * HOUR, success: false }),
    JSON.stringify({
      issue: "slow-disk",
      solution: "new disk",
      ts: NOW - 5 * HOUR,
      success: true,
      agent: "ops",
    }),
    JSON.stringify({ key: "note:disk", content: "a note", ts: NOW - 6 * HOUR }),
  );
  await box.ok(["fixes", "import", "-"], { input: lines.join("\n") });
  for (let n = 0; n < 5; n += 1) await box.ok(["register-agent", `worker-${n}`, "--server", "h"]);
});

/** All rows of a list, page by page; a new event comes in after each. */
async function pages(contract: string, args: string[], rows: string, limit: number, write = false) {
  const found: Record<string, unknown>[] = [];
  let next: string | null = null;
  let count = 0;
  do {
    const after: string[] = next === null ? [] : ["--after", next];
    const page = await box.json(contract, [...args, "--limit", String(limit), ...after]);
    expect(page[rows].length).toBeLessThanOrEqual(limit);
    found.push(...page[rows]);
    next = page["next"];
    count += 1;
    if (write && count < 4) await box.ok(["remember", `zzz:${args.join("-")}-${limit}-${count}`, "late"]);
  } while (next !== null);
  expect(count).toBe(Math.max(1, Math.ceil(found.length / limit)));
  return found;
}

describe("paging", () => {
  const LISTS: [contract: string, args: string[], rows: string, id: string][] = [
    ["fixes", ["fixes"], "fixes", "id"],
    ["fixes", ["fixes", "--events"], "fixes", "event_id"],
    ["fixes", ["fixes", "--issue", "both"], "fixes", "id"],
    ["fixes similar", ["fixes", "similar", "-"], "issues", "key"],
    ["fixes patterns", ["fixes", "patterns", "--since", "2d"], "patterns", "key"],
    ["fixes timeline", ["fixes", "timeline", "both-2"], "events", "event_id"],
    ["agents", ["agents"], "agents", "name"],
  ];

  test.each(LISTS)("%s %j: every row once, in the order of one page", async (contract, args, rows, id) => {
    const [whole] = [await pages(contract, args, rows, 1000)];
    expect(whole.length).toBeGreaterThan(3);
    for (const limit of [1, 7]) {
      if (limit === 1 && whole.length > 20) continue;
      const ids = (await pages(contract, args, rows, limit)).map((row) => row[id]);
      expect(ids).toEqual(whole.map((row) => row[id]));
      expect(new Set(ids).size).toBe(ids.length);
    }
  });

  test("newer rows do not shift the pages", async () => {
    const before = await pages("fixes", ["fixes", "--events"], "fixes", 1000);
    const during = await pages("fixes", ["fixes", "--events"], "fixes", 9, true);
    expect(during.map((row) => row["event_id"])).toEqual(before.map((row) => row["event_id"]));
  });

  test("a cursor of another list, and what is none, are refused", async () => {
    const { next } = await box.json("fixes", ["fixes", "--limit", "1"]);
    const wrong: [string[], string][] = [
      [["fixes", "--events", "--after", next], "not one of this list"],
      [["fixes", "similar", "a", "--after", next], "not one of this list"],
      [["fixes", "patterns", "--after", next], "not one of this list"],
      [["agents", "--after", next], "not one of this list"],
      [["fixes", "timeline", "both-1", "--after", "nonsense"], "no cursor"],
      [["fixes", "--after", ""], "no cursor"],
      [
        ["fixes", "--after", Buffer.from('{"list":"fixes","at":"1","id":"x"}').toString("base64url")],
        "no cursor",
      ],
      [
        ["fixes", "--after", Buffer.from('{"list":"fixes","at":1e999,"id":"x"}').toString("base64url")],
        "no cursor",
      ],
      [["fixes", "--after", Buffer.from("null").toString("base64url")], "no cursor"],
    ];
    for (const [args, says] of wrong) {
      const { code, stderr, stdout } = await box.run(args);
      expect([code, stdout], args.join(" ")).toEqual([2, ""]);
      expect(stderr).toContain("--after");
      expect(stderr).toContain(says);
    }
  });
});

describe("patterns", () => {
  test("beside the window before: change, new, gone; trends add up", async () => {
    const rows = await pages("fixes patterns", ["fixes", "patterns", "--since", "2d"], "patterns", 1000);
    const of = (issue: string) => rows.find((row) => row["issue"] === issue);
    expect(of("both-2")).toMatchObject({
      occurrence_count: 3,
      previous_count: 1,
      change: 2,
      status: "rising",
    });
    expect(of("both-0")).toMatchObject({
      occurrence_count: 1,
      previous_count: 1,
      change: 0,
      status: "steady",
    });
    expect(of("new-1")).toMatchObject({ occurrence_count: 1, previous_count: 0, change: 1, status: "new" });
    expect(of("gone-1")).toMatchObject({
      occurrence_count: 0,
      previous_count: 1,
      change: -1,
      status: "gone",
    });
    expect(of("gone-1")).toMatchObject({ success_rate: null, success_low: null, solution: "drop" });
    for (const { trend, occurrence_count } of rows as { trend: number[]; occurrence_count: number }[]) {
      expect(trend).toHaveLength(14);
      expect(trend.reduce((sum, count) => sum + count, 0)).toBe(occurrence_count);
    }
    const states = rows.map(({ status }) => status === "gone");
    expect(states, "gone ones last").toEqual([...states].sort());
  });

  test("a window without events and one in the future", async () => {
    const { patterns } = await box.json("fixes patterns", ["fixes", "patterns", "--since", "2999-01-01"]);
    expect(patterns).toEqual([]);
  });
});

describe("timeline", () => {
  test.each(["slow-disk", "SLOW-DISK", "issue:Slow-Disk"])(
    "%s: every event of both spellings",
    async (issue) => {
      const answer = await box.json("fixes timeline", ["fixes", "timeline", issue]);
      expect(answer).toMatchObject({ key: "issue:slow-disk", count: 2, next: null });
      expect(answer["summary"]).toMatchObject({ occurrence_count: 2, successes: 1, failures: 1, fixes: 2 });
      expect(answer["summary"].first_seen_ms).toBe(NOW - 20 * HOUR);
      expect(answer["summary"].last_seen_ms).toBe(NOW - 5 * HOUR);
      expect(answer["summary"].trend).toEqual([1, ...new Array(12).fill(0), 1]);
      expect(answer["events"].map(({ solution }: { solution: string }) => solution)).toEqual([
        "new disk",
        "defrag",
      ]);
    },
  );

  test("a key that is no issue", async () => {
    const answer = await box.json("fixes timeline", ["fixes", "timeline", "note:disk"]);
    expect(answer).toMatchObject({ key: "note:disk", count: 1 });
  });

  test("an unknown issue: not found, with the nearest keys", async () => {
    const { code, stdout, stderr } = await box.run(["fixes", "timeline", "broken-disk"]);
    expect([code, stdout]).toEqual([25, ""]);
    expect(stderr).toContain('there is no issue "broken-disk"');
    expect(stderr).toMatch(/Try: opsctl fixes timeline .*disk/);
    expect((await box.run(["fixes", "timeline", ""])).code).toBe(25);
  });
});

test("similar and success-rate carry the 95 % interval", async () => {
  const { issues } = await box.json("fixes similar", ["fixes", "similar", "both-2"]);
  // 2 of 3: Wilson's interval by hand
  expect(issues[0]).toMatchObject({ successes: 2, failures: 1 });
  expect(issues[0].success_low).toBeCloseTo(0.2077, 3);
  expect(issues[0].success_high).toBeCloseTo(0.9385, 3);
  const none = await box.json("fixes success-rate", ["fixes", "success-rate", "no such"]);
  expect(none).toMatchObject({ total: 0, success_rate: null, success_low: null, success_high: null });
  const some = await box.json("fixes success-rate", ["fixes", "success-rate", "BOTH-2"]);
  expect(some["success_low"]).toBe(issues[0].success_low);
});
