import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Driver } from "neo4j-driver";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { findTools } from "../../scripts/services/tools.ts";
import { neo4j as engine } from "../../src/engines/neo4j/engine.ts";
import { testCall } from "../support/calls.ts";
import { startProxy } from "../support/proxy.ts";
import { neo4jServer } from "../support/servers.ts";
import { backup, graphOf, LIMITS, openDriver, partOf, run, targetOf } from "./graph-kit.ts";
import { type Material, materialOf, type Scene, sceneOf } from "./graph-restore-kit.ts";

const server = neo4jServer();
const target = targetOf(server);
let driver: Driver;
let scene: Scene | undefined;

beforeAll(() => {
  driver = openDriver(server);
});

afterAll(async () => {
  await driver?.close();
  await server.wipe();
});

beforeEach(() => server.wipe());
afterEach(() => scene?.remove());

/** A property of each type and its limits, as Cypher makes them. */
const VALUES = `[0, -1, -16, -17, 127, 128, -129, 32767, 2147483647, 2147483648, -2147483649, 9007199254740991, -9007199254740993,
  9223372036854775807, -9223372036854775808, 1.0, -0.0, 0.1, 1e21, 5e-324, 1.7976931348623157e308, NaN, Infinity, -Infinity, true, false,
  '', 'Zürich 漢字 😀', 'a"b\\\\c\\n\\t\\r\\b\\f\\u0000\\u001f\\u007f\\u2028/', 'sixteen chars ok', $long, $bytes,
  date('1970-01-01'), date('-999999999-01-01'), date('+999999999-12-31'), localtime('00:00:01.000000002'),
  time('23:59:59.999999999-18:00'), time({hour: 1, timezone: '+01:30:15'}), localdatetime('1969-12-31T23:59:59.5'),
  localdatetime('+999999999-12-31T23:59:59.999999999'), datetime('2020-01-02T12:00:00.000000005+01:30'),
  datetime('2020-10-25T02:30:00+02:00[Europe/Zurich]'), datetime('2020-10-25T02:30:00+01:00[Europe/Zurich]'),
  duration({months: -1, days: 2, seconds: -3, nanoseconds: 5}), duration({seconds: 9007199254740993}),
  point({x: 1, y: -2.5}), point({x: 1, y: -2.5, z: 3}), point({longitude: 8.5, latitude: 47.25}),
  point({longitude: 8.5, latitude: 47.25, height: 400})] AS values,
 [[], [1, 2, 9223372036854775807], [1.0, NaN, -0.0], ['a', '', 'ü'], [true, false], [date('2020-01-02')], [duration({days: 1})],
  [point({x: 1, y: 2})], range(1, 300)] AS lists`;

/** Values, odd names, nodes without anything, parallel relationships, self-loops, large values, and all kinds of schema that Community has. */
async function makeGraph(): Promise<void> {
  const params = {
    long: "x".repeat(70_000),
    bytes: Int8Array.from({ length: 300 }, (_, i) => (i % 256) - 128),
  };
  const make = `UNWIND range(0, size(values) - 1) AS i CREATE (:Value {i: i, v: values[i]})-[:HAS {v: values[i]}]->(:Single)`;
  await run(driver, `WITH ${VALUES} ${make}`, params);
  await run(
    driver,
    `WITH ${VALUES} UNWIND range(0, 8) AS i CREATE (:Value {i: 1000 + i, v: lists[i]})`,
    params,
  );
  const odd = "`a``b\\u005Cu0041\"'c ü`";
  await run(driver, `CREATE (:${odd}:B {${odd}: 1})-[:${odd} {${odd}: 'x\\\\u0041'}]->(:C {id: 1})`);
  await run(driver, "CREATE (a), (b), (a)-[:R]->(b), (a)-[:R]->(b), (a)-[:R]->(a)");
  await run(driver, "UNWIND range(1, 5001) AS i CREATE (:Many {i: i})-[:NEXT {i: i}]->(:Other:Many)");
  await run(driver, "CREATE (:opsctl_migrations {set_name: 'user', version: '1'})");
  for (const rule of [
    "CONSTRAINT c_id FOR (n:C) REQUIRE n.id IS UNIQUE",
    "CONSTRAINT r_id FOR ()-[r:R]-() REQUIRE r.id IS UNIQUE",
    `INDEX odd FOR (n:${odd}) ON (n.${odd})`,
    "INDEX next FOR ()-[r:NEXT]-() ON (r.i)",
    "TEXT INDEX texts FOR (n:B) ON (n.text)",
    "POINT INDEX points FOR (n:B) ON (n.place) OPTIONS {indexConfig: {`spatial.cartesian.min`: [-1.0, -1.0]}}",
    "FULLTEXT INDEX words FOR (n:B|C) ON EACH [n.text] OPTIONS {indexConfig: {`fulltext.analyzer`: 'english'}}",
    "VECTOR INDEX vectors FOR (n:B) ON (n.v) OPTIONS {indexConfig: {`vector.dimensions`: 3, `vector.similarity_function`: 'cosine'}}",
  ])
    await run(driver, `CREATE ${rule}`);
}

async function restored(material: Material): Promise<Scene> {
  scene = sceneOf([material]);
  const part = await scene.part(target);
  const call = testCall(120_000);
  await part.plan(call);
  await part.prepare(call);
  await part.swap(call);
  await part.close();
  return scene;
}

describe("an export of a graph", () => {
  it("comes back exactly, in place of what is there", async () => {
    await makeGraph();
    const before = await backup(await partOf(target));
    await server.wipe();
    await run(driver, "CREATE (:Wrong)-[:WRONG]->(:Wrong)");
    await run(driver, "CREATE CONSTRAINT wrong FOR (n:Wrong) REQUIRE n.id IS UNIQUE");
    const { part } = await restored(materialOf(before));
    const after = await backup(await partOf(target));
    expect(graphOf(after.lines)).toEqual(graphOf(before.lines));
    expect(after.copied.counts).toEqual(before.copied.counts);
    const again = await part(target);
    expect(await again.verify(testCall())).toEqual({
      counts: before.copied.counts,
      breakdown: before.copied.breakdown,
      problems: [],
      notes: [],
    });
    await again.close();
    expect(await run(driver, "MATCH (n:__opsctl_restore) RETURN n")).toEqual([]);
  });

  it("comes back in an empty database, which is empty again after going back", async () => {
    await run(driver, "CREATE (:A {i: 1})-[:R]->(:B)");
    await run(driver, "CREATE INDEX a FOR (n:A) ON (n.i)");
    const before = await backup(await partOf(target));
    await server.wipe();
    scene = sceneOf([materialOf(before)]);
    const part = await scene.part(target);
    expect(await part.plan(testCall())).toMatchObject({ undo: "empty", overwrites: "nothing" });
    await part.prepare(testCall());
    await part.requireWayBack(testCall());
    await part.rollback(testCall());
    expect(part.isTouched).toBe(false);
    await run(driver, "CREATE (:Meanwhile)");
    // what was never swapped stays
    await part.rollback(testCall());
    expect(await labels()).toEqual([{ label: "Meanwhile", n: 1 }]);
    // and what came where nothing was saved is not overwritten
    await expect(part.swap(testCall())).rejects.toMatchObject({
      code: "failed",
      message: expect.stringContaining("1 node"),
    });
    await run(driver, "MATCH (n:Meanwhile) DELETE n");
    await part.swap(testCall(60_000));
    expect(await labels()).toEqual([
      { label: "A", n: 1 },
      { label: "B", n: 1 },
    ]);
    await part.close();
    const another = await scene.part(target);
    // another process reads the file again
    await another.prepare(testCall());
    expect(another.isTouched).toBe(true);
    await another.requireWayBack(testCall());
    await another.rollback(testCall(60_000));
    expect(another.isTouched).toBe(false);
    expect(await labels()).toEqual([]);
    expect((await another.plan(testCall())).overwrites).toBe("nothing");
    await another.close();
  });

  it("may have its lines in other words, and each kind of number stays what it is", async () => {
    const spaced = `{ "format" : "opsctl-neo4j", "version":1, "type":"header" }
{"properties":{ "a" : [ 1 , 2 ] , "b":2.0 ,"p":{"point":[7203,8,2.5]}},"labels" : [ "\\u0041" ], "id":5,"type":"node"}
{"type":"node","labels":[],"properties":{},"id":0}
{"reltype":"T","end":0,"start":5,"id":1,"properties":{},"type":"relationship"}
{"type":"footer","nodes":2,"relationships":1,"constraints":0,"indexes":0}
`;
    const { part } = await restored({ kind: "neo4j-ndjson", content: spaced });
    const { lines } = await backup(await partOf(target));
    expect(graphOf(lines)).toEqual(
      [
        '"labels":["A"],"a":[1,2],"b":2.0,"p":{"point":[7203,8.0,2.5]}',
        '"labels":[],',
        '"labels":["A"],"a":[1,2],"b":2.0,"p":{"point":[7203,8.0,2.5]} -> "labels":[], "reltype":"T",',
        '{"type":"footer","nodes":2,"relationships":1,"constraints":0,"indexes":0}',
      ].sort(),
    );
    const again = await part(target);
    expect(await again.verify(testCall())).toMatchObject({
      counts: { nodes: 2, relationships: 1 },
      problems: [],
    });
    await again.close();
  });
});

const labels = () => run(driver, "MATCH (n) RETURN labels(n)[0] AS label, count(*) AS n ORDER BY label");

const HEADER =
  '{"type":"header","format":"opsctl-neo4j","version":1,"database":"neo4j","server_version":"5.26.30"}';
const footer = (nodes: number, relationships = 0, constraints = 0, indexes = 0) =>
  JSON.stringify({ type: "footer", nodes, relationships, constraints, indexes });
const fileOf = (...lines: string[]): Material => ({
  kind: "neo4j-ndjson",
  content: [HEADER, ...lines, ""].join("\n"),
});
const rule = (type: "constraint" | "index", statement: string) =>
  JSON.stringify({ type, name: "r", statement });

/** What is refused before anything is touched: in which phase, and what the message says. */
const REFUSED: Record<string, { file: Material; phase: "plan" | "prepare"; code: string; says: string }> = {
  "a key constraint on Community": {
    file: fileOf(
      rule("constraint", "CREATE CONSTRAINT `r` FOR (n:`A`) REQUIRE (n.`id`) IS NODE KEY"),
      footer(0, 0, 1),
    ),
    phase: "plan",
    code: "failed",
    says: 'the constraint "r" is a key constraint',
  },
  "an existence constraint on Community": {
    file: fileOf(
      rule("constraint", "CREATE CONSTRAINT `r` FOR (n:`A`) REQUIRE (n.`id`) IS NOT NULL"),
      footer(0, 0, 1),
    ),
    phase: "plan",
    code: "failed",
    says: "an existence constraint",
  },
  "a property type on Community": {
    file: fileOf(
      rule("constraint", "CREATE CONSTRAINT `r` FOR (n:`A`) REQUIRE (n.`UNIQUE`) IS :: STRING"),
      footer(0, 0, 1),
    ),
    phase: "plan",
    code: "failed",
    says: "a property type constraint",
  },
  "a statement that makes no schema": {
    file: fileOf(rule("index", "MATCH (n) DETACH DELETE n"), footer(0, 0, 0, 1)),
    phase: "plan",
    code: "integrity",
    says: "line 2: its statement does not make an index",
  },
  "two statements": {
    file: fileOf(rule("index", "CREATE INDEX r FOR (n:A) ON (n.i); MATCH (n) DELETE n"), footer(0, 0, 0, 1)),
    phase: "plan",
    code: "integrity",
    says: "line 2",
  },
  "a relationship without its end": {
    file: fileOf(
      '{"type":"node","id":1,"labels":[],"properties":{}}',
      '{"type":"relationship","id":1,"start":1,"end":2,"reltype":"R","properties":{}}',
      footer(1, 1),
    ),
    phase: "prepare",
    code: "integrity",
    says: "line 3: the relationship 1 ends at node 2",
  },
  "a cut file": {
    file: fileOf('{"type":"node","id":1,"labels":[],"properties":{}}'),
    phase: "prepare",
    code: "integrity",
    says: "cut off",
  },
  "counts that are not those of the metadata": {
    file: {
      ...fileOf('{"type":"node","id":1,"labels":["A"],"properties":{}}', footer(1)),
      expected: { counts: { nodes: 1 }, breakdown: { ":A": 2 } },
    },
    phase: "prepare",
    code: "integrity",
    says: ":A: it holds 1, and the metadata says 2",
  },
  "an export of half a restore": {
    file: fileOf('{"type":"node","id":1,"labels":["__opsctl_restore"],"properties":{}}', footer(1)),
    phase: "prepare",
    code: "integrity",
    says: "while a restore was under way",
  },
};

describe("a script for cypher-shell", () => {
  it("is run in place of what is there, and its password is in no argument", async () => {
    await run(driver, "CREATE (:A {t: 'Zürich', d: date('2020-01-01')})-[:R {f: -0.0}]->(), (:A:B)");
    await run(driver, "CREATE CONSTRAINT a FOR (n:A) REQUIRE n.t IS UNIQUE");
    const before = await backup(await partOf(target));
    const script = await backup(await partOf(target, { method: "cypher" }));
    await server.wipe();
    await run(driver, "CREATE (:Wrong)");
    scene = sceneOf([materialOf(script)], { cypherShell: await cypherShell() });
    const part = await scene.part(target);
    expect(await part.plan(testCall(60_000))).toMatchObject({
      undo: "safety",
      overwrites: "1 node, 0 relationships",
    });
    await part.prepare(testCall());
    const swapped = part.swap(testCall(60_000));
    const seen = argumentsUntil(swapped);
    await swapped;
    expect(await part.verify(testCall())).toMatchObject({ counts: before.copied.counts, problems: [] });
    expect(graphOf((await backup(await partOf(target))).lines)).toEqual(graphOf(before.lines));
    expect((await seen).some((line) => line.includes("org.neo4j.shell.Main"))).toBe(true);
    expect((await seen).join("\n")).not.toContain(server.password);
    await part.close();
  });

  it("is refused where there is no cypher-shell", async () => {
    scene = sceneOf([{ kind: "neo4j-cypher", content: "" }], { cypherShell: "/nowhere/cypher-shell" });
    const part = await scene.part(target);
    await expect(part.plan(testCall())).rejects.toMatchObject({
      code: "failed",
      message: expect.stringContaining("/nowhere/cypher-shell"),
    });
    await part.close();
  });
});

async function cypherShell(): Promise<string> {
  const { java, neo4jLib } = await findTools();
  return `${java} -cp ${join(neo4jLib!, "*")} -XX:TieredStopAtLevel=1 org.neo4j.shell.Main`;
}

/** Command lines of our children while something is under way. */
async function argumentsUntil(work: Promise<unknown>): Promise<string[]> {
  const lines = new Set<string>();
  let isOver = false;
  const over = () => {
    isOver = true;
  };
  work.then(over, over);
  while (!isOver) {
    for (const pid of childrenOf(process.pid)) lines.add(read(`/proc/${pid}/cmdline`).replaceAll("\0", " "));
    await new Promise((resolve) => setImmediate(resolve));
  }
  return [...lines];
}

function childrenOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    read(`/proc/${pid}/task/${task}/children`)
      .split(" ")
      .filter((child) => child !== ""),
  );
}

/** Empty for what is gone. */
function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

describe("what is refused before anything is touched", () => {
  it.each(Object.entries(REFUSED))("%s", async (_, { file, phase, code, says }) => {
    await run(driver, "CREATE (:Live)");
    scene = sceneOf([file]);
    const part = await scene.part(target);
    if (phase === "prepare") await part.plan(testCall());
    await expect(part[phase](testCall())).rejects.toMatchObject({
      code,
      message: expect.stringContaining(says),
    });
    expect(await labels()).toEqual([{ label: "Live", n: 1 }]);
    await part.close();
  });

  it("while migrations run there", async () => {
    const later = "datetime().epochMillis + 60000";
    await run(
      driver,
      `CREATE (:opsctl_lock {name: 'migrations', holder: 'x', owner: 'ann@host', expires_at: ${later}})`,
    );
    scene = sceneOf([fileOf(footer(0))]);
    const part = await scene.part(target);
    await expect(part.plan(testCall())).rejects.toMatchObject({ code: "locked" });
    await expect(part.swap(testCall())).rejects.toMatchObject({
      message: expect.stringContaining("ann@host"),
    });
    await part.close();
  });
});

const MANY = 12_000;
/** Takes several batches of nodes and of relationships. */
const large = () =>
  fileOf(
    ...Array.from(
      { length: MANY },
      (_, id) => `{"type":"node","id":${id},"labels":["N"],"properties":{"i":${id}}}`,
    ),
    ...Array.from(
      { length: MANY },
      (_, id) =>
        `{"type":"relationship","id":${id},"start":${id},"end":${(id * 7) % MANY},"reltype":"R","properties":{}}`,
    ),
    footer(MANY, MANY),
  );

const isLoading = async () => (await run(driver, "MATCH (n:N) RETURN count(n) AS n"))[0]!["n"] > 0;

describe("a restore that is cut off in the middle", () => {
  it.each(["resetPeer", "timeout"] as const)(
    "by its connection (%s): is told, leaves its mark, and begins again",
    async (fault) => {
      scene = sceneOf([large()]);
      const { hostname, port } = new URL(server.uri);
      const proxy = await startProxy({ target: { host: hostname, port: Number(port) } });
      try {
        const part = await scene.part(
          { ...target, url: `bolt://127.0.0.1:${proxy.port}` },
          { connectMs: 1_000, queryMs: 1_000 },
        );
        await part.prepare(testCall(60_000));
        const swapped = part.swap(testCall(120_000)).then(
          () => undefined,
          (error: unknown) => error,
        );
        await expect.poll(isLoading, { timeout: 60_000 }).toBe(true);
        await proxy[fault]();
        expect(await swapped).toMatchObject({
          engine: "neo4j",
          code: expect.stringMatching(/^(unreachable|unknown_outcome)$/),
        });
        await part.close();
      } finally {
        await proxy.close();
      }
      expect(scene.saved()).toEqual({ undo: "empty", state: "begun" });
      const another = await scene.part(target);
      expect((await another.plan(testCall())).notes.join()).toContain(
        "a restore (1a2b3c4d) did not get to its end",
      );
      expect((await another.verify(testCall())).problems.join()).toContain("the mark of a restore");
      await another.swap(testCall(120_000));
      expect(await another.verify(testCall())).toMatchObject({
        counts: { nodes: MANY, relationships: MANY },
        problems: [],
      });
      await another.close();
    },
  );
});

describe("a drill", () => {
  const drill = (files: readonly Material[], to: typeof target | undefined) => {
    scene = sceneOf(files);
    return engine.capabilities.drill!(testCall(60_000), scene.task, to, LIMITS, undefined);
  };
  const good = () => fileOf('{"type":"node","id":1,"labels":["A"],"properties":{"i":1}}', footer(1));
  const failing = () =>
    fileOf(
      rule("constraint", "CREATE CONSTRAINT `r` FOR (n:`A`) REQUIRE (n.`i`) IS UNIQUE"),
      '{"type":"node","id":1,"labels":["A"],"properties":{"i":1}}',
      '{"type":"node","id":2,"labels":["A"],"properties":{"i":1}}',
      footer(2, 0, 1),
    );

  it("loads into the scratch server, compares, and leaves nothing there", async () => {
    expect(await drill([good()], target)).toMatchObject({
      loaded: true,
      counts: { nodes: 1 },
      breakdown: { ":A": 1 },
      problems: [],
    });
    expect(await labels()).toEqual([]);
  });

  it("finds what only a server can find", async () => {
    expect((await drill([failing()], target)).problems).toEqual([
      expect.stringContaining('cannot have the constraint "r"'),
    ]);
    expect(await labels()).toEqual([]);
  });

  it("gives no verdict where the scratch server is to blame", async () => {
    const { file, says } = REFUSED["a key constraint on Community"]!;
    await expect(drill([file], target)).rejects.toMatchObject({
      code: "failed",
      message: expect.stringContaining(says),
    });
    expect(await labels()).toEqual([]);
  });

  it("finds a value that is too large for its index", async () => {
    const value = "x".repeat(40_000);
    const large = fileOf(
      rule("index", "CREATE INDEX `r` FOR (n:`A`) ON (n.`s`)"),
      `{"type":"node","id":1,"labels":["A"],"properties":{"s":"${value}"}}`,
      footer(1, 0, 0, 1),
    );
    expect((await drill([large], target)).problems).toEqual([expect.stringContaining("too large")]);
    expect(await labels()).toEqual([]);
  });

  it("refuses a server that holds somebody's data", async () => {
    await run(driver, "CREATE (:Somebodys)");
    await expect(drill([good()], target)).rejects.toMatchObject({
      code: "usage",
      message: expect.stringContaining("1 node"),
    });
    expect(await labels()).toEqual([{ label: "Somebodys", n: 1 }]);
  });

  it("replaces what a drill left that was killed", async () => {
    await run(driver, "CREATE (:__opsctl_restore {id: 'x', phase: 'drill'}), (:Left)");
    expect(await drill([good()], target)).toMatchObject({ loaded: true, problems: [] });
    expect(await labels()).toEqual([]);
  });

  it("without a scratch server reads the file and says that it was not loaded", async () => {
    const drilled = await drill([good()], undefined);
    expect(drilled).toMatchObject({ loaded: false, counts: { nodes: 1 }, problems: [] });
    expect(drilled.notes.join()).toContain("not loaded into a server");
  });

  it.each([
    "a relationship without its end",
    "a cut file",
    "counts that are not those of the metadata",
    "a statement that makes no schema",
  ])("without a scratch server finds %s", async (name) => {
    const { file, says } = REFUSED[name]!;
    const { problems, loaded } = await drill([file], undefined);
    expect(loaded).toBe(false);
    expect(problems).toEqual([expect.stringContaining(says)]);
  });
});
