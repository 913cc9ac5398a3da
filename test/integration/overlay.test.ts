/** Queued writes laid over a store: every answer is the one that the store gives once it has them. */
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { IN_MEMORY, sqliteConnection } from "../../src/engines/sqlite/connect.ts";
import { sqliteMemory } from "../../src/engines/sqlite/memory.ts";
import type { Write } from "../../src/memory/model.ts";
import { overlay } from "../../src/memory/overlay.ts";
import type { MemoryStore } from "../../src/memory/port.ts";
import { prepareWrite } from "../../src/memory/prepare-write.ts";
import { rememberWrite } from "../../src/memory/remember.ts";
import { testCall } from "../support/calls.ts";

const opened: { close(): Promise<void> }[] = [];
afterAll(() => Promise.all(opened.map((connection) => connection.close())));

const call = testCall();
const FIELDS = {
  key: "",
  content: "",
  details: "",
  success: "",
  agent: "",
  server: "",
  tags: "",
  metadata: "",
  at: "",
  id: "",
  eventId: "",
};

async function storeWith(writes: readonly Write[]): Promise<MemoryStore> {
  const connection = sqliteConnection(IN_MEMORY);
  opened.push(connection);
  const store = sqliteMemory(connection);
  for (const write of writes) await store.apply(call, [prepareWrite(write)]);
  return store;
}

/** Few keys, texts and times, so that records, issues and times meet in both layers. */
const KEYS = ["issue:disk", "issue:Disk", "issue:disk-full", "issue:net", "note:a"];
const TEXTS = ["restart the disk", "replace disk", "restart network at 10.0.0.1:8080 after 12 s"];
const AGENTS = ["ops", "Zoë", "bot"];

const remembered = fc.record({
  key: fc.nat(KEYS.length - 1),
  text: fc.nat(TEXTS.length - 1),
  agent: fc.option(fc.constantFrom(...AGENTS), { nil: undefined }),
  success: fc.constantFrom(true, false, undefined),
  at: fc.integer({ min: 1000, max: 1006 }),
});
const forgotten = fc.record({ forget: fc.nat(20) });

type Step = typeof remembered extends fc.Arbitrary<infer A> ? A | { forget: number } : never;

function writesOf(steps: readonly Step[]): Write[] {
  const writes: Write[] = [];
  const ids: string[] = [];
  for (const [order, step] of steps.entries()) {
    if ("forget" in step) {
      const recordId = ids[step.forget % Math.max(1, ids.length)];
      if (recordId) writes.push({ kind: "forget", order, recordId });
      continue;
    }
    const { key, text, agent, success, at } = step;
    // ids of events in no order of time
    const eventId = `${(order * 7) % 10}-${order}`;
    const write = rememberWrite(
      { key: KEYS[key], content: TEXTS[text], agent, success, at, eventId },
      FIELDS,
      at,
    );
    ids.push(write.record.id);
    writes.push({ ...write, order });
  }
  return writes;
}

/** As `queuedWrites` finds them. */
function forgottenBy(writes: readonly Write[]): Set<string> {
  const ids = new Set<string>();
  for (const write of writes) {
    if (write.kind === "forget") ids.add(write.recordId);
    if (write.kind === "remember") ids.delete(write.record.id);
  }
  return ids;
}

const FILTERS = [
  {},
  { since: 1003 },
  { success: true },
  { success: false, since: 1002 },
  { issue: "disk" },
  { agent: "ops" },
  { agent: "Zoë", since: 1004 },
  { key: "issue:disk" },
];

/** What all readers of a store see; candidates in the order of their ids, since that of scores is the ranker's. */
async function answers(store: MemoryStore): Promise<Record<string, unknown>> {
  const page = { limit: 100, offset: 0 };
  const terms = ["restart", "disk", "replac", "network", "issu", "full"];
  const answer: Record<string, unknown> = {
    agents: await store.agents(call),
    terms: await store.terms(call, terms),
    vocabulary: await store.vocabulary(call, ["re", "is", "e"], { min: 2, max: 20 }, 4),
    counts: await store.counts(call),
    success: [
      await store.successCounts(call, undefined, undefined),
      await store.successCounts(call, "disk", 1003),
    ],
    histogram: await store.histogram(call, KEYS, { from: 1001, to: 1006, parts: 3 }),
  };
  for (const filter of FILTERS) {
    const name = JSON.stringify(filter);
    const records = await store.records(call, filter, page);
    answer[`records ${name}`] = records;
    answer[`events ${name}`] = await store.events(call, filter, page);
    answer[`keys ${name}`] = await store.keyMatches(call, "issue:disk", filter, 3);
    const { candidates } = await store.candidates(call, [["restart", "disk"], ["network"]], filter, 100, 100);
    answer[`candidates ${name}`] = candidates.sort((a, b) => (a.id < b.id ? -1 : 1));
    for (const [nth, { lastSeen, lastEvent }] of records.slice(0, 3).entries()) {
      const after = { at: lastSeen, id: lastEvent };
      answer[`records ${name} after ${nth}`] = await store.records(call, filter, {
        limit: 2,
        offset: 0,
        after,
      });
      answer[`events ${name} after ${nth}`] = await store.events(call, filter, {
        limit: 2,
        offset: 1,
        after,
      });
    }
  }
  for (const query of [{ type: "" }, { type: "disk" }, { type: "", since: 1003 }]) {
    const name = JSON.stringify(query);
    const issues = await store.similar(call, { ...query, limit: 100 });
    answer[`similar ${name}`] = issues;
    for (const [nth, after] of issues.entries())
      answer[`similar ${name} after ${nth}`] = await store.similar(call, { ...query, limit: 2, after });
  }
  return answer;
}

test("whatever is delivered and whatever is queued, the answers are the same", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof({ arbitrary: remembered, weight: 6 }, { arbitrary: forgotten, weight: 1 }), {
        maxLength: 16,
      }),
      fc.nat(16),
      async (steps, delivered) => {
        const writes = writesOf(steps);
        const [sent, waiting] = [writes.slice(0, delivered), writes.slice(delivered)];
        // what the store hides already comes back with its delivery only
        const hidden = forgottenBy(sent);
        fc.pre(!waiting.some((write) => write.kind === "remember" && hidden.has(write.record.id)));
        const layered = overlay(await storeWith(sent), await storeWith(waiting), forgottenBy(waiting));
        expect(await answers(layered)).toEqual(await answers(await storeWith(writes)));
        for (const connection of opened.splice(0)) await connection.close();
      },
    ),
    { numRuns: 8, endOnFailure: true },
  );
});

test("many queued rows that share a word do not push a stored record out of the candidates", async () => {
  const write = (nth: number, key: string, content: string): Write => ({
    ...rememberWrite({ key, content, eventId: `e-${nth}` }, FIELDS, 1000 + nth),
    order: nth,
  });
  const stored = write(0, "issue:pool-exhausted", "raised the connection pool");
  const queued = Array.from({ length: 60 }, (_, nth) =>
    write(nth + 1, `issue:connection-${nth}`, "checked the connection"),
  );
  const layered = overlay(await storeWith([stored]), await storeWith(queued), new Set());
  const { candidates } = await layered.candidates(call, [["connect"], ["pool"]], {}, 20, 100);
  const id = stored.kind === "remember" ? stored.record.id : "";
  expect(candidates.map((candidate) => candidate.id)).toContain(id);
});
