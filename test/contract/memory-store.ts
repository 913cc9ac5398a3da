import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { prepare } from "../../src/memory/analyze.ts";
import { digestOf, recordId } from "../../src/memory/ids.ts";
import type { MemoryStore, PreparedWrite } from "../../src/memory/port.ts";
import { testCall } from "../support/calls.ts";

export interface StoreUnderTest {
  store: MemoryStore;
  /** Empties the store; its schema stays. */
  clear(): Promise<void>;
  close(): Promise<void>;
}

export interface ContractOptions {
  /** False for a store that takes the order of the calls for `order` (one host writes it). */
  ordersWrites: boolean;
}

type RememberWrite = Extract<PreparedWrite, { kind: "remember" }>;

interface RememberFields {
  key: string;
  content: string;
  details?: string | null;
  id?: string;
  eventId: string;
  at?: number;
  order?: number;
  success?: boolean | null;
  agent?: string | null;
  server?: string | null;
  tags?: string[];
  metadata?: Record<string, unknown>;
}

/** A remember write as the domain makes it. */
export function remember(fields: RememberFields): RememberWrite {
  const {
    key,
    content,
    details = null,
    eventId,
    at = 1000,
    success = null,
    agent = null,
    server = null,
  } = fields;
  const id = fields.id ?? recordId("default", key, content, details);
  const record = { id, namespace: "default", key, content, details };
  const event = {
    id: eventId,
    agent,
    server,
    success,
    tags: fields.tags ?? [],
    metadata: fields.metadata ?? {},
    at,
  };
  const digest = digestOf([record, event]);
  return { kind: "remember", order: fields.order ?? at, record, event, digest, prepared: prepare(record) };
}

const PAGE = { limit: 100, offset: 0 };

/** What every store of the memory must do, one suite run against each of them. */
export function memoryStoreContract(
  name: string,
  open: () => Promise<StoreUnderTest>,
  { ordersWrites }: ContractOptions,
): void {
  describe(`${name}: memory store`, () => {
    let subject: StoreUnderTest;
    let store: MemoryStore;
    const call = testCall(300_000);
    const apply = (...writes: PreparedWrite[]) => store.apply(call, writes);
    const keys = async (filter = {}, page = PAGE) =>
      (await store.records(call, filter, page)).map((record) => record.key);

    beforeAll(async () => {
      subject = await open();
      store = subject.store;
    });
    beforeEach(() => subject.clear());
    afterAll(() => subject?.close());

    it("returns nothing from an empty store", async () => {
      expect(await store.records(call, {}, PAGE)).toEqual([]);
      expect(await store.events(call, {}, PAGE)).toEqual([]);
      expect(await store.agents(call)).toEqual([]);
      expect(await store.byIds(call, ["none"])).toEqual([]);
      expect(await store.keyMatches(call, "issue:", {}, 10)).toEqual([]);
      expect(await store.similar(call, "x", undefined, 10)).toEqual([]);
      expect(await store.counts(call)).toEqual({ records: 0, fixes: 0, events: 0, agents: 0, issues: 0 });
      expect(await store.successCounts(call, undefined, undefined)).toEqual({
        total: 0,
        successes: 0,
        failures: 0,
      });
      const terms = await store.terms(call, ["timeout"]);
      expect(terms).toEqual({ documents: 0, titleLength: 0, bodyLength: 0, frequencies: new Map() });
      expect(await store.candidates(call, [], {}, 10)).toEqual([]);
      expect(await Array.fromAsync(store.export(call))).toEqual([]);
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
      expect(await store.byIds(call, [write.record.id, "other"])).toEqual([
        {
          ...write.record,
          occurrences: 1,
          successes: 1,
          failures: 0,
          firstSeen: 1_700_000_000_123,
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
      expect(await store.events(call, {}, PAGE)).toEqual([event]);
      expect(await Array.fromAsync(store.export(call))).toEqual([event]);
    });

    it("counts events of one record, and takes success and agent from the latest (greatest at, then id)", async () => {
      const fix = { key: "issue:a", content: "restart" };
      await apply(
        remember({ ...fix, eventId: "b", at: 2000, success: true, agent: "late" }),
        remember({ ...fix, eventId: "a", at: 1000, success: false, agent: "early" }),
        remember({ ...fix, eventId: "c", at: 2000, success: null, agent: "tie" }),
      );
      const [record] = await store.records(call, {}, PAGE);
      expect(record).toMatchObject({
        occurrences: 3,
        successes: 1,
        failures: 1,
        success: null,
        agent: "tie",
        firstSeen: 1000,
        lastSeen: 2000,
      });
    });

    it("applies a write once, however often it is replayed", async () => {
      const batch = [
        remember({ key: "issue:a", content: "restart the pod", eventId: "e1", agent: "x" }),
        remember({ key: "issue:a", content: "restart the pod", eventId: "e2" }),
        remember({ key: "issue:b", content: "restart the node", eventId: "e3" }),
      ];
      expect(await apply(...batch)).toEqual(["new", "new", "new"]);
      const before = [await store.counts(call), await store.terms(call, ["restart", "pod", "node"])];
      expect(await apply(...batch)).toEqual(["duplicate", "duplicate", "duplicate"]);
      expect(await apply(batch[0]!, batch[0]!)).toEqual(["duplicate", "duplicate"]);
      expect([await store.counts(call), await store.terms(call, ["restart", "pod", "node"])]).toEqual(before);
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
        },
      ]);
    });

    it("finds duplicates inside one batch", async () => {
      const write = remember({ key: "issue:dup", content: "same", eventId: "e1" });
      expect(
        await apply(write, write, remember({ key: "issue:dup", content: "same", eventId: "e2" })),
      ).toEqual(["new", "duplicate", "new"]);
      expect((await store.counts(call)).events).toBe(2);
    });

    it("reports a taken event id or record id as a conflict and changes nothing", async () => {
      const first = remember({ key: "issue:a", content: "one", eventId: "e1", id: "r1" });
      await apply(first);
      const before = await store.counts(call);
      const outcomes = await apply(
        remember({ key: "issue:a", content: "two", eventId: "e1" }),
        remember({ key: "issue:a", content: "one", eventId: "e1", id: "r1", success: true }),
        remember({ key: "issue:other", content: "one", eventId: "e2", id: "r1" }),
        remember({ key: "issue:fine", content: "three", eventId: "e3", agent: null }),
        remember({ key: "issue:late", content: "four", eventId: "e3" }),
      );
      expect(outcomes).toEqual(["conflict", "conflict", "conflict", "new", "conflict"]);
      expect(await store.counts(call)).toEqual({ ...before, records: 2, fixes: 2, events: 2, issues: 2 });
      expect((await store.terms(call, ["two", "four"])).frequencies.size).toBe(0);
    });

    it("lists records newest first, with limit and offset", async () => {
      for (const n of [3, 1, 2])
        await apply(remember({ key: `issue:k${n}`, content: "x", eventId: `e${n}`, at: n * 10 }));
      await apply(remember({ key: "issue:k1", content: "x", eventId: "z", at: 99 }));
      expect(await keys()).toEqual(["issue:k1", "issue:k3", "issue:k2"]);
      expect(await keys({}, { limit: 1, offset: 1 })).toEqual(["issue:k3"]);
      expect(await keys({}, { limit: 5, offset: 3 })).toEqual([]);
    });

    it("breaks ties of time by the event id, in byte order", async () => {
      for (const id of ["b", "B", "_", "a"])
        await apply(remember({ key: `issue:${id}`, content: "x", eventId: id, at: 5 }));
      expect(await keys()).toEqual(["issue:b", "issue:a", "issue:_", "issue:B"]);
    });

    it("filters records by their latest event, their issue and their agents", async () => {
      await apply(
        remember({
          key: "issue:Connection-Timeout",
          content: "x",
          eventId: "1",
          at: 10,
          success: false,
          agent: "a1",
        }),
        remember({
          key: "issue:Connection-Timeout",
          content: "x",
          eventId: "2",
          at: 20,
          success: true,
          agent: "a2",
        }),
        remember({ key: "issue:reconnection", content: "y", eventId: "3", at: 30, success: false }),
        remember({ key: "runbook:connection", content: "z", eventId: "4", at: 40 }),
      );
      expect(await keys({ since: 20 })).toEqual([
        "runbook:connection",
        "issue:reconnection",
        "issue:Connection-Timeout",
      ]);
      expect(await keys({ since: 31 })).toEqual(["runbook:connection"]);
      expect(await keys({ success: true })).toEqual(["issue:Connection-Timeout"]);
      expect(await keys({ success: false })).toEqual(["issue:reconnection"]);
      expect(await keys({ issue: "connection" })).toHaveLength(3);
      expect(await keys({ issue: "connection-t" })).toEqual(["issue:Connection-Timeout"]);
      expect(await keys({ issue: "issue" })).toEqual([]);
      expect(await keys({ issue: "%" })).toEqual([]);
      expect(await keys({ agent: "a1" })).toEqual(["issue:Connection-Timeout"]);
      expect(await keys({ agent: "a1", success: false })).toEqual([]);
    });

    it("lists events newest first and filters each by itself", async () => {
      await apply(
        remember({ key: "issue:a", content: "x", eventId: "1", at: 10, success: false, agent: "a1" }),
        remember({ key: "issue:a", content: "x", eventId: "2", at: 20, success: true, agent: "a2" }),
        remember({ key: "note", content: "y", eventId: "3", at: 15 }),
      );
      const ids = async (filter = {}, page = PAGE) =>
        (await store.events(call, filter, page)).map((event) => event.id);
      expect(await ids()).toEqual(["2", "3", "1"]);
      expect(await ids({}, { limit: 1, offset: 1 })).toEqual(["3"]);
      expect(await ids({ success: false })).toEqual(["1"]);
      expect(await ids({ agent: "a2" })).toEqual(["2"]);
      expect(await ids({ since: 15 })).toEqual(["2", "3"]);
      expect(await ids({ issue: "not" })).toEqual(["3"]);
      expect(await ids({ record: recordId("default", "issue:a", "x", null) })).toEqual(["2", "1"]);
      expect((await Array.fromAsync(store.export(call))).map((event) => event.id)).toEqual(["1", "3", "2"]);
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
      expect(await store.byIds(call, [gone.record.id])).toEqual([]);
      expect(await store.events(call, {}, PAGE)).toHaveLength(1);
      expect(await Array.fromAsync(store.export(call))).toHaveLength(1);
      expect(await store.keyMatches(call, "issue:g", {}, 5)).toEqual([]);
      expect(await store.similar(call, "gone", undefined, 5)).toEqual([]);
      expect(await store.candidates(call, ["restart"], {}, 5)).toEqual([]);
      expect(await store.successCounts(call, undefined, undefined)).toEqual({
        total: 1,
        successes: 0,
        failures: 0,
      });
      expect(await store.counts(call)).toEqual({ records: 1, fixes: 1, events: 1, agents: 0, issues: 1 });
      const terms = await store.terms(call, ["restart", "pod"]);
      expect(terms.frequencies).toEqual(new Map([["pod", 1]]));
      expect(terms.documents).toBe(1);
    });

    it("brings a forgotten record back with a newer event, its history included", async () => {
      const text = { key: "issue:back", content: "restart pod" };
      const first = remember({ ...text, eventId: "1", at: 10, order: 10 });
      await apply(first, { kind: "forget", order: 20, recordId: first.record.id });
      expect(await apply(remember({ ...text, eventId: "2", at: 5, order: 30 }))).toEqual(["new"]);
      expect(await store.records(call, {}, PAGE)).toMatchObject([
        { key: "issue:back", occurrences: 2, lastSeen: 10 },
      ]);
      expect(await store.candidates(call, ["restart"], {}, 5)).toHaveLength(1);
      expect((await store.terms(call, ["restart"])).frequencies.get("restart")).toBe(1);
      expect((await store.counts(call)).events).toBe(2);
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
      const before = [await store.counts(call), await store.terms(call, ["restart", "old"])];
      expect([await store.tombstones(call, 2_000), await store.tombstones(call, 2_001)]).toEqual([0, 1]);
      expect(await store.pruneTombstones(call, 2_001)).toBe(1);
      expect(await store.pruneTombstones(call, 2_001)).toBe(0);
      expect([await store.counts(call), await store.terms(call, ["restart", "old"])]).toEqual(before);
      expect(await store.agents(call)).toHaveLength(1);
      // the younger one still does what it is for; of the other nothing is known any more, its events included
      expect(await apply(young)).toEqual(["duplicate"]);
      expect(await apply(old)).toEqual(["new"]);
      expect(await store.byIds(call, [old.record.id])).toMatchObject([{ occurrences: 1 }]);
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
      expect(await store.agents(call)).toEqual([
        { name: "v", server: "s2", status: "idle", lastSeen: 7 },
        { name: "w", server: "s1", status: "active", lastSeen: 1500 },
      ]);
      expect((await store.terms(call, ["pod"])).documents).toBe(0);
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
        expect((await store.terms(call, ["pod"])).documents).toBe(0);
        await apply(remember({ ...text, eventId: "4", order: 50 }));
        expect(await store.records(call, {}, PAGE)).toMatchObject([{ occurrences: 4 }]);
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
      expect(await store.agents(call)).toEqual([
        { name: "a", server: "s1", status: "active", lastSeen: 100 },
      ]);
      await apply(agent({ at: 300 }));
      await apply(agent({ server: "s2", status: "idle", at: 200 }));
      await apply(agent({ name: "b", at: 7 }));
      expect(await store.agents(call)).toEqual([
        { name: "a", server: "s2", status: "idle", lastSeen: 300 },
        { name: "b", server: null, status: "active", lastSeen: 7 },
      ]);
      expect(await store.agents(call, "idle")).toHaveLength(1);
    });

    it("creates the agent of an event and lets any registration set its server", async () => {
      await apply(
        remember({ key: "issue:a", content: "x", eventId: "1", at: 50, agent: "seen", server: "s1" }),
        remember({ key: "issue:a", content: "x", eventId: "2", at: 40, agent: "seen", server: "s2" }),
      );
      expect(await store.agents(call)).toEqual([
        { name: "seen", server: "s1", status: "active", lastSeen: 50 },
      ]);
      await apply({ kind: "agent", order: 1, name: "seen", server: "real", status: "idle", at: 30 });
      expect(await store.agents(call)).toEqual([
        { name: "seen", server: "real", status: "idle", lastSeen: 50 },
      ]);
    });

    it("matches keys exactly first, then by prefix, case ignored", async () => {
      await apply(
        remember({ key: "issue:Connection", content: "x", eventId: "1", at: 10 }),
        remember({ key: "issue:connection-pool", content: "y", eventId: "2", at: 30 }),
        remember({ key: "issue:connection_lost", content: "z", eventId: "3", at: 20, success: true }),
        remember({ key: "issue:other", content: "z", eventId: "4", at: 40 }),
      );
      const match = async (key: string, filter = {}, limit = 10) => {
        const found = await store.keyMatches(call, key, filter, limit);
        const views = await store.byIds(
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
      const found = await store.candidates(call, ["timeout"], {}, 10);
      expect(found.map(({ prepared }) => prepared.foldedKey)).toEqual(["issue:timeout", "issue:disk"]);
      expect(found[0]!.prepared).toEqual(
        prepare({ key: "issue:timeout", content: "connection refused by upstream", details: null }),
      );
      expect(await store.candidates(call, ["timeout"], {}, 1)).toHaveLength(1);
      expect(await store.candidates(call, ["timeout"], { success: true }, 1)).toMatchObject([
        { prepared: { foldedKey: "issue:disk" } },
      ]);
      expect(await store.candidates(call, ["x86_64", "absent"], {}, 10)).toHaveLength(1);
      expect(await store.candidates(call, ["absent"], {}, 10)).toEqual([]);
    });

    it("groups similar issues with their counts and the newest solution", async () => {
      await apply(
        remember({ key: "issue:Reconnection loop", content: "old", eventId: "1", at: 10, success: false }),
        remember({ key: "issue:Reconnection loop", content: "new", eventId: "2", at: 20, success: true }),
        remember({ key: "issue:connection", content: "one", eventId: "3", at: 30 }),
        remember({ key: "runbook:connection", content: "run", eventId: "4", at: 40 }),
        remember({ key: "issue:disk", content: "two", eventId: "5", at: 50 }),
      );
      expect(await store.similar(call, "connection", undefined, 10)).toEqual([
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
      expect(await store.similar(call, "", 35, 1)).toMatchObject([{ key: "issue:disk" }]);
      expect(await store.successCounts(call, "connection", undefined)).toEqual({
        total: 4,
        successes: 1,
        failures: 1,
      });
      expect(await store.successCounts(call, undefined, 20)).toEqual({ total: 4, successes: 1, failures: 0 });
    });

    it("keeps large and awkward texts", async () => {
      const words = Array.from({ length: 17_000 }, (_, n) => `w${n.toString(36)}${"x".repeat(52)}`).join(" ");
      const large = remember({
        key: `issue:${"k".repeat(500)}`,
        content: words.slice(0, 1 << 20),
        eventId: "big",
      });
      expect(await apply(large)).toEqual(["new"]);
      const [view] = await store.byIds(call, [large.record.id]);
      expect(view?.content).toBe(large.record.content);
      expect((await store.terms(call, ["absent"])).bodyLength).toBe(large.prepared.bodyLength);
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
      expect(await store.counts(call)).toEqual({ records: 0, fixes: 0, events: 0, agents: 0, issues: 0 });
      expect((await store.terms(call, ["pod"])).documents).toBe(0);
      expect(await apply(good)).toEqual(["new"]);
    });
  });
}
