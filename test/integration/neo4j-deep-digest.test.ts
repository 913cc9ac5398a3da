import type { Driver } from "neo4j-driver";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type DeepDigest, neo4jDigest } from "../support/deep-digest.ts";
import { neo4jServer } from "../support/servers.ts";
import { openDriver, run } from "./graph-kit.ts";

const server = neo4jServer();
let driver: Driver;
let before: DeepDigest;

const VALUES = `{i: 1, f: 1.0, s: 'a', l: [1, 2], d: date('2026-01-02'), t: time('01:02:03+01:00'), lt: localtime('01:02:03'),
  ldt: localdatetime('2026-01-02T03:04:05'), dt: datetime('2026-01-02T03:04:05[Europe/Zurich]'), du: duration({days: 1}),
  p: point({x: 1, y: 2}), z: 0.0}`;
/** Each of the nodes `Same` is as the other, but for what it is connected to. */
const GRAPH = [
  `CREATE (:A:B ${VALUES})`,
  "CREATE (:C {id: 1})-[:R {w: 1}]->(:C {id: 2})",
  "CREATE (a:Same), (b:Same), (c:Hub {n: 1}), (d:Hub {n: 2}), (a)-[:TO]->(c), (b)-[:TO]->(d)",
];

beforeAll(async () => {
  driver = openDriver(server);
  await server.wipe();
  await makeGraph(GRAPH);
  await run(driver, "CREATE CONSTRAINT c_id FOR (n:C) REQUIRE n.id IS UNIQUE");
  await run(driver, "CREATE FULLTEXT INDEX words FOR (n:A) ON EACH [n.s]");
  await run(driver, "CALL db.awaitIndexes(60)");
  before = await neo4jDigest(server);
});

afterAll(async () => {
  await driver?.close();
  await server.wipe();
});

async function makeGraph(statements: readonly string[]): Promise<void> {
  for (const statement of statements) await run(driver, statement);
  await run(driver, "MATCH (n:A) SET n.raw = $raw", { raw: Int8Array.from([0, -1]) });
}

/** Names of what differs from the digest before. */
async function changed(): Promise<string[]> {
  await run(driver, "CALL db.awaitIndexes(60)");
  const last = before;
  before = await neo4jDigest(server);
  return Object.keys(last).filter((name) => before[name] !== last[name]);
}

it("is the same for a graph that was made in another order", async () => {
  await run(driver, "MATCH (n) DETACH DELETE n");
  await makeGraph(GRAPH.toReversed());
  expect(await changed()).toEqual([]);
});

it.each<[what: string, cypher: string, names: string[]]>([
  ["an integer turned float", "MATCH (n:A) SET n.i = 1.0", ["nodes"]],
  ["a float turned integer", "MATCH (n:A) SET n.f = 1", ["nodes"]],
  ["the sign of zero", "MATCH (n:A) SET n.z = null WITH n SET n.z = -0.0", ["nodes"]],
  ["a list turned floats", "MATCH (n:A) SET n.l = [1.0, 2.0]", ["nodes"]],
  ["a date turned text", "MATCH (n:A) SET n.d = '2026-01-02'", ["nodes"]],
  ["a time's offset", "MATCH (n:A) SET n.t = time('00:02:03Z')", ["nodes"]],
  ["a nanosecond", "MATCH (n:A) SET n.lt = localtime('01:02:03.000000001')", ["nodes"]],
  ["a zone turned offset", "MATCH (n:A) SET n.dt = datetime('2026-01-02T03:04:05+01:00')", ["nodes"]],
  ["hours for a day", "MATCH (n:A) SET n.du = duration({hours: 24})", ["nodes"]],
  ["a point's system", "MATCH (n:A) SET n.p = point({longitude: 1, latitude: 2})", ["nodes"]],
  ["a label", "MATCH (n:A) REMOVE n:B", ["nodes"]],
  ["a relationship's property", "MATCH ()-[r:R]->() SET r.w = 1.0", ["relationships", "nodes"]],
  [
    "a relationship's direction",
    "MATCH (a)-[r:R]->(b) DELETE r CREATE (b)-[:R {w: 1}]->(a)",
    ["relationships", "nodes"],
  ],
  ["a relationship twice", "MATCH (a)-[r:R]->(b) CREATE (a)-[:R {w: 1}]->(b)", ["relationships", "nodes"]],
  [
    "which of two equal nodes is meant",
    "MATCH (a:Same)-[r]->(d:Hub {n: 2}), (b:Same)-->(:Hub {n: 1}) DELETE r CREATE (b)-[:TO]->(d)",
    ["nodes"],
  ],
  ["a constraint", "DROP CONSTRAINT c_id", ["constraints", "indexes"]],
  ["an index", "CREATE INDEX more FOR (n:A) ON (n.i)", ["indexes"]],
])("tells %s", async (_, cypher, names) => {
  await run(driver, cypher);
  expect(await changed()).toEqual(names);
});

it("tells an index's options", async () => {
  await run(driver, "DROP INDEX words");
  await run(
    driver,
    "CREATE FULLTEXT INDEX words FOR (n:A) ON EACH [n.s] OPTIONS {indexConfig: {`fulltext.analyzer`: 'english'}}",
  );
  expect(await changed()).toEqual(["indexes"]);
});

it("tells bytes turned text, and a lookup index that is gone", async () => {
  await run(driver, "MATCH (n:A) SET n.raw = '00ff'");
  const [lookup] = await run(
    driver,
    "SHOW INDEXES YIELD name, type, entityType WHERE type = 'LOOKUP' AND entityType = 'NODE' RETURN name",
  );
  const name = `\`${String(lookup!["name"])}\``;
  await run(driver, `DROP INDEX ${name}`);
  try {
    expect(await changed()).toEqual(["indexes", "nodes"]);
  } finally {
    await run(driver, `CREATE LOOKUP INDEX ${name} FOR (n) ON EACH labels(n)`);
  }
});
