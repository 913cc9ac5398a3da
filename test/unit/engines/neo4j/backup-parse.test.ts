import { describe, expect, it } from "vitest";
import type { FileKind } from "../../../../src/backup/port.ts";
import { parseNeo4jFile } from "../../../../src/engines/neo4j/backup-parse.ts";
import { testCall } from "../../../support/calls.ts";

const HEADER = '{"type":"header","format":"opsctl-neo4j","version":1}';
const CONSTRAINT = '{"type":"constraint","name":"c","statement":"CREATE CONSTRAINT"}';
const INDEX = '{"type":"index","name":"i","statement":"CREATE INDEX"}';
const node = (id: number, properties = "{}") =>
  `{"type":"node","id":${id},"labels":["A"],"properties":${properties}}`;
const relationship = (id: number, start: number, end: number) =>
  `{"type":"relationship","id":${id},"start":${start},"end":${end},"reltype":"R","properties":{}}`;
const footer = (nodes = 2, relationships = 1) =>
  `{"type":"footer","nodes":${nodes},"relationships":${relationships},"constraints":1,"indexes":1}`;
const GOOD = [HEADER, CONSTRAINT, INDEX, node(1), node(2), relationship(1, 1, 2), footer()];

function parse(kind: FileKind, text: string | Buffer, pieces = 7) {
  const bytes = Buffer.from(text as string);
  const content = (async function* () {
    for (let at = 0; at < bytes.length; at += pieces) yield bytes.subarray(at, at + pieces);
  })();
  return parseNeo4jFile(testCall(), {
    path: "neo4j/a",
    kind,
    size_bytes: bytes.length,
    content,
    scratch: "",
  });
}

const ndjson = (lines: readonly string[]) => parse("neo4j-ndjson", lines.map((line) => `${line}\n`).join(""));
/** GOOD with the line at `at` replaced by `lines`. */
const changed = (at: number, ...lines: string[]) => [...GOOD.slice(0, at), ...lines, ...GOOD.slice(at + 1)];

describe("the parser of NDJSON", () => {
  it("counts what is there", async () => {
    expect(await ndjson(GOOD)).toEqual({
      counts: { nodes: 2, relationships: 1, constraints: 1, indexes: 1 },
      breakdown: { ":A": 2, "[:R]": 1 },
    });
  });

  it.each<[string, string[], RegExp]>([
    ["nothing at all", [], /ends without its last line/],
    ["no footer", GOOD.slice(0, -1), /ends without its last line/],
    ["no header", GOOD.slice(1), /line 1: the file does not begin with its header/],
    ["another format", changed(0, '{"type":"header","format":"x","version":1}'), /not of the format/],
    ["a newer version", changed(0, '{"type":"header","format":"opsctl-neo4j","version":2}'), /has version 2/],
    ["two headers", changed(1, HEADER), /line 2: a header in the wrong place/],
    ["something behind the footer", [...GOOD, node(3)], /line 8: something stands behind the last line/],
    ["two footers", [...GOOD, footer()], /something stands behind/],
    ["a node too few", changed(4), /line 5: the relationship 1 ends at node 2, which is not there/],
    ["a relationship too few", changed(5), /line 6: the last line counts 1 relationships, and there are 0/],
    ["a node twice", changed(4, node(2), node(2)), /line 6: the node 2 is there twice/],
    ["a relationship twice", changed(5, relationship(1, 1, 2), relationship(1, 2, 1)), /is there twice/],
    [
      "a node behind the relationships",
      changed(4, relationship(1, 1, 1), node(2)),
      /line 6: a node in the wrong place/,
    ],
    ["an empty line", changed(4, ""), /line 5: it is no JSON/],
    ["half a line", changed(4, node(2).slice(0, 20)), /line 5: it is no JSON/],
    ["a line that is no object", changed(4, "[1]"), /it has no type/],
    ["a type that is none", changed(4, '{"type":"other"}'), /its type is unknown/],
    ["an id that is none", changed(4, node(-1)), /id is no id/],
    ["an id that is a fraction", changed(4, node(1.5)), /id is no id/],
    [
      "a constraint without a statement",
      changed(1, '{"type":"constraint","name":"c"}'),
      /has no name or no statement/,
    ],
    ["no properties", changed(4, node(2, "null")), /the properties are no object/],
    ...[
      "null",
      "{}",
      "[[1]]",
      "[null]",
      '{"int":"1.5"}',
      '{"int":"9223372036854775808"}',
      '{"float":"1"}',
      '{"date":["x"]}',
      '{"date":[1,2]}',
      '{"datetime":[1,2]}',
      '{"duration":[1,2,3]}',
      '{"point":[1,2]}',
      '{"bytes":"a"}',
      '{"bytes":"====" }',
      '{"other":1}',
      '{"date":[1],"int":"1"}',
    ].map((value): [string, string[], RegExp] => [
      `the value ${value}`,
      changed(4, node(2, `{"p":${value}}`)),
      /line 5: the property "p" is of no type/,
    ]),
  ])("refuses %s", async (_, lines, message) => {
    await expect(ndjson(lines)).rejects.toMatchObject({
      code: "integrity",
      message: expect.stringMatching(message),
    });
  });

  it("refuses a file that is cut at whatever byte", async () => {
    const text = `${GOOD.join("\n")}\n`;
    for (let end = 0; end < text.length; end++) {
      await expect(parse("neo4j-ndjson", text.slice(0, end), 64), String(end)).rejects.toMatchObject({
        code: "integrity",
      });
    }
  });
});

describe("the parser of scripts and dumps", () => {
  const first = '// opsctl-neo4j-cypher 1 {"database":"neo4j"}';
  const last = '// opsctl-neo4j-cypher end {"nodes":1,"relationships":0,"constraints":0,"indexes":0}';

  it("takes a script with its first and last line", async () => {
    expect((await parse("neo4j-cypher", `${first}\nRETURN 1;\n${last}\n`)).counts).toMatchObject({
      nodes: 1,
    });
  });

  it.each<[string, FileKind, string, RegExp]>([
    ["a script that is cut", "neo4j-cypher", `${first}\nRETURN 1;\n`, /cut off/],
    ["a script cut in its last line", "neo4j-cypher", `${first}\n${last}`, /cut off/],
    ["a foreign script", "neo4j-cypher", `RETURN 1;\n${last}\n`, /line 1 is not/],
    [
      "a script with something behind",
      "neo4j-cypher",
      `${first}\n${last}\nRETURN 1;\n`,
      /line 3: something stands behind/,
    ],
    ["a script without counts", "neo4j-cypher", `${first}\n// opsctl-neo4j-cypher end [-1]\n`, /no counts/],
    ["an empty dump", "neo4j-dump", "", /does not begin like a dump/],
    ["a foreign dump", "neo4j-dump", "PGDMP", /does not begin like a dump/],
  ])("refuses %s", async (_, kind, text, message) => {
    await expect(parse(kind, text)).rejects.toMatchObject({
      code: "integrity",
      message: expect.stringMatching(message),
    });
  });
});
