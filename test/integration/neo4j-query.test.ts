/** Statements of an operator on a real Neo4j: what is refused, values, limits, plans. */
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { neo4jQuery } from "../../src/engines/neo4j/query.ts";
import type { QueryOptions } from "../../src/query/port.ts";
import { testCall } from "../support/calls.ts";
import { LIMITS, neo4jTarget, openNeo4j } from "../support/neo4j.ts";

const LABEL = `Query_${randomBytes(4).toString("hex")}`;
const { connection } = openNeo4j();
const count = async () =>
  (await connection.read<{ n: number }>(testCall(), `MATCH (n:${LABEL}) RETURN count(n) AS n`))[0]!.n;

function ask(text: string, options: Partial<QueryOptions> = {}, limits = LIMITS) {
  const target = neo4jQuery({ target: neo4jTarget(), limits });
  return target.query(testCall(), text, { write: false, explain: false, limit: 100, ...options });
}

beforeAll(async () => {
  await connection.command(testCall(), `CREATE (:${LABEL} {x: 1})`);
});

afterAll(async () => {
  await connection.command(testCall(), `MATCH (n:${LABEL}) DETACH DELETE n`);
  await connection.close();
});

describe("without --write nothing changes", () => {
  test.each([
    `CREATE (:${LABEL})`,
    `MERGE (:${LABEL} {x: 2})`,
    `MATCH (n:${LABEL}) SET n.x = 3`,
    `MATCH (n:${LABEL}) DETACH DELETE n`,
    `MATCH (n:${LABEL}) CALL (n) { DETACH DELETE n } IN TRANSACTIONS`,
    `UNWIND [1] AS x CALL { CREATE (:${LABEL}) } RETURN x`,
    `CREATE INDEX ${LABEL} FOR (n:${LABEL}) ON (n.x)`,
    `CREATE CONSTRAINT ${LABEL} FOR (n:${LABEL}) REQUIRE n.x IS UNIQUE`,
    "DROP INDEX nothing_at_all IF EXISTS",
    `CREATE USER ${LABEL} SET PASSWORD 'abcdefgh12'`,
    `CALL db.createLabel('${LABEL}')`,
    "CALL db.index.vector.createNodeIndex('v', 'L', 'p', 8, 'cosine')",
    "TERMINATE TRANSACTION 'neo4j-transaction-999999'",
    "SHOW TRANSACTIONS YIELD transactionId AS t /* x */ TERMINATE TRANSACTION t",
    "CALL db.resampleOutdatedIndexes()",
    "CALL `db`.`clearQueryCaches`()",
    "CALL db . prepareForReplanning(1)",
    "CALL dbms.killConnection('bolt-99999')",
    "CALL apoc.export.csv.all('x', {})",
    `PROFILE CREATE (:${LABEL})`,
  ])("%s", async (text) => {
    await expect(ask(text)).rejects.toMatchObject({
      code: "usage",
      hint: expect.stringContaining("--write"),
    });
    expect(await count()).toBe(1);
  });

  test.each([
    [`MATCH (n:${LABEL}) RETURN n.x AS terminate, 'TERMINATE TRANSACTION' AS transactions`, 1],
    [`CALL db.labels() YIELD label WHERE label = '${LABEL}' RETURN label`, 1],
    ["SHOW INDEXES YIELD name RETURN count(*) AS n", 1],
    ["CALL dbms.components()", 1],
    ["  // first\n RETURN 1 AS one ; // last", 1],
  ])("reads: %s", async (text, rows) => {
    expect((await ask(text)).rows).toHaveLength(rows);
  });
});

test.each([
  ["", "empty"],
  [" ; // nothing", "empty"],
  ["RETURN 1; RETURN 2", "several"],
  [":param x => 1", "cypher-shell"],
])("refused: %j", async (text, why) => {
  await expect(ask(text)).rejects.toMatchObject({ code: "usage", message: expect.stringContaining(why) });
});

describe("what comes back", () => {
  test.each<[string, unknown]>([
    ["9007199254740991", 9007199254740991],
    ["9007199254740993", "9007199254740993"],
    ["-9223372036854775807", "-9223372036854775807"],
    ["1.5", 1.5],
    ["0.0 / 0.0", "NaN"],
    ["null", null],
    ["'a\"b'", 'a"b'],
    ["[1, [true, null]]", [1, [true, null]]],
    ["{a: {b: 9007199254740993}}", { a: { b: "9007199254740993" } }],
    ["date('2026-01-02')", "2026-01-02"],
    ["datetime('2026-01-02T03:04:05Z')", "2026-01-02T03:04:05Z"],
    ["duration('P1DT2H')", "P1DT2H"],
    ["duration('P1D')", "P1D"],
    ["duration('P1M2DT3.5S')", "P1M2DT3.5S"],
    ["duration('P14M')", "P1Y2M"],
    ["duration('PT0S')", "PT0S"],
    ["duration('PT-0.5S')", "PT-0.5S"],
    ["duration('P-1Y-2M3DT-25H-1M-1.000000001S')", "P-1Y-2M3DT-25H-1M-1.000000001S"],
    ["duration({seconds: 9223372036})", "PT2562047H47M16S"],
    ["point({x: 1, y: 2.5})", { srid: 7203, x: 1, y: 2.5 }],
  ])("%s", async (expression, value) => {
    const { columns, rows } = await ask(`RETURN ${expression} AS value`);
    expect({ columns, rows }).toEqual({ columns: ["value"], rows: [[value]] });
  });

  test.each(["P1D", "P3M2DT3.5S", "PT-0.5S", "P-14M1DT-3661.25S", "PT0S", "P1W", "PT90M"])(
    "the duration %s is what the server writes",
    async (text) => {
      const { rows } = await ask(`WITH duration('${text}') AS d RETURN d, toString(d)`);
      expect(rows[0]![0]).toBe(rows[0]![1]);
    },
  );

  test("nodes, relationships, paths; columns in their order, also without rows", async () => {
    await ask(`CREATE (:${LABEL}_2 {x: 1})-[:R {y: 2}]->(:${LABEL}_2)`, { write: true });
    const { columns, rows } = await ask(`MATCH p = (a:${LABEL}_2)-[r]->(b) RETURN r, a AS \`2\`, p AS \`1\``);
    expect(columns).toEqual(["r", "2", "1"]);
    const [r, a, p] = rows[0] as [
      Record<string, unknown>,
      Record<string, unknown>,
      Record<string, unknown[]>,
    ];
    expect(a).toMatchObject({ labels: [`${LABEL}_2`], properties: { x: 1 }, id: expect.any(String) });
    expect(r).toMatchObject({ type: "R", properties: { y: 2 }, start: a["id"] });
    expect(p["nodes"]).toHaveLength(2);
    expect(p["relationships"]).toEqual([r]);
    const removed = await ask(`MATCH (n:${LABEL}_2) DETACH DELETE n`, { write: true });
    expect(removed).toMatchObject({ rows: [], changed: 3 });
    expect(await ask(`MATCH (n:${LABEL}_2) RETURN n.a AS a, n.b AS b`)).toEqual({
      columns: ["a", "b"],
      rows: [],
      truncated: false,
      changed: null,
    });
  });

  test("a limit stops the server; a billion rows are not read", async () => {
    const { rows, truncated } = await ask("UNWIND range(1, 1000000000) AS x RETURN x", { limit: 3 });
    expect({ rows, truncated }).toEqual({ rows: [[1], [2], [3]], truncated: true });
    expect(await ask("UNWIND range(1, 3) AS x RETURN x", { limit: 3 })).toMatchObject({ truncated: false });
  });

  test("a write is carried out to its end whatever the limit shows", async () => {
    const text = `UNWIND range(1, 2000) AS x CREATE (n:${LABEL}_3) RETURN x`;
    expect(await ask(text, { write: true, limit: 2 })).toMatchObject({
      rows: [[1], [2]],
      truncated: true,
      changed: 4000,
    });
    const removal = `MATCH (n:${LABEL}_3) CALL (n) { DELETE n } IN TRANSACTIONS OF 500 ROWS`;
    expect(await ask(removal, { write: true })).toMatchObject({ changed: 2000 });
  });

  test("schema is written outside of a transaction of ours", async () => {
    const made = await ask(`CREATE INDEX ${LABEL} FOR (n:${LABEL}) ON (n.x)`, { write: true });
    expect(made.changed).toBe(1);
    expect((await ask(`DROP INDEX ${LABEL}`, { write: true })).changed).toBe(1);
  });
});

describe("the plan", () => {
  test.each([`MATCH (n:${LABEL} {x: 1}) RETURN n`, `EXPLAIN MATCH (n:${LABEL} {x: 1}) RETURN n`])(
    "%s",
    async (text) => {
      const plan = await ask(text, { explain: true });
      expect(plan.columns).toEqual(["operator", "details", "estimated_rows"]);
      expect(plan.rows[0]).toEqual(["ProduceResults", "n", expect.any(Number)]);
      expect(plan.rows.map(([operator]) => String(operator).trim())).toContain("NodeByLabelScan");
    },
  );

  test("of a write runs nothing, of PROFILE is refused", async () => {
    await ask(`CREATE (:${LABEL})`, { explain: true });
    expect(await count()).toBe(1);
    await expect(ask("PROFILE RETURN 1", { explain: true })).rejects.toMatchObject({ code: "usage" });
  });
});

describe("errors", () => {
  test.each([
    [false, "RETURN 1 +\n FOO(", "line 2"],
    [true, "MATCH (n RETURN n", "line 1, column 10 (offset: 9)"],
    [false, "MATCH (n RETURN n", "line 1, column 10 (offset: 9)"],
    [false, "RETURN $x", "x"],
    [false, "RETURN 1 / 0", "/ by zero"],
  ])("in the server's words, explain %j: %s", async (explain, text, said) => {
    await expect(ask(text, { explain })).rejects.toMatchObject({
      code: "failed",
      message: expect.stringContaining(said),
    });
  });

  test("too slow: ended by the server, nothing runs on", async () => {
    const slow = "UNWIND range(1, 100000000000) AS x RETURN count(x) AS forever";
    await expect(ask(slow, {}, { ...LIMITS, queryMs: 300 })).rejects.toMatchObject({ engine: "neo4j" });
    const running =
      "SHOW TRANSACTIONS YIELD currentQuery WHERE currentQuery ENDS WITH 'forever' RETURN 1 AS n";
    await expect.poll(() => connection.read(testCall(), running), { timeout: 10_000 }).toEqual([]);
  });

  test("nobody there", async () => {
    const target = neo4jTarget({ url: "bolt://127.0.0.1:1" });
    const query = neo4jQuery({ target, limits: LIMITS });
    await expect(
      query.query(testCall(), "RETURN 1", { write: false, explain: false, limit: 1 }),
    ).rejects.toMatchObject({ code: "unreachable" });
  });
});
