import { expect, it } from "vitest";
import type { IssueCursor, PreparedWrite, SimilarIssue } from "../../src/memory/port.ts";
import { testCall } from "../support/calls.ts";
import { remember, type UnderTest } from "./memory-store.ts";

/** What is counted over many events: similar issues, rates, histograms. */
export function viewsContract(under: UnderTest): void {
  const call = testCall(300_000);
  const apply = (...writes: PreparedWrite[]) => under.store.apply(call, writes);

  it("groups similar issues with their counts and the newest solution", async () => {
    await apply(
      remember({ key: "issue:Reconnection loop", content: "old", eventId: "1", at: 10, success: false }),
      remember({ key: "issue:Reconnection loop", content: "new", eventId: "2", at: 20, success: true }),
      remember({ key: "issue:connection", content: "one", eventId: "3", at: 30 }),
      remember({ key: "runbook:connection", content: "run", eventId: "4", at: 40 }),
      remember({ key: "issue:disk", content: "two", eventId: "5", at: 50 }),
    );
    expect(await under.store.similar(call, { type: "connection", limit: 10 })).toEqual([
      {
        issue: "Reconnection loop",
        key: "issue:Reconnection loop",
        solution: "new",
        occurrences: 2,
        successes: 1,
        failures: 1,
        lastSeen: 20,
      },
      {
        issue: null,
        key: "runbook:connection",
        solution: "run",
        occurrences: 1,
        successes: 0,
        failures: 0,
        lastSeen: 40,
      },
      {
        issue: "connection",
        key: "issue:connection",
        solution: "one",
        occurrences: 1,
        successes: 0,
        failures: 0,
        lastSeen: 30,
      },
    ]);
    expect(await under.store.similar(call, { type: "", since: 35, limit: 1 })).toMatchObject([
      { key: "issue:disk" },
    ]);
    expect(await under.store.successCounts(call, "connection", undefined)).toEqual({
      total: 4,
      successes: 1,
      failures: 1,
    });
    expect(await under.store.successCounts(call, undefined, 20)).toEqual({
      total: 4,
      successes: 1,
      failures: 0,
    });
  });

  it("goes on after a place in the list of issues, ties included", async () => {
    const seen: [name: string, times: number[]][] = [
      ["often", [10, 20, 30]],
      ["b", [10, 40]],
      ["a", [15, 40]],
      ["B", [1, 40]],
      ["late", [35, 50]],
      ["once", [45]],
    ];
    for (const [name, times] of seen)
      for (const at of times)
        await apply(remember({ key: `issue:x ${name}`, content: "y", eventId: `${name}${at}`, at }));
    const order = ["often", "late", "B", "a", "b", "once"];
    const place = ({ occurrences, lastSeen, key }: SimilarIssue): IssueCursor => ({
      occurrences,
      lastSeen,
      key,
    });
    const found: string[] = [];
    for (let after: IssueCursor | undefined; ; ) {
      const page = await under.store.similar(call, { type: "x", limit: 2, ...(after && { after }) });
      if (page.length === 0) break;
      found.push(...page.map(({ key }) => key.slice("issue:x ".length)));
      after = place(page.at(-1)!);
    }
    expect(found).toEqual(order);
    // counts are those of the asked time
    const since = await under.store.similar(call, { type: "", since: 30, limit: 10 });
    expect(since.map(({ key, occurrences }) => `${key.slice("issue:x ".length)} ${occurrences}`)).toEqual([
      "late 2",
      "once 1",
      "B 1",
      "a 1",
      "b 1",
      "often 1",
    ]);
    const after = place(since[2]!);
    const rest = await under.store.similar(call, { type: "", since: 30, after, limit: 10 });
    expect(rest).toEqual(since.slice(3));
  });

  it("counts events by parts of a window", async () => {
    const at = (key: string, ...times: number[]) =>
      times.map((time, n) => remember({ key, content: "x", eventId: `${key} ${time} ${n}`, at: time }));
    const gone = remember({ key: "issue:a", content: "forgotten", eventId: "g", at: 1005 });
    await apply(
      ...at("issue:a", 999, 1000, 1009, 1010, 1025, 1029, 1030),
      ...at("issue:A", 1000),
      ...at("issue:ab", 1000),
      ...at("issue:b", 1020, 1020),
      ...at("issue:c", 1030),
      gone,
      { kind: "forget", order: 10_000, recordId: gone.record.id },
    );
    await apply(remember({ key: "issue:a", content: "another fix", eventId: "other", at: 1012 }));
    const window = { from: 1000, to: 1030, parts: 3 };
    const asked = ["issue:a", "issue:b", "issue:c", "issue:none"];
    expect(await under.store.histogram(call, asked, window)).toEqual(
      new Map([
        ["issue:a", [2, 2, 2]],
        ["issue:b", [0, 0, 2]],
      ]),
    );
    expect(await under.store.histogram(call, [], window)).toEqual(new Map());
    // parts that are no whole milliseconds, and a window of years
    expect(await under.store.histogram(call, ["issue:b"], { from: 1000, to: 1031, parts: 7 })).toEqual(
      new Map([["issue:b", [0, 0, 0, 0, 2, 0, 0]]]),
    );
    expect(
      await under.store.histogram(call, ["issue:b"], { from: 0, to: 4_000_000_000_000, parts: 2 }),
    ).toEqual(new Map([["issue:b", [2, 0]]]));
  });
}
