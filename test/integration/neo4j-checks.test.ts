/** Each check of the graph: planted on a real server, found, mended by its own commands, gone. */
import neo4j from "neo4j-driver";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DEFAULT_THRESHOLDS, type Thresholds } from "../../src/config/thresholds.ts";
import { neo4jChecks } from "../../src/engines/neo4j/checks/index.ts";
import { unreadIndexes } from "../../src/engines/neo4j/checks/unused-index.ts";
import { removeMarker, setMarker } from "../../src/engines/neo4j/restore-marker.ts";
import { bind, diagnose } from "../../src/health/doctor/run.ts";
import { testCall } from "../support/calls.ts";
import { Sandbox } from "../support/cli.ts";
import { mend } from "../support/doctor.ts";
import { LIMITS, neo4jTarget, openNeo4j } from "../support/neo4j.ts";

const { connection, uri, username, password, wipe } = openNeo4j();
const env = { NEO4J_URI: uri, NEO4J_USERNAME: username, NEO4J_PASSWORD: password };
const driver = neo4j.driver(uri, neo4j.auth.basic(username, password));
const sandbox = new Sandbox();

const run = (query: string) => connection.command(testCall(), query);
const scope = (changes: Partial<Thresholds> = {}) => ({
  connection,
  target: neo4jTarget(),
  limits: LIMITS,
  thresholds: { ...DEFAULT_THRESHOLDS, ...changes },
  root: "/",
});
function find(id: string, changes: Partial<Thresholds> = {}) {
  const check = neo4jChecks.find((one) => one.id === id)!;
  return bind(check, scope(changes)).run(testCall());
}
/** Found once, with this severity; then its commands are run and it is gone. */
async function mended(id: string, severity: string, subject: string, changes: Partial<Thresholds> = {}) {
  const [found, ...others] = await find(id, changes);
  expect(others).toEqual([]);
  expect(found).toMatchObject({ severity, subject: expect.stringContaining(subject) });
  await mend(sandbox, env, found!);
  await expect.poll(() => find(id, changes), { timeout: 20_000 }).toEqual([]);
  return found!;
}

beforeAll(async () => {
  await wipe();
  await sandbox.ok(["init", "neo4j", "--sets", "all"], { env });
  await run("UNWIND range(1, 3) AS i CREATE (:Unread {v: i, w: i})");
  await run("CREATE INDEX unread FOR (n:Unread) ON (n.v)");
  await run("CREATE INDEX unread_not FOR (n:Unread) ON (n.w)");
  await run("CALL db.awaitIndexes(60)");
});

afterAll(async () => {
  await wipe();
  await connection.close();
  await driver.close();
  sandbox.remove();
});

test("a fresh graph with all sets has nothing above info", async () => {
  const call = testCall();
  const found = [];
  for (const check of neo4jChecks) found.push(...(await check.run(call, scope())));
  expect(found.filter(({ severity }) => severity !== "info")).toEqual([]);
});

test("a check that may not look is unknown, and says why: the database system answers few questions", async () => {
  const refused = openNeo4j({ database: "system" });
  const target = neo4jTarget({ database: "system" });
  const checks = neo4jChecks.map((check) =>
    bind(check, { ...scope(), connection: refused.connection, target }),
  );
  const { outcomes } = await diagnose(testCall(), [{ engine: "neo4j", checks }]);
  await refused.connection.close();
  const of = (status: string) => outcomes.filter((one) => one.status === status).map(({ check }) => check.id);
  expect(of("unknown")).toEqual(
    expect.arrayContaining(["neo4j-index-failed", "neo4j-heap", "neo4j-leftovers"]),
  );
  expect(of("ok")).toEqual(expect.arrayContaining(["neo4j-slow-transaction", "neo4j-auth-disabled"]));
  expect(of("skipped")).toEqual([]);
});

test("ids are unique and say their area", () => {
  const ids = neo4jChecks.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.filter((id) => !/^neo4j(-[a-z]+)+$/.test(id))).toEqual([]);
});

test("a failed index is rebuilt when its value is shortened", async () => {
  await run("CREATE (:Planted {v: reduce(s = '', x IN range(1, 9000) | s + toString(x * 7919))})");
  await run("CREATE INDEX `planted index` FOR (n:Planted) ON (n.v)");
  await expect.poll(() => find("neo4j-index-failed"), { timeout: 20_000 }).toHaveLength(1);
  const [found] = await find("neo4j-index-failed");
  expect(found!.evidence).toContain(":Planted(v)");
  expect(found!.advice).toContain("size(n.`v`) > 8000");
  await run("MATCH (n:Planted) SET n.v = 'short'");
  await mended("neo4j-index-failed", "error", "planted index");
  await run("DROP INDEX `planted index`");
});

test("an index that is being built, until it is", async () => {
  await run("UNWIND range(1, 20000) AS i CREATE (:Filled {v: toString(i) + ' ' + toString(i * 7919)})");
  await run("CREATE FULLTEXT INDEX filled FOR (n:Filled) ON EACH [n.v]");
  const found = await find("neo4j-index-populating");
  expect(found).toMatchObject([{ severity: "info", subject: "index filled" }]);
  await mend(sandbox, env, found[0]!);
  expect(await find("neo4j-index-populating")).toEqual([]);
  await run("DROP INDEX filled");
  await run("MATCH (n:Filled) CALL (n) { DELETE n } IN TRANSACTIONS OF 20000 ROWS");
});

test.each(["labels of nodes", "types of relationships"])("a missing lookup index on %s", async (of) => {
  const rows = await connection.read<{ name: string }>(
    testCall(),
    "SHOW INDEXES YIELD name, type, entityType WHERE type = 'LOOKUP' AND entityType = $entity RETURN name",
    { entity: of.endsWith("nodes") ? "NODE" : "RELATIONSHIP" },
  );
  await run(`DROP INDEX ${rows[0]!.name}`);
  await mended("neo4j-lookup-index", "warning", of);
});

describe("keys of MERGE", () => {
  test("the constraint is missing, and an index stands in its way", async () => {
    await run("DROP CONSTRAINT person_name");
    await run("CREATE INDEX person_name_index FOR (p:Person) ON (p.name)");
    const found = await mended("neo4j-constraint-missing", "warning", ":Person(name)");
    expect(found.remedies).toHaveLength(2);
    expect(found.remedies.some(({ safe }) => safe)).toBe(false);
  });

  test("nodes share a key: exact copies go, what is connected stays, then the constraint comes", async () => {
    await run("DROP CONSTRAINT person_name");
    await run("UNWIND range(1, 4) AS i CREATE (:Person {name: 'Ann'})");
    await run(
      "MATCH (p:Person {name: 'Ann'}) WITH p LIMIT 1 CREATE (p)-[:INTERESTED_IN]->(:Concept {name: 'c'})",
    );
    await run("UNWIND range(1, 2) AS i CREATE (:Person {name: 'Bob'})");
    const [found] = await find("neo4j-duplicate-key");
    expect(found!.evidence).toMatch(/^6 nodes share 2 values; 4 are exact copies/);
    const [missing] = await find("neo4j-constraint-missing");
    expect(missing).toMatchObject({
      evidence: expect.stringContaining("nodes share 2 values of it"),
      remedies: [{ safe: false }],
      advice: expect.stringContaining("neo4j-duplicate-key"),
    });
    await mended("neo4j-duplicate-key", "error", ":Person(name)");
    const left = "MATCH (p:Person) RETURN p.name AS name, COUNT { (p)--() } AS n ORDER BY name";
    expect(await connection.read(testCall(), left)).toEqual([
      { name: "Ann", n: 1 },
      { name: "Bob", n: 0 },
    ]);
    const { remedies } = await mended("neo4j-constraint-missing", "warning", ":Person(name)");
    expect(remedies.map(({ safe }) => safe)).toEqual([true]);
  });

  test("nodes that differ are named and not touched", async () => {
    await run("DROP CONSTRAINT person_name");
    await run("CREATE (:Person {name: 'Eve', age: 1}), (:Person {name: 'Eve', age: 2})");
    const [found] = await find("neo4j-duplicate-key");
    expect(found).toMatchObject({ remedies: [], advice: expect.stringContaining("`Person`") });
    await run("MATCH (p:Person {name: 'Eve'}) DELETE p");
    expect(await find("neo4j-duplicate-key")).toEqual([]);
    await mended("neo4j-constraint-missing", "warning", ":Person(name)");
  });
});

describe("transactions", () => {
  test("a slow one is found and ended", async () => {
    const session = driver.session({ database: "neo4j" });
    try {
      const transaction = session.beginTransaction();
      await transaction.run("CREATE (:Slow)");
      await expect
        .poll(() => find("neo4j-slow-transaction", { slow_transaction: 0.001 }), { timeout: 20_000 })
        .toHaveLength(1);
      expect(await find("neo4j-slow-transaction")).toEqual([]);
      await mended("neo4j-slow-transaction", "warning", "transaction", { slow_transaction: 0.001 });
      await expect(transaction.run("RETURN 1")).rejects.toThrow();
    } finally {
      await session.close().catch(() => {});
    }
  });

  test("who blocks whom: the one at the head of the queue is ended", async () => {
    await run("CREATE (:Locked {i: 1}), (:Locked {i: 2})");
    const sessions = [0, 1].map(() => driver.session({ database: "neo4j" }));
    try {
      const [holder, waiter] = sessions.map((session) => session.beginTransaction());
      await holder!.run("MATCH (n:Locked {i: 1}) SET n.x = 1");
      const waits = waiter!.run("MATCH (n:Locked {i: 1}) SET n.x = 2 // waiter").then(() => waiter!.commit());
      const changes = { blocked: 0.001 };
      await expect
        .poll(() => find("neo4j-blocked-transaction", changes), { timeout: 20_000 })
        .toHaveLength(1);
      const found = await mended("neo4j-blocked-transaction", "warning", "transaction", changes);
      expect(found.evidence).toContain("idle: no query at the moment");
      expect(found.evidence).toContain("// waiter");
      await waits;
    } finally {
      await Promise.all(sessions.map((session) => session.close().catch(() => {})));
      await run("MATCH (n:Locked) DELETE n");
    }
  });
});

describe("what broken-off runs left", () => {
  test("an index of a freeze and a node of a self-test", async () => {
    await run("CREATE INDEX opsctl_freeze_0 FOR (e:Person) ON (e.__freeze)");
    const { remedies } = await mended("neo4j-leftovers", "warning", "index opsctl_freeze_0");
    // it is for whoever asks for it: --fix drops no index
    expect(remedies.map(({ safe }) => safe)).toEqual([false]);
    await run("CREATE (:__opsctl_health {id: 'x'})");
    await mended("neo4j-leftovers", "info", "nodes :__opsctl_health");
  });

  test.each([
    ["nodes", "error"],
    ["drill", "warning"],
  ] as const)("the mark of a restore, phase %s", async (phase, severity) => {
    await setMarker(testCall(), connection, { id: "r-1", phase });
    expect(await find("neo4j-restore-unfinished")).toMatchObject([{ severity }]);
    await removeMarker(testCall(), connection);
    expect(await find("neo4j-restore-unfinished")).toEqual([]);
  });
});

test("an index that nobody has read in seven days", async () => {
  // the server counts what it has seen every few seconds
  const counted = () =>
    connection.read<{ reads: number | null; since: number | null }>(
      testCall(),
      `SHOW INDEXES YIELD name, readCount, trackedSince WHERE name STARTS WITH 'unread'
       RETURN readCount AS reads, trackedSince.epochMillis AS since ORDER BY name`,
    );
  const readOnce = () =>
    connection.read(testCall(), "MATCH (n:Unread) USING INDEX n:Unread(w) WHERE n.w = 2 RETURN n.w");
  const isCounted = async () => {
    await readOnce();
    const [unread, read] = await counted();
    return unread?.reads === 0 && (read?.reads ?? 0) > 0;
  };
  await expect.poll(isCounted, { timeout: 50_000, interval: 500 }).toBe(true);
  const from = Math.max(...(await counted()).map(({ since }) => since!));
  const week = 7 * 86_400_000;
  const at = async (now: number, entries: number) =>
    (await unreadIndexes(testCall(), scope(), now, entries)).filter(({ subject }) =>
      subject.startsWith("index unread"),
    );
  expect(await at(from + week, 3)).toMatchObject([
    {
      severity: "info",
      subject: "index unread",
      evidence: "no query has read it in 7 days; it has 3 entries",
      remedies: [{ safe: false }],
    },
  ]);
  expect(await at(from + week - 60_000, 3)).toEqual([]);
  expect(await at(from + week, 4)).toEqual([]);
});

test("heap: in use above the threshold", async () => {
  expect(await find("neo4j-heap", { heap: 0.001 })).toMatchObject([{ subject: "heap" }]);
  expect((await find("neo4j-heap", { heap: 100 })).length).toBe(0);
});
