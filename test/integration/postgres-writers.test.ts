import { afterAll, beforeAll, expect, it } from "vitest";
import { connectPostgres, type PostgresConnection } from "../../src/engines/postgres/connect.ts";
import { postgresMemory } from "../../src/engines/postgres/memory.ts";
import { postgresMigrations } from "../../src/engines/postgres/migrations.ts";
import { MAX_TOKEN_BYTES } from "../../src/memory/analyze.ts";
import type { PreparedWrite } from "../../src/memory/port.ts";
import { defaultSets } from "../../src/migrate/sets.ts";
import { applySets } from "../../src/migrate/shipped.ts";
import { remember } from "../contract/memory-store.ts";
import { testCall } from "../support/calls.ts";
import { postgresDatabase, type TestDatabase } from "../support/servers.ts";
import { expectExactCorpus } from "./postgres-memory-kit.ts";

let database: TestDatabase;
let connections: PostgresConnection[];

beforeAll(async () => {
  database = await postgresDatabase();
  const target = { engine: "postgres" as const, url: database.url, shown: "", identity: "" };
  const limits = { connectMs: 5000, queryMs: 30_000, poolSize: 2 };
  connections = await Promise.all(Array.from({ length: 4 }, () => connectPostgres(target, limits)));
  await applySets(testCall(), postgresMigrations(connections[0]!), defaultSets("postgres"), false);
});
afterAll(async () => {
  await Promise.all(connections.map((connection) => connection.close()));
  await database.drop();
});

const WORDS = ["timeout", "disk", "pool", "node", "pod", "upstream", "cache", "queue", "lock", "leader"];

/** Numbers that look like chance and are the same in every run. */
function dice(seed: number): (sides: number) => number {
  let state = seed;
  return (sides) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * sides);
  };
}

/** Writes of all kinds over few records, events and agents: every batch meets what others wrote. */
function batch(seed: number): PreparedWrite[] {
  const roll = dice(seed);
  return Array.from({ length: 60 }, (_, n): PreparedWrite => {
    const record = roll(30);
    const text = {
      key: `issue:${WORDS[record % 10]}`,
      content: `${WORDS[(record * 7) % 10]} ${record}`,
      id: `r${record}`,
    };
    const order = roll(1000);
    const kind = roll(10);
    if (kind === 0) return { kind: "forget", order, recordId: text.id };
    if (kind === 1)
      return { kind: "agent", order, name: `a${roll(5)}`, server: `s${n}`, status: null, at: order };
    const event = roll(400);
    const [at, agent] = [event, `a${event % 5}`];
    return remember({ ...text, eventId: `e${record}-${event}`, at, order: 500 + (event % 500), agent });
  });
}

it("keeps frequencies and statistics exact while four write overlapping batches at once", async () => {
  const outcomes = await Promise.all(
    connections.map(async (connection, writer) => {
      const store = postgresMemory(connection);
      const all = [];
      for (let n = 0; n < 12; n++)
        all.push(...(await store.apply(testCall(), batch(1 + ((n * 5 + writer) % 16)))));
      return all;
    }),
  );
  const [first] = connections;
  const stored = await first!.query<{ n: number }>(testCall(), "SELECT count(*) AS n FROM memori_events");
  expect(outcomes.flat().filter((outcome) => outcome === "new").length).toBeGreaterThanOrEqual(stored[0]!.n);
  expect(outcomes.flat()).not.toContain("conflict");
  await expectExactCorpus(first!);
  const visible = await first!.query(
    testCall(),
    `SELECT m.id FROM memori_metadata m
     WHERE m.deleted_at < (SELECT max(recorded_at) FROM memori_events WHERE record_id = m.id)
       OR (m.deleted_at IS NULL) <> (m.search IS NOT NULL)`,
  );
  expect(visible).toEqual([]);
});

it("indexes as many distinct tokens as the analyzer lets through", async () => {
  const store = postgresMemory(connections[0]!);
  const words = Array.from({ length: 17_000 }, (_, n) => `t${"z".repeat(52)}${String(n).padStart(7, "0")}`);
  const tokens = words.slice(0, MAX_TOKEN_BYTES / 60);
  const write = remember({ key: "issue:large", content: "large", eventId: "large", at: 5000, order: 5000 });
  write.prepared = {
    title: "",
    body: tokens.join(" "),
    shape: "__s_0123456789abcdef",
    titleLength: 0,
    bodyLength: tokens.length,
    foldedKey: "issue:large",
  };
  expect(tokens).toHaveLength(16_000);
  expect(await store.apply(testCall(), [write])).toEqual(["new"]);
  const wanted = [[tokens[0]!], [tokens.at(-1)!, write.prepared.shape]];
  const { candidates: found } = await store.candidates(testCall(), wanted, {}, 10, 100);
  expect(found.map(({ id }) => id)).toEqual([write.record.id]);
  expect(found[0]!.prepared).toEqual(write.prepared);
});

it("exports large records and many in one snapshot, and stops when its reader does", async () => {
  const [one, two] = [postgresMemory(connections[0]!), postgresMemory(connections[1]!)];
  const text = "x ".repeat(500_000);
  for (let n = 0; n < 12; n++) {
    await one.apply(testCall(), [
      remember({ key: "issue:big", content: `${n} ${text}`, eventId: `big-${n}`, at: 6000 }),
    ]);
  }
  const expected = await one.counts(testCall());
  let seen = 0;
  for await (const event of one.export(testCall())) {
    if (seen === 0)
      await two.apply(testCall(), [
        remember({ key: "issue:later", content: "x", eventId: "later", at: 9999 }),
      ]);
    expect(event.id).not.toBe("later");
    seen += 1;
  }
  expect(seen).toBe(expected.events);
  for (let n = 0; n < 5; n++) {
    for await (const event of one.export(testCall())) {
      expect(event.record.id).toBe(event.recordId);
      break;
    }
  }
  expect((await one.counts(testCall())).events).toBe(expected.events + 1);
});
