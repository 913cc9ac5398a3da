import { expect, it } from "vitest";
import { INDEX_VERSION } from "../../src/memory/analyze.ts";
import type { PreparedWrite } from "../../src/memory/port.ts";
import { testCall } from "../support/calls.ts";
import { type ContractOptions, PAGE, remember, type UnderTest } from "./memory-store.ts";

const NONE = { candidates: [], isCut: false };

/** What is written, once and in order, and what forgetting takes away. */
export function writesContract(under: UnderTest, { ordersWrites }: ContractOptions): void {
  const call = testCall(300_000);
  const apply = (...writes: PreparedWrite[]) => under.store.apply(call, writes);
  const keys = async () => (await under.store.records(call, {}, PAGE)).map((record) => record.key);

  it("returns nothing from an empty store", async () => {
    expect(await under.store.records(call, {}, PAGE)).toEqual([]);
    expect(await under.store.events(call, {}, PAGE)).toEqual([]);
    expect(await under.store.agents(call)).toEqual([]);
    expect(await under.store.byIds(call, ["none"])).toEqual([]);
    expect(await under.store.keyMatches(call, "issue:", {}, 10)).toEqual([]);
    expect(await under.store.similar(call, { type: "x", limit: 10 })).toEqual([]);
    expect(await under.store.counts(call)).toEqual({ records: 0, fixes: 0, events: 0, agents: 0, issues: 0 });
    expect(await under.store.successCounts(call, undefined, undefined)).toEqual({
      total: 0,
      successes: 0,
      failures: 0,
    });
    const terms = await under.store.terms(call, ["timeout"]);
    expect(terms).toEqual({
      documents: 0,
      titleLength: 0,
      bodyLength: 0,
      frequencies: new Map(),
      indexVersion: INDEX_VERSION,
    });
    expect(await under.store.vocabulary(call, ["time"], { min: 1, max: 64 }, 10)).toEqual([]);
    expect(await under.store.histogram(call, ["issue:x"], { from: 0, to: 10, parts: 2 })).toEqual(new Map());
    expect(await under.store.candidates(call, [["timeout"]], {}, 10, 100)).toEqual(NONE);
    expect(await under.store.candidates(call, [], {}, 10, 100)).toEqual(NONE);
    expect(await Array.fromAsync(under.store.export(call))).toEqual([]);
  });

  it("stores a record with every field of its event, exactly", async () => {
    const content = `quote ' " \\ tab\t newline\n emoji 🙈 accents é ANSI \u001b[31m bidi \u202e Ω 数据库`;
    const metadata = { nested: { list: [1, 2.5, null, true] }, text: "ä", big: 9_007_199_254_740_991 };
    const write = remember({
      key: "issue:exact",
      content,
      details: "more\r\ndetails",
      eventId: "e1",
      at: 1_700_000_000_123,
      success: true,
      agent: "agent-1",
      server: "prod-1",
      tags: ["a", "b c"],
      metadata,
    });
    expect(await apply(write)).toEqual(["new"]);
    expect(await under.store.byIds(call, [write.record.id, "other"])).toEqual([
      {
        ...write.record,
        occurrences: 1,
        successes: 1,
        failures: 0,
        firstSeen: 1_700_000_000_123,
        lastEvent: "e1",
        lastSeen: 1_700_000_000_123,
        success: true,
        agent: "agent-1",
        server: "prod-1",
        tags: ["a", "b c"],
        metadata,
      },
    ]);
    const event = {
      ...write.event,
      recordId: write.record.id,
      record: write.record,
    };
    expect(await under.store.events(call, {}, PAGE)).toEqual([event]);
    expect(await Array.fromAsync(under.store.export(call))).toEqual([event]);
  });

  it("counts events of one record, and takes success and agent from the latest (greatest at, then id)", async () => {
    const fix = { key: "issue:a", content: "restart" };
    await apply(
      remember({ ...fix, eventId: "b", at: 2000, success: true, agent: "late" }),
      remember({ ...fix, eventId: "a", at: 1000, success: false, agent: "early" }),
      remember({ ...fix, eventId: "c", at: 2000, success: null, agent: "tie" }),
    );
    const [record] = await under.store.records(call, {}, PAGE);
    expect(record).toMatchObject({
      occurrences: 3,
      successes: 1,
      failures: 1,
      success: null,
      agent: "tie",
      firstSeen: 1000,
      lastSeen: 2000,
      lastEvent: "c",
    });
  });

  it("applies a write once, however often it is replayed", async () => {
    const batch = [
      remember({ key: "issue:a", content: "restart the pod", eventId: "e1", agent: "x" }),
      remember({ key: "issue:a", content: "restart the pod", eventId: "e2" }),
      remember({ key: "issue:b", content: "restart the node", eventId: "e3" }),
    ];
    expect(await apply(...batch)).toEqual(["new", "new", "new"]);
    const before = [
      await under.store.counts(call),
      await under.store.terms(call, ["restart", "pod", "node"]),
    ];
    expect(await apply(...batch)).toEqual(["duplicate", "duplicate", "duplicate"]);
    expect(await apply(batch[0]!, batch[0]!)).toEqual(["duplicate", "duplicate"]);
    expect([
      await under.store.counts(call),
      await under.store.terms(call, ["restart", "pod", "node"]),
    ]).toEqual(before);
    expect(before).toEqual([
      { records: 2, fixes: 2, events: 3, agents: 1, issues: 2 },
      {
        documents: 2,
        titleLength: 1, // "a" is a stopword
        bodyLength: 4,
        frequencies: new Map([
          ["restart", 2],
          ["pod", 1],
          ["node", 1],
        ]),
        indexVersion: INDEX_VERSION,
      },
    ]);
  });

  it("finds duplicates inside one batch", async () => {
    const write = remember({ key: "issue:dup", content: "same", eventId: "e1" });
    expect(await apply(write, write, remember({ key: "issue:dup", content: "same", eventId: "e2" }))).toEqual(
      ["new", "duplicate", "new"],
    );
    expect((await under.store.counts(call)).events).toBe(2);
  });

  it("reports a taken event id or record id as a conflict and changes nothing", async () => {
    const first = remember({ key: "issue:a", content: "one", eventId: "e1", id: "r1" });
    await apply(first);
    const before = await under.store.counts(call);
    const outcomes = await apply(
      remember({ key: "issue:a", content: "two", eventId: "e1" }),
      remember({ key: "issue:a", content: "one", eventId: "e1", id: "r1", success: true }),
      remember({ key: "issue:other", content: "one", eventId: "e2", id: "r1" }),
      remember({ key: "issue:fine", content: "three", eventId: "e3", agent: null }),
      remember({ key: "issue:late", content: "four", eventId: "e3" }),
    );
    expect(outcomes).toEqual(["conflict", "conflict", "conflict", "new", "conflict"]);
    expect(await under.store.counts(call)).toEqual({ ...before, records: 2, fixes: 2, events: 2, issues: 2 });
    expect((await under.store.terms(call, ["two", "four"])).frequencies.size).toBe(0);
  });

  it("forgets a record: no read shows it, statistics go down, a replay does not bring it back", async () => {
    const kept = remember({ key: "issue:kept", content: "pod", eventId: "k" });
    const gone = remember({
      key: "issue:gone",
      content: "restart pod",
      eventId: "g",
      order: 10,
      success: true,
    });
    await apply(kept, gone);
    const forget: PreparedWrite = { kind: "forget", order: 20, recordId: gone.record.id };
    expect(await apply(forget, { kind: "forget", order: 20, recordId: "unknown" })).toEqual([
      "new",
      "duplicate",
    ]);
    expect(await apply(forget)).toEqual(["duplicate"]);
    expect(await apply(gone)).toEqual(["duplicate"]);
    expect(await keys()).toEqual(["issue:kept"]);
    expect(await under.store.byIds(call, [gone.record.id])).toEqual([]);
    expect(await under.store.events(call, {}, PAGE)).toHaveLength(1);
    expect(await Array.fromAsync(under.store.export(call))).toHaveLength(1);
    expect(await under.store.keyMatches(call, "issue:g", {}, 5)).toEqual([]);
    expect(await under.store.similar(call, { type: "gone", limit: 5 })).toEqual([]);
    expect(await under.store.candidates(call, [["restart"]], {}, 5, 100)).toEqual(NONE);
    expect(await under.store.successCounts(call, undefined, undefined)).toEqual({
      total: 1,
      successes: 0,
      failures: 0,
    });
    expect(await under.store.counts(call)).toEqual({ records: 1, fixes: 1, events: 1, agents: 0, issues: 1 });
    const terms = await under.store.terms(call, ["restart", "pod"]);
    expect(terms.frequencies).toEqual(new Map([["pod", 1]]));
    expect(terms.documents).toBe(1);
  });

  it("brings a forgotten record back with a newer event, its history included", async () => {
    const text = { key: "issue:back", content: "restart pod" };
    const first = remember({ ...text, eventId: "1", at: 10, order: 10 });
    await apply(first, { kind: "forget", order: 20, recordId: first.record.id });
    expect(await apply(remember({ ...text, eventId: "2", at: 5, order: 30 }))).toEqual(["new"]);
    expect(await under.store.records(call, {}, PAGE)).toMatchObject([
      { key: "issue:back", occurrences: 2, lastSeen: 10 },
    ]);
    expect((await under.store.candidates(call, [["restart"]], {}, 5, 100)).candidates).toHaveLength(1);
    expect((await under.store.terms(call, ["restart"])).frequencies.get("restart")).toBe(1);
    expect((await under.store.counts(call)).events).toBe(2);
  });

  it("prunes tombstones that are older, with their events, and nothing else", async () => {
    const write = (name: string, order: number) =>
      remember({ key: `issue:${name}`, content: `restart ${name}`, eventId: name, order, agent: "w" });
    const [old, young, kept] = [write("old", 10), write("young", 11), write("kept", 12)];
    await apply(old, young, kept, remember({ key: "issue:old", content: "restart old", eventId: "old-2" }));
    await apply(
      { kind: "forget", order: 2_000, recordId: old.record.id },
      { kind: "forget", order: 5_000, recordId: young.record.id },
    );
    const before = [await under.store.counts(call), await under.store.terms(call, ["restart", "old"])];
    expect([await under.store.tombstones(call, 2_000), await under.store.tombstones(call, 2_001)]).toEqual([
      0, 1,
    ]);
    expect(await under.store.pruneTombstones(call, 2_001)).toBe(1);
    expect(await under.store.pruneTombstones(call, 2_001)).toBe(0);
    expect([await under.store.counts(call), await under.store.terms(call, ["restart", "old"])]).toEqual(
      before,
    );
    expect(await under.store.agents(call)).toHaveLength(1);
    // the younger one still does what it is for; of the other nothing is known any more, its events included
    expect(await apply(young)).toEqual(["duplicate"]);
    expect(await apply(old)).toEqual(["new"]);
    expect(await under.store.byIds(call, [old.record.id])).toMatchObject([{ occurrences: 1 }]);
    expect(await keys()).toHaveLength(2);
  });

  it("keeps the order of different kinds within one batch", async () => {
    const text = { key: "issue:mixed", content: "pod" };
    const first = remember({ ...text, eventId: "1", order: 10, agent: "w" });
    expect(
      await apply(
        first,
        { kind: "forget", order: 20, recordId: first.record.id },
        { kind: "agent", order: 25, name: "w", server: "s1", status: null, at: 1500 },
        remember({ ...text, eventId: "2", order: 30 }),
        { kind: "forget", order: 40, recordId: first.record.id },
        { kind: "agent", order: 45, name: "v", server: "s2", status: "idle", at: 7 },
      ),
    ).toEqual(["new", "new", "duplicate", "new", "new", "new"]);
    expect(await keys()).toEqual([]);
    expect(await under.store.agents(call)).toEqual([
      { name: "v", server: "s2", status: "idle", lastSeen: 7 },
      { name: "w", server: "s1", status: "active", lastSeen: 1500 },
    ]);
    expect((await under.store.terms(call, ["pod"])).documents).toBe(0);
  });

  if (ordersWrites) {
    it("lets the later of a tombstone and an event win, whichever arrives first", async () => {
      const text = { key: "issue:race", content: "pod" };
      const first = remember({ ...text, eventId: "1", order: 10 });
      const forget: PreparedWrite = { kind: "forget", order: 20, recordId: first.record.id };
      await apply(first, remember({ ...text, eventId: "2", order: 30 }));
      expect(await apply(forget)).toEqual(["duplicate"]);
      expect(await keys()).toEqual(["issue:race"]);
      await apply({ ...forget, order: 40 });
      expect(await apply(remember({ ...text, eventId: "3", order: 35 }))).toEqual(["new"]);
      expect(await keys()).toEqual([]);
      expect((await under.store.terms(call, ["pod"])).documents).toBe(0);
      await apply(remember({ ...text, eventId: "4", order: 50 }));
      expect(await under.store.records(call, {}, PAGE)).toMatchObject([{ occurrences: 4 }]);
    });
  }

  it("keeps the newest registration of an agent and never moves last_seen back", async () => {
    const agent = (fields: Partial<Extract<PreparedWrite, { kind: "agent" }>>): PreparedWrite => ({
      kind: "agent",
      order: 1,
      name: "a",
      server: null,
      status: null,
      at: 0,
      ...fields,
    });
    expect(await apply(agent({ server: "s1", status: "active", at: 100 }))).toEqual(["new"]);
    expect(await apply(agent({ server: "old", status: "old", at: 50 }))).toEqual(["duplicate"]);
    expect(await under.store.agents(call)).toEqual([
      { name: "a", server: "s1", status: "active", lastSeen: 100 },
    ]);
    await apply(agent({ at: 300 }));
    await apply(agent({ server: "s2", status: "idle", at: 200 }));
    await apply(agent({ name: "b", at: 7 }));
    expect(await under.store.agents(call)).toEqual([
      { name: "a", server: "s2", status: "idle", lastSeen: 300 },
      { name: "b", server: null, status: "active", lastSeen: 7 },
    ]);
    expect(await under.store.agents(call, "idle")).toHaveLength(1);
  });

  it("creates the agent of an event and lets any registration set its server", async () => {
    await apply(
      remember({ key: "issue:a", content: "x", eventId: "1", at: 50, agent: "seen", server: "s1" }),
      remember({ key: "issue:a", content: "x", eventId: "2", at: 40, agent: "seen", server: "s2" }),
    );
    expect(await under.store.agents(call)).toEqual([
      { name: "seen", server: "s1", status: "active", lastSeen: 50 },
    ]);
    await apply({ kind: "agent", order: 1, name: "seen", server: "real", status: "idle", at: 30 });
    expect(await under.store.agents(call)).toEqual([
      { name: "seen", server: "real", status: "idle", lastSeen: 50 },
    ]);
  });

  it("keeps large and awkward texts", async () => {
    const words = Array.from({ length: 17_000 }, (_, n) => `w${n.toString(36)}${"x".repeat(52)}`).join(" ");
    const large = remember({
      key: `issue:${"k".repeat(500)}`,
      content: words.slice(0, 1 << 20),
      eventId: "big",
    });
    expect(await apply(large)).toEqual(["new"]);
    const [view] = await under.store.byIds(call, [large.record.id]);
    expect(view?.content).toBe(large.record.content);
    expect((await under.store.terms(call, ["absent"])).bodyLength).toBe(large.prepared.bodyLength);
    expect(await apply(remember({ key: "k", content: "the of and", eventId: "stopwords only" }))).toEqual([
      "new",
    ]);
  });

  it("applies all of a batch or nothing", async () => {
    const good = remember({ key: "issue:good", content: "pod", eventId: "1" });
    const poison = remember({ key: "issue:poison", content: "pod", eventId: "2" });
    // a missing id breaks the statement in every store
    (poison.event as { id: unknown }).id = null;
    await expect(apply(good, poison)).rejects.toThrow();
    expect(await under.store.counts(call)).toEqual({ records: 0, fixes: 0, events: 0, agents: 0, issues: 0 });
    expect((await under.store.terms(call, ["pod"])).documents).toBe(0);
    expect(await apply(good)).toEqual(["new"]);
  });
}
