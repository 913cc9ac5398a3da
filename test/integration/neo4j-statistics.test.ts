/** The figures of `stats` against the documented Cypher run by hand, and what a user may not see. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import neo4j from "neo4j-driver";
import * as v from "valibot";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DEFAULT_THRESHOLDS } from "../../src/config/thresholds.ts";
import { neo4jStats } from "../../src/contract/stats-neo4j.ts";
import { neo4jProbe } from "../../src/engines/neo4j/probe.ts";
import { neo4jStatistics } from "../../src/engines/neo4j/statistics.ts";
import { testCall } from "../support/calls.ts";
import { LIMITS, neo4jTarget, openNeo4j } from "../support/neo4j.ts";

const { connection, uri, username, password, wipe } = openNeo4j();
const driver = neo4j.driver(uri, neo4j.auth.basic(username, password), { disableLosslessIntegers: true });
const byHand = async (query: string) =>
  (await driver.executeQuery(query, {}, { database: "neo4j" })).records.map((record) => record.toObject());

async function stats({ top = 20, root = "/", slow = 30 } = {}) {
  const thresholds = { ...DEFAULT_THRESHOLDS, slow_transaction: slow };
  const statistics = neo4jStatistics(connection, { target: neo4jTarget(), limits: LIMITS }, thresholds, root);
  const read = await statistics.read(testCall(), { top, sampleKeys: 1 });
  return v.parse(neo4jStats, read);
}

beforeAll(async () => {
  await wipe();
  await connection.write(testCall(), async (run) => {
    await run("UNWIND range(1, 30) AS i CREATE (a:Stats:Even {i: i})-[:NEXT]->(:Stats {i: -i})-[:BACK]->(a)");
    await run("CREATE (:`odd label` {i: 1})-[:`odd type`]->(:Alone)");
    await run("CREATE ()");
  });
  await connection.command(testCall(), "CREATE CONSTRAINT stats_i FOR (n:Even) REQUIRE n.i IS UNIQUE");
  await connection.command(testCall(), "CREATE TEXT INDEX stats_text FOR (n:Alone) ON (n.t)");
  await connection.read(testCall(), "CALL db.awaitIndexes(60)");
});

afterAll(async () => {
  await wipe();
  await driver.close();
  await connection.close();
});

test("counts equal MATCH … RETURN count", async () => {
  const read = await stats();
  const [nodes] = await byHand("MATCH (n) RETURN count(n) AS n");
  const [relationships] = await byHand("MATCH ()-[r]->() RETURN count(r) AS n");
  expect(read).toMatchObject({ nodes: nodes!["n"], relationships: relationships!["n"], label_count: 4 });
  const labels = await byHand(
    "MATCH (n) UNWIND labels(n) AS label RETURN label, count(*) AS nodes ORDER BY nodes DESC, label",
  );
  expect(read.labels).toEqual(labels);
  const types = await byHand(
    "MATCH ()-[r]->() RETURN type(r) AS type, count(*) AS relationships ORDER BY relationships DESC, type",
  );
  expect(read.types).toEqual(types);
  expect(read.type_count).toBe(types.length);
});

test("indexes and constraints equal SHOW INDEXES and SHOW CONSTRAINTS", async () => {
  const read = await stats();
  const indexes = await byHand(`SHOW INDEXES YIELD name, type, state, populationPercent, owningConstraint
    RETURN name, type, state, populationPercent AS population_percent, owningConstraint AS constraint ORDER BY name`);
  const shown = read.indexes.map(({ name, type, state, population_percent, constraint }) => ({
    name,
    type,
    state,
    population_percent,
    constraint,
  }));
  expect(shown.sort((a, b) => (a.name < b.name ? -1 : 1))).toEqual(indexes);
  expect(read.index_count).toBe(indexes.length);
  expect(read.constraint_count).toBe((await byHand("SHOW CONSTRAINTS")).length);
  expect(read.indexes.find(({ name }) => name === "stats_i")).toMatchObject({
    labels: ["Even"],
    properties: ["i"],
    constraint: "stats_i",
  });
});

test("version, edition, heap, page cache and store equal what the server and its files say", async () => {
  const read = await stats();
  const [components] = await byHand(
    "CALL dbms.components() YIELD versions, edition RETURN versions[0], edition",
  );
  expect([read.version, read.edition]).toEqual(Object.values(components!));
  const [heap] = await byHand(`CALL dbms.queryJmx('java.lang:type=Memory') YIELD attributes
    RETURN attributes.HeapMemoryUsage.value.properties.max AS max`);
  expect(read.heap.max_bytes).toBe(heap!["max"]);
  expect(read.heap.used_bytes).toBeLessThanOrEqual(read.heap.committed_bytes!);
  expect(read.page_cache).toEqual({ size_bytes: 64 * 2 ** 20, hit_ratio: null });
  const [data] = await byHand(
    "SHOW SETTINGS YIELD name, value WHERE name = 'server.directories.data' RETURN value",
  );
  const folder = join(String(data!["value"]), "databases", "neo4j");
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((one) => one.isFile());
  const size = files.reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0);
  expect(read.store_size_bytes).toBe(size);
  expect(read.unknown).toEqual([
    {
      what: "page cache hit ratio",
      reason: "only the Enterprise edition tells it, through its metrics",
      hint: null,
    },
  ]);
});

test("lists are cut, what they are cut from is counted", async () => {
  const read = await stats({ top: 1 });
  expect(read).toMatchObject({ labels: [{ label: "Stats", nodes: 60 }], label_count: 4, type_count: 3 });
  expect([read.types.length, read.indexes.length]).toEqual([1, 1]);
});

test("transactions of others run and are slow; that of the question is none of them", async () => {
  const idle = (await stats()).transactions;
  expect(idle).toEqual({ running: 0, slow: [] });
  const session = driver.session({ database: "neo4j" });
  const transaction = session.beginTransaction();
  try {
    await transaction.run(`MATCH (n:Alone) RETURN '${"long ".repeat(50)}',\n n`);
    await expect.poll(async () => (await stats({ slow: 0 })).transactions.slow.length).toBe(1);
    const { transactions } = await stats({ slow: 0 });
    expect(transactions.running).toBe(1);
    expect(transactions.slow[0]).toMatchObject({ username, status: "Running" });
    expect((await stats({ slow: 3600 })).transactions).toEqual({ running: 1, slow: [] });
  } finally {
    await transaction.rollback();
    await session.close();
  }
});

test("files of another host: the store's size is not known, the rest is", async () => {
  const root = mkdtempSync(join(tmpdir(), "opsctl-root-"));
  try {
    const hint = "ask on the server's host";
    const unknown = { what: "store size", reason: expect.stringContaining("not on this host"), hint };
    expect((await stats({ root })).unknown).toContainEqual(unknown);
    mkdirSync(join(root, "proc/sys/kernel"), { recursive: true });
    writeFileSync(join(root, "proc/sys/kernel/hostname"), "elsewhere\n");
    const read = await stats({ root });
    expect(read.unknown).toContainEqual(unknown);
    expect(read).toMatchObject({ store_size_bytes: null, nodes: 63 });
  } finally {
    rmSync(root, { recursive: true });
  }
});

test("what is refused is null and named, the rest is there: the database system answers few questions", async () => {
  const refused = openNeo4j({ database: "system" });
  const origin = { target: neo4jTarget({ database: "system" }), limits: LIMITS };
  try {
    const statistics = neo4jStatistics(refused.connection, origin, DEFAULT_THRESHOLDS, "/");
    const read = v.parse(neo4jStats, await statistics.read(testCall(), { top: 1, sampleKeys: 1 }));
    expect(read.unknown.map(({ what }) => what)).toEqual([
      "counts",
      "indexes",
      "constraints",
      "heap",
      "store size",
      "page cache hit ratio",
    ]);
    expect(read).toMatchObject({ nodes: null, edition: "community", transactions: { running: 0 } });
  } finally {
    await refused.connection.close();
  }
});

test("the write self-test leaves nothing", async () => {
  await neo4jProbe(connection).selfTest(testCall());
  expect(await byHand("MATCH (n:__opsctl_health) RETURN count(n) AS n")).toEqual([{ n: 0 }]);
});

test("a self-test that cannot write says at which step", async () => {
  // a constraint that the node breaks
  await connection.command(
    testCall(),
    "CREATE CONSTRAINT self_test FOR (n:__opsctl_health) REQUIRE n.id IS UNIQUE",
  );
  const session = driver.session({ database: "neo4j" });
  const blocker = session.beginTransaction();
  try {
    await blocker.run("DROP CONSTRAINT self_test");
    const short = openNeo4j({}, { queryMs: 500 });
    await expect(neo4jProbe(short.connection).selfTest(testCall())).rejects.toMatchObject({
      message: expect.stringContaining("self-test: writing a node"),
    });
    await short.connection.close();
  } finally {
    await blocker.rollback();
    await session.close();
    await connection.command(testCall(), "DROP CONSTRAINT self_test IF EXISTS");
  }
});
