import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Driver } from "neo4j-driver";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { findTools } from "../../scripts/services/tools.ts";
import type { FileKind } from "../../src/backup/port.ts";
import { neo4j as engine } from "../../src/engines/neo4j/engine.ts";
import { testCall } from "../support/calls.ts";
import { startProxy } from "../support/proxy.ts";
import { freePort, neo4jServer } from "../support/servers.ts";
import { backup, graphOf, openDriver, partOf, run, targetOf } from "./graph-kit.ts";

const server = neo4jServer();
let driver: Driver;

beforeAll(() => {
  driver = openDriver(server);
});

afterAll(async () => {
  await driver?.close();
  await server.wipe();
});

beforeEach(() => server.wipe());

/** What Cypher makes, and what the file has of it. */
const VALUES: readonly (readonly [string, string])[] = [
  ["0", "0"],
  ["-1", "-1"],
  ["-17", "-17"],
  ["127", "127"],
  ["128", "128"],
  ["-129", "-129"],
  ["32767", "32767"],
  ["2147483647", "2147483647"],
  ["2147483648", "2147483648"],
  ["-2147483649", "-2147483649"],
  ["9007199254740991", "9007199254740991"],
  ["-9007199254740991", "-9007199254740991"],
  ["9007199254740992", '{"int":"9007199254740992"}'],
  ["9223372036854775807", '{"int":"9223372036854775807"}'],
  ["-9223372036854775808", '{"int":"-9223372036854775808"}'],
  ["1.0", "1.0"],
  ["-0.0", "-0.0"],
  ["0.1", "0.1"],
  ["1e21", "1e+21"],
  ["5e-324", "5e-324"],
  ["1.7976931348623157e308", "1.7976931348623157e+308"],
  ["NaN", '{"float":"NaN"}'],
  ["Infinity", '{"float":"Infinity"}'],
  ["-Infinity", '{"float":"-Infinity"}'],
  ["true", "true"],
  ["false", "false"],
  ["''", '""'],
  ["'Zürich 漢字 😀'", '"Zürich 漢字 😀"'],
  [
    `'a"b\\\\c\\n\\t\\r\\b\\f\\u0000\\u001f\\u007f\\u2028/'`,
    '"a\\"b\\\\c\\n\\t\\r\\b\\f\\u0000\\u001f\u007f\u2028/"',
  ],
  ["date('1970-01-01')", '{"date":[0]}'],
  ["date('2020-02-29')", '{"date":[18321]}'],
  ["date('-999999999-01-01')", '{"date":[-365243219162]}'],
  ["date('+999999999-12-31')", '{"date":[365241780471]}'],
  ["localtime('00:00:01.000000002')", '{"localtime":[1000000002]}'],
  ["time('23:59:59.999999999-18:00')", '{"time":[86399999999999,-64800]}'],
  ["time({hour: 1, timezone: '+01:30:15'})", '{"time":[3600000000000,5415]}'],
  ["localdatetime('1969-12-31T23:59:59.5')", '{"localdatetime":[-1,500000000]}'],
  [
    "localdatetime('+999999999-12-31T23:59:59.999999999')",
    '{"localdatetime":[{"int":"31556889832780799"},999999999]}',
  ],
  ["datetime('2020-01-02T12:00:00.000000005+01:30')", '{"datetime":[1577961000,5,5400]}'],
  ["datetime('2020-01-02T12:00:00Z')", '{"datetime":[1577966400,0,0]}'],
  ["datetime('2020-01-02T12:00:00[Europe/Zurich]')", '{"datetime":[1577962800,0,"Europe/Zurich"]}'],
  // the hour that comes twice, once each
  ["datetime('2020-10-25T02:30:00+02:00[Europe/Zurich]')", '{"datetime":[1603585800,0,"Europe/Zurich"]}'],
  ["datetime('2020-10-25T02:30:00+01:00[Europe/Zurich]')", '{"datetime":[1603589400,0,"Europe/Zurich"]}'],
  ["duration({months: -1, days: 2, seconds: -3, nanoseconds: 5})", '{"duration":[-1,2,-3,5]}'],
  ["duration({seconds: 9007199254740993})", '{"duration":[0,0,{"int":"9007199254740993"},0]}'],
  ["point({x: 1, y: -2.5})", '{"point":[7203,1.0,-2.5]}'],
  ["point({x: 1, y: -2.5, z: 3})", '{"point":[9157,1.0,-2.5,3.0]}'],
  ["point({longitude: 8.5, latitude: 47.25})", '{"point":[4326,8.5,47.25]}'],
  ["point({longitude: 8.5, latitude: 47.25, height: 400})", '{"point":[4979,8.5,47.25,400.0]}'],
  ["[]", "[]"],
  ["[1, 2, 9223372036854775807]", '[1,2,{"int":"9223372036854775807"}]'],
  ["[1.0, NaN, -0.0]", '[1.0,{"float":"NaN"},-0.0]'],
  ["['a', '', 'ü']", '["a","","ü"]'],
  ["[true, false]", "[true,false]"],
  ["[date('2020-01-02'), date('2020-01-03')]", '[{"date":[18263]},{"date":[18264]}]'],
  ["[duration({days: 1})]", '[{"duration":[0,1,0,0]}]'],
  ["[point({x: 1, y: 2})]", '[{"point":[7203,1.0,2.0]}]'],
  ["[i IN range(1, 300) | i]", `[${Array.from({ length: 300 }, (_, i) => i + 1)}]`],
];

async function makeValues(): Promise<void> {
  const nodes = VALUES.map(([cypher], i) => `(:Value {i: ${i}, v: ${cypher}})`);
  await run(driver, `CREATE ${nodes.join(", ")}`);
}

/** Names that need escaping, nodes and relationships that differ in nothing, self-loops. */
async function makeOddGraph(): Promise<void> {
  const names = "`a``b\\u005Cu0041\"'c ü`";
  await run(driver, `CREATE (:${names}:B {${names}: 1})-[:${names} {${names}: 'x\\\\u0041'}]->(:C)`);
  await run(driver, "CREATE (a), (b), (a)-[:R]->(b), (a)-[:R]->(b), (a)-[:R]->(a)");
  await run(driver, "CREATE (:Long {text: $text, chars: $chars})", {
    text: "x".repeat(200_000),
    chars: '\u0001"'.repeat(40_000),
  });
  await run(driver, "CREATE CONSTRAINT c_id FOR (n:C) REQUIRE n.id IS UNIQUE");
  await run(driver, `CREATE INDEX odd FOR (n:${names}) ON (n.${names})`);
  await run(
    driver,
    "CREATE FULLTEXT INDEX words FOR (n:Long) ON EACH [n.text] OPTIONS {indexConfig: {`fulltext.analyzer`: 'english'}}",
  );
}

async function parsed(kind: FileKind, text: string | Buffer) {
  const parse = await engine.capabilities.parseBackup!();
  const content = (async function* () {
    yield Buffer.from(text);
  })();
  return parse(testCall(), {
    path: "neo4j/neo4j",
    kind,
    size_bytes: text.length,
    content,
    scratch: tmpdir(),
  });
}

describe("the NDJSON of a graph", () => {
  it("has every type of property exactly", async () => {
    await makeValues();
    await run(driver, "CREATE (:Value {i: $i, v: $bytes})", {
      i: 999,
      bytes: Int8Array.from([0, 1, -1, 127]),
    });
    const { lines, copied } = await backup(await partOf(targetOf(server)));
    const found = new Map<number, string>();
    for (const line of lines.filter((text) => text.startsWith('{"type":"node"'))) {
      const number = Math.trunc((JSON.parse(line) as { properties: { i: number } }).properties.i);
      found.set(number, /"v":(.*?)(,"i":[\d.]+)?\}\}$/s.exec(line)![1]!);
    }
    for (const [i, [cypher, json]] of VALUES.entries()) expect(found.get(i), cypher).toBe(json);
    expect(found.get(999)).toBe('{"bytes":"AAH/fw=="}');
    expect(copied).toMatchObject({
      consistency: "consistent",
      reason: null,
      counts: { nodes: VALUES.length + 1 },
    });
    expect(await parsed("neo4j-ndjson", lines.map((line) => `${line}\n`).join(""))).toMatchObject({
      counts: copied.counts,
      breakdown: copied.breakdown,
    });
  });

  it("has nodes without anything, parallel relationships, self-loops, odd names, values larger than a chunk, and the schema", async () => {
    await makeOddGraph();
    const { lines, copied } = await backup(await partOf(targetOf(server)));
    expect(copied.counts).toEqual({ nodes: 5, relationships: 4, constraints: 1, indexes: 2 });
    expect(copied.breakdown).toEqual({
      ":B": 1,
      ":C": 1,
      ":Long": 1,
      ":a`b\\u0041\"'c ü": 1,
      "[:R]": 3,
      "[:a`b\\u0041\"'c ü]": 1,
    });
    expect(await parsed("neo4j-ndjson", `${lines.join("\n")}\n`)).toMatchObject({
      counts: copied.counts,
      breakdown: copied.breakdown,
    });
    const long = lines.map((line) => JSON.parse(line)).find(({ labels }) => labels?.[0] === "Long");
    expect(long.properties).toEqual({ text: "x".repeat(200_000), chars: '\u0001"'.repeat(40_000) });
  });

  it("has the history of migrations and not their lock", async () => {
    await run(
      driver,
      "CREATE (:opsctl_lock:opsctl_lease {name: 'migrations'}), (:opsctl_migrations {version: '1'})",
    );
    const { copied, lines } = await backup(await partOf(targetOf(server)));
    expect(copied.breakdown).toEqual({ ":opsctl_migrations": 1 });
    expect(lines.join()).not.toContain("opsctl_lock");
  });

  it("of an empty database has no nodes", async () => {
    const { copied, lines } = await backup(await partOf(targetOf(server)));
    expect(copied.counts).toEqual({ nodes: 0, relationships: 0, constraints: 0, indexes: 0 });
    expect(lines.map((line) => JSON.parse(line).type)).toEqual(["header", "footer"]);
  });
});

describe("the script for cypher-shell", () => {
  it("makes an equal graph in an empty database", async () => {
    await makeValues();
    await makeOddGraph();
    await run(driver, "MATCH (v:Value), (c:C) CREATE (v)-[:TO {v: v.v}]->(c)");
    const before = await backup(await partOf(targetOf(server)));
    const script = await backup(await partOf(targetOf(server), { method: "cypher" }));
    expect([...script.files.keys()]).toEqual(["neo4j/neo4j.cypher"]);
    await server.wipe();
    await cypherShell(script.files.get("neo4j/neo4j.cypher")!.text);
    const after = await backup(await partOf(targetOf(server)));
    expect(graphOf(after.lines)).toEqual(graphOf(before.lines));
    expect(script.copied.counts).toEqual(before.copied.counts);
    expect((await parsed("neo4j-cypher", `${script.lines.join("\n")}\n`)).counts).toEqual(
      before.copied.counts,
    );
  });

  it("refuses bytes and says where they are", async () => {
    await run(driver, "CREATE (:Blob {raw: $bytes})", { bytes: Int8Array.from([1]) });
    const failed = backup(await partOf(targetOf(server), { method: "cypher" }));
    await expect(failed).rejects.toMatchObject({
      code: "failed",
      message: expect.stringContaining('bytes in the property "raw" of node'),
    });
  });
});

async function cypherShell(script: string): Promise<void> {
  const { java, neo4jLib } = await findTools();
  const folder = mkdtempSync(join(tmpdir(), "opsctl-shell-"));
  const file = join(folder, "graph.cypher");
  writeFileSync(file, script);
  const login = ["-a", server.uri, "-u", server.username, "-p", server.password];
  const args = [
    "-cp",
    join(neo4jLib!, "*"),
    "-XX:TieredStopAtLevel=1",
    // it reads files in the encoding of the locale
    "-Dfile.encoding=UTF-8",
    "org.neo4j.shell.Main",
    ...login,
    "-f",
    file,
  ];
  await promisify(execFile)(java!, args).finally(() => rmSync(folder, { recursive: true }));
}

describe("a server that does not answer", () => {
  it("refuses a wrong password: auth", async () => {
    const part = await partOf(targetOf(server, { password: "wrong" }));
    await expect(part.open(testCall())).rejects.toMatchObject({ code: "auth", engine: "neo4j" });
    await part.close();
  });

  it("is not there: unreachable", async () => {
    const part = await partOf(targetOf(server, { url: `bolt://127.0.0.1:${await freePort()}` }));
    await expect(part.open(testCall())).rejects.toMatchObject({ code: "unreachable" });
    await part.close();
  });

  it("has no such database", async () => {
    const part = await partOf(targetOf(server, { database: "none" }));
    await expect(part.open(testCall())).rejects.toMatchObject({
      code: "failed",
      message: expect.stringContaining("no such database"),
    });
    await part.close();
  });

  it.each([0, 1, 50, 3_000, 100_000])("is cut off %i bytes into the export: unreachable", async (bytes) => {
    await run(driver, "UNWIND range(1, 3000) AS i CREATE (:N {i: i, text: 'some text to read'})");
    const { proxy, url } = await throughProxy();
    try {
      const part = await partOf(targetOf(server, { url }));
      const cut = async () => proxy.limitData(bytes);
      await expect(backup(part, { between: cut })).rejects.toMatchObject({ code: "unreachable" });
    } finally {
      await proxy.close();
    }
  });

  it("falls silent in the middle: unreachable within the limit for an answer", async () => {
    await run(driver, "UNWIND range(1, 3000) AS i CREATE (:N {i: i})");
    const { proxy, url } = await throughProxy();
    try {
      const part = await partOf(targetOf(server, { url }), {}, { queryMs: 300 });
      const silence = async () => proxy.timeout();
      await expect(backup(part, { between: silence })).rejects.toMatchObject({ code: "unreachable" });
    } finally {
      await proxy.close();
    }
  });

  it("gives its answers in pieces of three bytes", async () => {
    await run(driver, "CREATE (:A {t: 'äöü'})-[:R]->(:B)");
    const { proxy, url } = await throughProxy();
    try {
      proxy.slicer(3);
      const { copied } = await backup(await partOf(targetOf(server, { url })));
      expect(copied).toMatchObject({ consistency: "consistent", counts: { nodes: 2, relationships: 1 } });
    } finally {
      await proxy.close();
    }
  });
});

async function throughProxy() {
  const { hostname, port } = new URL(server.uri);
  const proxy = await startProxy({ target: { host: hostname, port: Number(port) } });
  return { proxy, url: `bolt://127.0.0.1:${proxy.port}` };
}
