/** Entries of an older version of the index: found, made anew in small steps, exact after each of them. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { DEFAULT_THRESHOLDS } from "../../src/config/thresholds.ts";
import { memoryIndex } from "../../src/engines/neo4j/checks/memory-index.ts";
import { neo4jMaintenance } from "../../src/engines/neo4j/maintenance.ts";
import { neo4jMemory } from "../../src/engines/neo4j/memory.ts";
import { renewIndex } from "../../src/engines/neo4j/memory-renew.ts";
import { neo4jMigrations } from "../../src/engines/neo4j/migrations.ts";
import { INDEX_VERSION, prepare } from "../../src/memory/analyze.ts";
import type { PreparedWrite } from "../../src/memory/port.ts";
import { defaultSets } from "../../src/migrate/sets.ts";
import { applySets } from "../../src/migrate/shipped.ts";
import { remember } from "../contract/memory-store.ts";
import { testCall } from "../support/calls.ts";
import { clearMemory, LIMITS, neo4jTarget, openNeo4j } from "../support/neo4j.ts";

const { connection, wipe } = openNeo4j();
const store = neo4jMemory(connection);
const call = testCall(300_000);
const apply = (...writes: PreparedWrite[]) => store.apply(call, writes);
const ask = <T = Record<string, unknown>>(query: string) => connection.read<T>(call, query);
const change = (query: string) => connection.command(call, query);
const planned = async () =>
  (await neo4jMaintenance(connection).plan(call, { all: false })).filter(
    ({ kind }) => kind === "renew-index",
  );

const scope = {
  connection,
  target: neo4jTarget(),
  limits: LIMITS,
  thresholds: DEFAULT_THRESHOLDS,
  root: "/",
};
const found = () => memoryIndex.run(call, scope);

const fix = (n: number) =>
  remember({
    key: `issue:pod ${n % 7} crashed`,
    content: `restart node ${n} of rack ${n % 11}`,
    eventId: `e${n}`,
  });

/** As a program wrote it that knew other words and no shapes, in a database of the schema v1.0.0. */
async function writeOlder(from: number, to: number): Promise<void> {
  const older = Array.from({ length: to - from }, (_, n) => {
    const write = fix(from + n);
    const body = `${write.prepared.body} stale stale`;
    const bodyLength = write.prepared.bodyLength + 2;
    return { ...write, prepared: { ...write.prepared, body, bodyLength, shape: "" } };
  });
  await apply(...older);
  await change(
    "MATCH (m:Memory) WHERE m.body_tokens ENDS WITH 'stale' REMOVE m.index_version, m.shape_tokens",
  );
  await change("MATCH (s:Stat) REMOVE s.index_version");
}

/** Frequencies and sums as the entries themselves give them, beside those that are kept. */
async function compareSums(): Promise<void> {
  const entries = await ask<{ tokens: string; title: string; body: string; shape: string }>(
    `MATCH (m:Memory) WHERE m.deleted_at IS NULL RETURN m.tokens AS tokens, m.title_tokens AS title,
      m.body_tokens AS body, coalesce(m.shape_tokens, '') AS shape`,
  );
  const words = (text: string) => text.split(" ").filter((word) => word !== "");
  const counted = new Map<string, number>();
  for (const { tokens, title, body, shape } of entries) {
    expect(words(tokens)).toEqual([title, title, title, body, shape].flatMap(words));
    for (const word of new Set(words(tokens))) counted.set(word, (counted.get(word) ?? 0) + 1);
  }
  const kept = await ask<{ word: string; df: number }>("MATCH (t:Term) RETURN t.w AS word, t.df AS df");
  expect(kept.map(({ word, df }) => [word, df]).sort()).toEqual([...counted].sort());
  expect(await store.terms(call, [])).toMatchObject({
    documents: entries.length,
    titleLength: entries.flatMap(({ title }) => words(title)).length,
    bodyLength: entries.flatMap(({ body }) => words(body)).length,
  });
}

const olderEntries = async () =>
  (
    await ask<{ count: number }>(`MATCH (m:Memory) WHERE m.deleted_at IS NULL
    AND coalesce(m.index_version, 1) < ${INDEX_VERSION} RETURN count(m) AS count`)
  )[0]!.count;

beforeAll(async () => {
  await wipe();
  await applySets(call, neo4jMigrations(connection), defaultSets("neo4j"), false);
});
beforeEach(() => clearMemory(connection));
afterAll(async () => {
  await wipe();
  await connection.close();
});

test("an index of this version, or an empty one, needs nothing", async () => {
  expect(await planned()).toEqual([]);
  await apply(fix(1));
  expect(await planned()).toEqual([]);
  expect((await store.terms(call, [])).indexVersion).toBe(INDEX_VERSION);
});

test("an older one answers, and is renewed once", async () => {
  await writeOlder(0, 30);
  await apply(fix(30));
  const gone = fix(3);
  await apply({ kind: "forget", order: 5_000, recordId: gone.record.id });
  expect((await store.terms(call, ["stale"])).indexVersion).toBe(1);
  expect((await store.candidates(call, [["stale"]], {}, 100, 100)).candidates).toHaveLength(29);
  expect(await found()).toMatchObject([
    { severity: "info", remedies: [{ argv: ["opsctl", "maintain", "neo4j", "--yes"] }] },
  ]);
  const [task] = await planned();
  expect(task).toMatchObject({ why: expect.stringContaining("version 1, of 30") });
  expect(await task!.run(call)).toMatchObject({ note: "29 entries were made anew" });
  expect(await planned()).toEqual([]);
  expect(await store.terms(call, ["stale"])).toMatchObject({
    indexVersion: INDEX_VERSION,
    frequencies: new Map(),
  });
  expect((await store.candidates(call, [["29"]], {}, 9, 100)).candidates).toEqual([
    { id: fix(29).record.id, prepared: prepare(fix(29).record) },
  ]);
  await compareSums();
  // what was forgotten comes back with a new entry
  await apply(remember({ ...gone.record, eventId: "back", at: 9_000 }));
  expect(await olderEntries()).toBe(0);
  await compareSums();
});

test("doctor names an index of a newer program, and maintain refuses it", async () => {
  await apply(fix(1));
  await change(`MATCH (s:Stat) SET s.index_version = ${INDEX_VERSION + 1}`);
  expect(await found()).toMatchObject([{ severity: "error", remedies: [] }]);
  await expect(planned()).rejects.toMatchObject({ code: "failed", hint: "upgrade opsctl" });
  await change(`MATCH (s:Stat) SET s.index_version = ${INDEX_VERSION}`);
  expect(await found()).toEqual([]);
});

test("writers go on meanwhile, and what they change stays", async () => {
  await writeOlder(0, 60);
  const writes = async () => {
    for (const part of [0, 1]) {
      const ids = Array.from({ length: 15 }, (_, n) => 30 * part + 2 * n);
      await apply(
        ...ids.map((n) => ({ kind: "forget" as const, order: 5_000, recordId: fix(n).record.id })),
        ...ids.map((n) => fix(1_000 + n)),
      );
    }
  };
  await Promise.all([renewIndex(call, connection), writes()]);
  expect(await olderEntries()).toBe(0);
  expect(await store.counts(call)).toMatchObject({ records: 60 });
  await compareSums();
});

test("killed at any moment, it loses nothing and the next run goes on", async () => {
  await writeOlder(0, 200);
  let left = 200;
  const script = join(import.meta.dirname, "neo4j-memory-renewer.ts");
  // at once, while the next transaction is under way, and later in it
  for (const [steps, ms] of [
    [1, 0],
    [2, 5],
  ] as const) {
    const child = spawn(process.execPath, [script, String(steps), String(ms)], { stdio: "inherit" });
    expect(await once(child, "exit")).toEqual([null, "SIGKILL"]);
    const before = left;
    left = await olderEntries();
    expect(left).toBeLessThan(before);
    expect((await store.terms(call, [])).indexVersion).toBe(1);
    await compareSums();
  }
  expect(await renewIndex(call, connection)).toBe(left);
  expect(await planned()).toEqual([]);
  await compareSums();
});
