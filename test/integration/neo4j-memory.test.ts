import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { neo4jMemory } from "../../src/engines/neo4j/memory.ts";
import { neo4jMigrations } from "../../src/engines/neo4j/migrations.ts";
import type { MemoryStore, PreparedWrite } from "../../src/memory/port.ts";
import { defaultSets } from "../../src/migrate/sets.ts";
import { applySets } from "../../src/migrate/shipped.ts";
import { remember } from "../contract/memory-store.ts";
import { testCall } from "../support/calls.ts";
import { clearMemory, type OpenNeo4j, openNeo4j } from "../support/neo4j.ts";

const run = promisify(execFile);
const PAGE = { limit: 100, offset: 0 };

describe("Neo4j memory graph", () => {
  let neo4j: OpenNeo4j;
  let store: MemoryStore;
  const call = testCall(300_000);
  const ask = <T = Record<string, unknown>>(query: string) => neo4j.connection.read<T>(call, query);
  const apply = (...writes: PreparedWrite[]) => store.apply(call, writes);
  const graph = () =>
    ask(`RETURN COUNT { MATCH (f:Fix) } AS fixes, COUNT { MATCH (i:Issue) } AS issues,
      COUNT { MATCH ()-[r:RESOLVES]->(:Issue) } AS resolves, COUNT { MATCH ()-[r:APPLIED_BY]->(:Agent) } AS applied,
      COUNT { MATCH (e:Event) } AS events, COUNT { MATCH (t:Term) } AS terms`);

  beforeAll(async () => {
    neo4j = openNeo4j();
    await neo4j.wipe();
    await applySets(call, neo4jMigrations(neo4j.connection), defaultSets("neo4j"), false);
    store = neo4jMemory(neo4j.connection);
  });
  beforeEach(() => clearMemory(neo4j.connection));
  afterAll(() => neo4j?.connection.close());

  it("answers the guide's own queries", async () => {
    const timeout = { key: "issue:connection-timeout", content: "Increased timeout to 30s" };
    await apply(
      remember({ ...timeout, eventId: "1", at: 1_706_011_200_000, success: true, agent: "obs-1" }),
      remember({ ...timeout, eventId: "2", at: 1_706_011_300_000, success: false, agent: "obs-2" }),
      remember({ key: "issue:disk", content: "Cleaned /var/log", eventId: "3", at: 1_706_011_250_000 }),
      remember({ key: "runbook:disk", content: "no fix", eventId: "4", at: 1_706_011_400_000 }),
    );
    expect(
      await ask(`MATCH (f:Fix) RETURN f.issue AS issue, f.solution AS solution, f.success AS success, f.ts AS ts
        ORDER BY f.ts DESC LIMIT 2`),
    ).toEqual([
      { issue: "connection-timeout", solution: timeout.content, success: false, ts: 1_706_011_300_000 },
      { issue: "disk", solution: "Cleaned /var/log", success: null, ts: 1_706_011_250_000 },
    ]);
    expect(
      await ask(`MATCH (f:Fix) WHERE f.issue CONTAINS 'connection'
        RETURN f.issue AS issue, count(f) AS occurrences,
          sum(CASE WHEN f.success THEN 1.0 ELSE 0.0 END) / count(f) AS rate`),
    ).toEqual([{ issue: "connection-timeout", occurrences: 2, rate: 0.5 }]);
    expect(
      await ask(
        "MATCH (f:Fix)-[:APPLIED_BY]->(a:Agent), (f)-[:RESOLVES]->(i:Issue) RETURN f.id AS id, a.name AS agent, i.key AS issue ORDER BY id",
      ),
    ).toEqual([
      { id: "1", agent: "obs-1", issue: "connection-timeout" },
      { id: "2", agent: "obs-2", issue: "connection-timeout" },
    ]);
  });

  it("stores times and counts as integers", async () => {
    await apply(remember({ key: "issue:a", content: "pod", eventId: "1", agent: "x" }));
    expect(
      await ask(`MATCH (f:Fix)-[:OF]->(m:Memory), (a:Agent), (t:Term), (s:Stat)
        RETURN DISTINCT valueType(f.ts) AS ts, valueType(f.recorded_at) AS order, valueType(a.last_seen) AS seen,
          valueType(t.df) AS df, valueType(s.documents) AS documents, valueType(m.body_length) AS length`),
    ).toEqual([
      Object.fromEntries(
        ["ts", "order", "seen", "df", "documents", "length"].map((name) => [name, "INTEGER NOT NULL"]),
      ),
    ]);
  });

  it("takes the Fix nodes of a forgotten record away and brings them back", async () => {
    const fix = { key: "issue:gone", content: "restart" };
    const first = remember({ ...fix, eventId: "1", order: 10, agent: "x" });
    await apply(
      first,
      remember({ ...fix, eventId: "2", order: 11 }),
      remember({ key: "note", content: "n", eventId: "3" }),
    );
    expect(await graph()).toEqual([{ fixes: 2, issues: 1, resolves: 2, applied: 1, events: 3, terms: 4 }]);
    await apply({ kind: "forget", order: 20, recordId: first.record.id });
    expect(await graph()).toEqual([{ fixes: 0, issues: 0, resolves: 0, applied: 0, events: 3, terms: 2 }]);
    expect(await ask("MATCH (e:Event) WHERE e.issue IS NOT NULL OR e.solution IS NOT NULL RETURN e")).toEqual(
      [],
    );
    await apply(remember({ ...fix, eventId: "4", order: 30, agent: "x" }));
    expect(await graph()).toEqual([{ fixes: 3, issues: 1, resolves: 3, applied: 2, events: 4, terms: 4 }]);
    expect(await ask("MATCH (f:Fix) RETURN DISTINCT f.issue AS issue, f.solution AS solution")).toEqual([
      { issue: "gone", solution: "restart" },
    ]);
  });

  it("keeps an issue while another record has fixes for it", async () => {
    const one = remember({ key: "issue:shared", content: "one", eventId: "1", order: 1 });
    await apply(one, remember({ key: "issue:shared", content: "two", eventId: "2", order: 2 }));
    await apply({ kind: "forget", order: 9, recordId: one.record.id });
    expect(await graph()).toMatchObject([{ fixes: 1, issues: 1, resolves: 1 }]);
  });

  it("lists and updates agents that the guides' scripts made", async () => {
    await neo4j.connection.command(
      call,
      "CREATE (:Agent {name: 'guide', server: 's', status: 'active', last_seen: 5})",
    );
    await neo4j.connection.command(call, "CREATE (:Agent {name: 'bare'})");
    expect(await store.agents(call)).toEqual([
      { name: "bare", server: null, status: "active", lastSeen: 0 },
      { name: "guide", server: "s", status: "active", lastSeen: 5 },
    ]);
    expect(
      await apply({ kind: "agent", order: 1, name: "guide", server: "new", status: null, at: 9 }),
    ).toEqual(["duplicate"]);
    expect((await store.agents(call))[1]).toEqual({
      name: "guide",
      server: "new",
      status: "active",
      lastSeen: 9,
    });
  });

  it("exports in order, however many there are", async () => {
    const writes = Array.from({ length: 700 }, (_, n) =>
      remember({ key: `issue:${n}`, content: "x", eventId: `e${n % 10}-${n}`, at: n % 13 }),
    );
    await apply(...writes);
    const exported = await Array.fromAsync(store.export(call));
    const order = exported.map(({ at, id }) => `${String(at).padStart(4, "0")} ${id}`);
    expect(order).toHaveLength(700);
    expect(order).toEqual(order.toSorted());
  });

  it("counts exactly when two processes write overlapping batches at once", async () => {
    const writer = join(import.meta.dirname, "neo4j-writer.ts");
    const start = (...args: number[]) => run(process.execPath, [writer, ...args.map(String)]);
    const outputs = await Promise.all([start(0, 900, 90), start(300, 1200, 110)]);
    const totals = outputs.map(({ stdout }) => JSON.parse(stdout) as Record<string, number>);
    expect(totals.map(({ conflict }) => conflict)).toEqual([0, 0]);
    expect(totals[0]!.new! + totals[1]!.new!).toBe(1_200);
    expect(totals[0]!.duplicate! + totals[1]!.duplicate!).toBe(600);
    expect(await store.counts(call)).toEqual({
      records: 240,
      fixes: 240,
      events: 1_200,
      agents: 7,
      issues: 24,
    });
    const { documents, frequencies } = await store.terms(call, ["restart", "pod", "share", "0", "239"]);
    expect(documents).toBe(240);
    expect([...frequencies].sort()).toEqual([
      ["0", 10],
      ["239", 1],
      ["pod", 240],
      ["restart", 240],
      ["share", 240],
    ]);
  });

  it("says what to do with a database that was never initialised", async () => {
    await neo4j.wipe();
    const expected = { code: "failed", engine: "neo4j", hint: "opsctl init neo4j" };
    await expect(store.candidates(call, [["pod"]], {}, 5, 100)).rejects.toMatchObject(expected);
    await expect(apply(remember({ key: "issue:a", content: "pod", eventId: "1" }))).rejects.toMatchObject(
      expected,
    );
    expect(await store.records(call, {}, PAGE)).toEqual([]);
    expect(await store.counts(call)).toMatchObject({ records: 0, agents: 0 });
    expect((await store.terms(call, ["pod"])).documents).toBe(0);
  });
});
