import { expect, it } from "vitest";
import { INDEX_VERSION, prepare } from "../../src/memory/analyze.ts";
import type { Conjunction, PreparedWrite, RecordFilter } from "../../src/memory/port.ts";
import { testCall } from "../support/calls.ts";
import { PAGE, remember, type UnderTest } from "./memory-store.ts";

const SHAPE = "__s_0123456789abcdef";
const ANY_LENGTH = { min: 1, max: 64 };

/** What recall asks: keys, frequencies, candidates, the vocabulary; and indexes of other versions. */
export function searchContract(under: UnderTest): void {
  const call = testCall(300_000);
  const apply = (...writes: PreparedWrite[]) => under.store.apply(call, writes);
  const candidates = (wanted: readonly Conjunction[], rows = 100) =>
    under.store.candidates(call, wanted, {}, 10, rows);
  const search = async (
    wanted: readonly Conjunction[],
    { filter = {}, limit = 10 }: { filter?: RecordFilter; limit?: number } = {},
  ) => {
    const found = await under.store.candidates(call, wanted, filter, limit, 100);
    expect(found.isCut).toBe(false);
    return found.candidates.map(({ prepared }) => prepared.foldedKey);
  };

  it("matches keys exactly first, then by prefix, case ignored", async () => {
    await apply(
      remember({ key: "issue:Connection", content: "x", eventId: "1", at: 10 }),
      remember({ key: "issue:connection-pool", content: "y", eventId: "2", at: 30 }),
      remember({ key: "issue:connection_lost", content: "z", eventId: "3", at: 20, success: true }),
      remember({ key: "issue:other", content: "z", eventId: "4", at: 40 }),
    );
    const match = async (key: string, filter = {}, limit = 10) => {
      const found = await under.store.keyMatches(call, key, filter, limit);
      const views = await under.store.byIds(
        call,
        found.map(({ id }) => id),
      );
      return found.map(({ id, exact }) => [views.find((view) => view.id === id)!.key, exact]);
    };
    expect(await match("issue:connection")).toEqual([
      ["issue:Connection", true],
      ["issue:connection-pool", false],
      ["issue:connection_lost", false],
    ]);
    expect(await match("issue:connection_")).toEqual([["issue:connection_lost", false]]);
    expect(await match("issue:connection", { success: true })).toEqual([["issue:connection_lost", false]]);
    expect(await match("issue:connection", {}, 2)).toHaveLength(2);
    expect(await match("issue:%")).toEqual([]);
  });

  it("of records that tie for the last places returns those with the smallest ids, whatever came in first", async () => {
    const writes = Array.from({ length: 40 }, (_, nth) =>
      remember({
        key: `issue:disk-full-${nth}`,
        content: "removed old logs",
        eventId: `t${nth}`,
        at: 10 + nth,
      }),
    );
    await apply(...writes);
    const ids = writes.flatMap((write) => (write.kind === "remember" ? [write.record.id] : [])).sort();
    const found = await candidates([["remov"], ["log"]]);
    expect(found.candidates.map(({ id }) => id).sort()).toEqual(ids.slice(0, 10));
  });

  it("returns candidates with the tokens that were indexed, best first, filters inside", async () => {
    await apply(
      remember({ key: "issue:timeout", content: "connection refused by upstream", eventId: "1", at: 10 }),
      remember({
        key: "issue:disk",
        content: "timeout while writing to a slow disk",
        eventId: "2",
        at: 20,
        success: true,
      }),
      remember({
        key: "note:x86_64",
        content: "nothing of that",
        details: "x86_64 kernels",
        eventId: "3",
        at: 30,
      }),
    );
    const { candidates: found } = await under.store.candidates(call, [["timeout"]], {}, 10, 100);
    expect(found.map(({ prepared }) => prepared.foldedKey)).toEqual(["issue:timeout", "issue:disk"]);
    expect(found[0]!.prepared).toEqual(
      prepare({ key: "issue:timeout", content: "connection refused by upstream", details: null }),
    );
    expect(await search([["timeout"]], { limit: 1 })).toEqual(["issue:timeout"]);
    expect(await search([["timeout"]], { filter: { success: true }, limit: 1 })).toEqual(["issue:disk"]);
    expect(await search([["timeout"]], { filter: { key: "issue:disk" } })).toEqual(["issue:disk"]);
    expect(await search([["x86_64"], ["absent"]])).toEqual(["note:x86_64"]);
    expect(await search([["absent"]])).toEqual([]);
  });

  it("returns candidates that hold all terms of one of the conjunctions", async () => {
    await apply(
      remember({ key: "a1", content: "disk quota exceeded", eventId: "1" }),
      remember({ key: "disk", content: "quota", eventId: "2" }),
      remember({ key: "a3", content: "disk failure", eventId: "3" }),
      remember({ key: "a4", content: "kernel oops disk failure", eventId: "4" }),
      remember({ key: "a5", content: "network quota", eventId: "5" }),
    );
    const found = async (...wanted: Conjunction[]) => (await search(wanted)).sort();
    // one term of the pair may be in the issue and the other in the text
    expect(await found(["disk", "quota"])).toEqual(["a1", "disk"]);
    expect(await found(["disk", "quota"], ["kernel"])).toEqual(["a1", "a4", "disk"]);
    expect(await found(["disk", "quota"], ["disk", "failur"])).toEqual(["a1", "a3", "a4", "disk"]);
    expect(await found(["disk", "failur", "kernel"])).toEqual(["a4"]);
    expect(await found(["disk", "absent"])).toEqual([]);
    expect(await found(["network"], ["kernel"])).toEqual(["a4", "a5"]);
    // a record that holds more of the terms is better, and is named once
    expect(await search([["disk"], ["kernel"], ["oop"]], { limit: 1 })).toEqual(["a4"]);
  });

  it("looks at no more rows than it may, and says when there were more", async () => {
    const texts = ["pod restart", "pod", "pod restart twice", "pod again", "pod node"];
    await apply(
      ...texts.map((content, n) => remember({ key: `issue:${n}x`, content, eventId: `${n}`, at: n })),
    );
    const cut = await candidates([["pod"]], 3);
    expect(cut.isCut).toBe(true);
    expect(cut.candidates).toHaveLength(3);
    expect(await candidates([["pod"]], 5)).toMatchObject({ isCut: false, candidates: { length: 5 } });
    // a short answer is not one that was cut, nor are rows that do not match
    expect(await under.store.candidates(call, [["pod"]], {}, 2, 5)).toMatchObject({
      isCut: false,
      candidates: { length: 2 },
    });
    expect(await candidates([["pod", "restart"]], 2)).toMatchObject({
      isCut: false,
      candidates: { length: 2 },
    });
    expect(await candidates([["pod", "restart"]], 1)).toMatchObject({
      isCut: true,
      candidates: { length: 1 },
    });
    expect(await candidates([["pod", "restart"], ["node"]], 3)).toMatchObject({ isCut: false });
  });

  it("finds shapes as it finds words, and counts them in no length", async () => {
    const text = { key: "issue:pool", content: "connection refused" };
    const shaped = remember({ ...text, eventId: "1", shape: `${SHAPE} __s_ffffffffffffffff` });
    await apply(shaped, remember({ key: "issue:disk", content: "words", eventId: "2", shape: "" }));
    expect((await candidates([[SHAPE]])).candidates).toEqual([
      { id: shaped.record.id, prepared: shaped.prepared },
    ]);
    expect(await search([[SHAPE, "pool"]])).toEqual(["issue:pool"]);
    expect(await search([[SHAPE], ["word"]])).toHaveLength(2);
    const { titleLength, bodyLength } = prepare({ ...text, details: null });
    expect(await under.store.terms(call, [SHAPE])).toMatchObject({
      documents: 2,
      titleLength: titleLength + 1,
      bodyLength: bodyLength + 1,
      frequencies: new Map([[SHAPE, 1]]),
    });
    await apply({ kind: "forget", order: 10_000, recordId: shaped.record.id });
    expect((await under.store.terms(call, [SHAPE])).frequencies.size).toBe(0);
    expect(await search([[SHAPE]])).toEqual([]);
  });

  it("looks words up by pieces of them, the most frequent first", async () => {
    const words = ["timeout outage", "timeout uptime", "timeout time_out sometimes", "routing", "xa86 x_86"];
    await apply(
      ...words.map((content, n) => remember({ key: `key${n}`, content, eventId: `${n}`, shape: SHAPE })),
    );
    const look = async (pieces: string[], lengths = ANY_LENGTH, limit = 10) =>
      (await under.store.vocabulary(call, pieces, lengths, limit)).map(({ term, df }) => `${term} ${df}`);
    expect(await look(["time"])).toEqual(["timeout 3", "time 1", "time_out 1"]);
    const all = ["timeout 3", "outag 1", "rout 1", "sometim 1", "time 1", "time_out 1", "uptim 1"];
    expect(await look(["tim", "out"])).toEqual(all);
    expect(await look(["tim", "out"], ANY_LENGTH, 2)).toEqual(all.slice(0, 2));
    expect(await look(["out", "tim"], { min: 5, max: 7 })).toEqual([
      "timeout 3",
      "outag 1",
      "sometim 1",
      "uptim 1",
    ]);
    expect(await look([])).toEqual([]);
    expect(await look(["absent"])).toEqual([]);
    // `_` stands for itself, and shapes are no words
    expect(await look(["x_8"])).toEqual(["x_86 1"]);
    expect(await look(["__"])).toEqual([]);
    expect(await look(["0123"])).toEqual([]);
  });

  it("answers from an older index and refuses a newer one, which nothing changes then", async () => {
    const first = remember({ key: "issue:pod", content: "restart", eventId: "1" });
    await apply(first);
    expect((await under.store.terms(call, ["pod"])).indexVersion).toBe(INDEX_VERSION);
    await under.setIndexVersion(INDEX_VERSION - 1);
    expect(await under.store.terms(call, ["pod"])).toMatchObject({
      indexVersion: INDEX_VERSION - 1,
      documents: 1,
    });
    await apply(remember({ key: "issue:pod", content: "drain", eventId: "2" }));
    // the oldest entry is still there
    expect(await under.store.terms(call, ["pod"])).toMatchObject({
      indexVersion: INDEX_VERSION - 1,
      documents: 2,
    });
    await under.setIndexVersion(INDEX_VERSION + 1);
    const refusal = {
      code: "failed",
      message: expect.stringMatching(
        new RegExp(`(?=.*\\b${INDEX_VERSION + 1}\\b)(?=.*\\b${INDEX_VERSION}\\b)`),
      ),
      hint: "upgrade opsctl",
    };
    await expect(under.store.terms(call, ["pod"])).rejects.toMatchObject(refusal);
    const later = remember({ key: "issue:later", content: "x", eventId: "3" });
    await expect(apply(later)).rejects.toMatchObject(refusal);
    await expect(apply({ kind: "forget", order: 9, recordId: first.record.id })).rejects.toMatchObject(
      refusal,
    );
    expect(await under.store.records(call, {}, PAGE)).toHaveLength(2);
  });
}
