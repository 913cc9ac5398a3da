/** The pieces of a restore of Neo4j that need no server: values as bytes, ids on the disk, rules of the schema. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { PackSink } from "../../../src/engines/neo4j/bolt-sink.ts";
import { Cursor, type Unpacked, unpack } from "../../../src/engines/neo4j/bolt-unpack.ts";
import { JsonSink } from "../../../src/engines/neo4j/export-sink.ts";
import { IdMap } from "../../../src/engines/neo4j/restore-ids.ts";
import { type GraphLine, readGraph } from "../../../src/engines/neo4j/restore-lines.ts";
import { refusal } from "../../../src/engines/neo4j/restore-schema.ts";
import { JsonCursor, packProperties } from "../../../src/engines/neo4j/restore-values.ts";
import { testCall } from "../../support/calls.ts";

const folder = mkdtempSync(join(tmpdir(), "opsctl-pieces-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function packed(json: string): Unpacked {
  const cursor = new JsonCursor();
  const sink = new PackSink(1);
  cursor.bytes = Buffer.from(`${json}\n`);
  packProperties(cursor, sink);
  expect(cursor.at).toBe(cursor.bytes.length - 1);
  const { bytes, at } = sink;
  return unpack(new Cursor().set(bytes, 0, at));
}

describe("properties of the NDJSON as bytes for Bolt", () => {
  it("are the texts and integers that were written", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 300 }), fc.maxSafeInteger(), (text, integer) => {
        const value = packed(JSON.stringify({ [text]: text, "": [integer, integer] }));
        expect(value).toEqual(
          new Map<string, unknown>([
            [text, text],
            ["", [integer, integer]],
          ]),
        );
      }),
    );
  });

  it("are the floats that were written, to the bit", () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const sink = new JsonSink();
        sink.float(value);
        const [piece] = sink.takeRest();
        const found = packed(`{"f":${piece!.toString()}}`) as Map<string, { value: number }>;
        expect(found.get("f")!.value).toBe(value);
      }),
    );
  });

  it.each([
    ["{", "a property has no name"],
    ['{"a":1', "properties have no end"],
    ['{"a":"x', "a text has no end"],
    ['{"a":[1', "a list has no end"],
    ['{"a":[[1]]}', "no type of this format"],
    ['{"a":null}', "no type of this format"],
    ['{"a":{"year":[1]}}', "no type of this format"],
    ['{"a":9223372036854775808}', "more than 64 bits"],
  ])("refuses %s", (json, says) => {
    expect(() => packed(json)).toThrow(says);
  });
});

describe("the map of ids", () => {
  it("holds more than the memory that it may take", () => {
    const path = join(folder, "ids");
    const map = new IdMap(path, 3);
    const idOf = (n: number) => (n * 7_919) % 20_000;
    for (let n = 0; n < 10_000; n++) map.set(idOf(n), n);
    map.set(2 ** 40, 2 ** 41);
    expect(existsSync(path)).toBe(true);
    for (let n = 9_999; n >= 0; n--) expect(map.get(idOf(n))).toBe(n);
    expect(map.get(2 ** 40)).toBe(2 ** 41);
    expect([map.get(idOf(10_001)), map.get(2 ** 41)]).toEqual([undefined, undefined]);
    map.close();
    expect(existsSync(path)).toBe(false);
  });
});

describe("lines", () => {
  it.each([1, 700_000, 1_048_575, 1_048_576, 3_000_000])(
    "longer than a piece of the file are whole (%i bytes)",
    async (bytes) => {
      const text = "ü".repeat(bytes >> 1);
      const line = (id: number, value: string) =>
        `{"type":"node","id":${id},"labels":[],"properties":{"t":"${value}"}}\n`;
      const local = join(folder, "lines");
      writeFileSync(local, line(1, "a") + line(2, text) + line(3, text) + line(4, "b"));
      const found: [number, number][] = [];
      const take = ({ id, properties }: GraphLine) => {
        const map = unpack(new Cursor().set(properties.bytes, 0, properties.at)) as Map<string, string>;
        found.push([id, map.get("t")!.length]);
        return undefined;
      };
      await readGraph(testCall(), { path: "f", kind: "neo4j-ndjson", size_bytes: 0, local }, take);
      expect(found).toEqual([
        [1, 1],
        [2, text.length],
        [3, text.length],
        [4, 1],
      ]);
    },
  );

  it("that are no UTF-8 are refused", async () => {
    const local = join(folder, "bad");
    writeFileSync(local, Buffer.from('{"type":"node","id":1,"labels":["\xff"],"properties":{}}\n', "latin1"));
    const read = readGraph(
      testCall(),
      { path: "f", kind: "neo4j-ndjson", size_bytes: 0, local },
      () => undefined,
    );
    await expect(read).rejects.toMatchObject({
      code: "integrity",
      message: expect.stringContaining("no UTF-8"),
    });
  });
});

describe("a rule that only Enterprise has", () => {
  it.each([
    ["REQUIRE (n.`UNIQUE`) IS NOT NULL", "an existence constraint"],
    ["REQUIRE (n.`a`) IS :: INTEGER", "a property type constraint"],
    ["REQUIRE (n.`a`, n.`NULL`) IS NODE KEY", "a key constraint"],
    ["REQUIRE (n.`KEY`) IS UNIQUE", undefined],
  ])("%s", (rest, kind) => {
    const rule = {
      type: "constraint",
      name: "c",
      statement: `CREATE CONSTRAINT \`c\` FOR (n:\`A\`) ${rest}`,
    } as const;
    expect(refusal(rule, "community")).toBe(kind && `the constraint "c" is ${kind}`);
    expect(refusal(rule, "enterprise")).toBeUndefined();
  });
});
