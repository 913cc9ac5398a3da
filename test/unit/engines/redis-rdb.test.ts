import { describe, expect, test } from "vitest";
import { Crc64 } from "../../../src/engines/redis/rdb-crc64.ts";
import { RdbParser } from "../../../src/engines/redis/rdb-parser.ts";
import type { OpsError } from "../../../src/errors.ts";

type Piece = number | string | Uint8Array | Piece[];

/** Numbers are bytes, texts are plain strings of RDB (at most 63 characters). */
function bytes(...pieces: Piece[]): Buffer {
  return Buffer.concat(
    pieces.map((piece) => {
      if (typeof piece === "number") return Buffer.of(piece);
      if (typeof piece === "string") return Buffer.concat([Buffer.of(piece.length), Buffer.from(piece)]);
      return Array.isArray(piece) ? bytes(...piece) : Buffer.from(piece);
    }),
  );
}

const raw = (count: number) => Buffer.alloc(count, 0xee);

/** A file with these entries, with its end mark and checksum. */
function file(version: number, ...entries: Piece[]): Buffer {
  const head = Buffer.from(`REDIS${String(version).padStart(4, "0")}`);
  const body = bytes(head, ...entries, 255);
  if (version < 5) return body;
  const crc = new Crc64();
  crc.add(body, 0, body.length);
  return Buffer.concat([body, crc.bytes()]);
}

function parsed(content: Buffer, chunk = content.length): RdbParser {
  const parser = new RdbParser("the file");
  for (let at = 0; at < content.length; at += chunk) {
    parser.push(content.subarray(at, at + chunk));
  }
  parser.end();
  return parser;
}

function errorOf(work: () => unknown): OpsError {
  try {
    work();
  } catch (error) {
    return error as OpsError;
  }
  throw new Error("nothing was thrown");
}

describe("CRC-64", () => {
  test("of the check string is that of Redis' own test, in whatever pieces", () => {
    const text = Buffer.from("123456789");
    for (let cut = 0; cut <= text.length; cut++) {
      const crc = new Crc64();
      crc.add(text, 0, cut);
      crc.add(text, cut, text.length);
      expect(Buffer.from(crc.bytes()).readBigUInt64LE()).toBe(0xe9c6d914c4b8d9can);
    }
  });
});

const streamId = [1, 2];
const group = (version: number) => [
  1,
  "group",
  streamId,
  version > 1 ? [9] : [],
  // one pending, one consumer
  [1, raw(16), raw(8), 3],
  [1, "consumer", raw(8), version > 2 ? raw(8) : [], 1, raw(16)],
];
const stream = (version: number) => [
  [1, raw16String(), "listpack"],
  [5, streamId],
  version > 1 ? [streamId, streamId, 7] : [],
  group(version),
];
function raw16String(): Piece {
  return [16, raw(16)];
}

/** Type, its name, a value. */
const VALUES: [number, string, Piece][] = [
  [0, "string", "text"],
  [0, "string", [0xc0, 1]],
  [0, "string", [0xc1, 1, 2]],
  [0, "string", [0xc2, 1, 2, 3, 4]],
  [0, "string", [0xc3, 3, 20, raw(3)]],
  [0, "string", [0xc3, 0x40, 70, 0x80, 0, 0, 1, 0, raw(70)]],
  [0, "string", [0x40, 100, raw(100)]],
  [0, "string", [0x80, 0, 0, 0, 100, raw(100)]],
  [0, "string", [0x81, 0, 0, 0, 0, 0, 0, 0, 100, raw(100)]],
  [1, "list", [2, "a", "b"]],
  [2, "set", [1, "a"]],
  [3, "zset", [4, "a", 3, Buffer.from("1.5"), "b", 253, "c", 254, "d", 255]],
  [4, "hash", [1, "a", "b"]],
  [5, "zset", [1, "a", raw(8)]],
  [7, "module", [0x81, raw(8), [1, 5], [2, 0x40, 5], [3, raw(4)], [4, raw(8)], [5, "text"], 0]],
  [9, "hash", "zipmap"],
  [10, "list", "ziplist"],
  [11, "set", "intset"],
  [12, "zset", "ziplist"],
  [13, "hash", "ziplist"],
  [14, "list", [2, "ziplist", "ziplist"]],
  [15, "stream", stream(1)],
  [16, "hash", "listpack"],
  [17, "zset", "listpack"],
  [18, "list", [2, 1, "plain", 2, "listpack"]],
  [19, "stream", stream(2)],
  [20, "set", "listpack"],
  [21, "stream", stream(3)],
  [22, "hash", [2, 0, "field", "value", 0x81, raw(8), "field", "value"]],
  [23, "hash", "listpack"],
  [24, "hash", [raw(8), 2, 0, "field", "value", 9, "field", "value"]],
  [25, "hash", [raw(8), "listpack"]],
];

const ALL: Piece[] = [
  [250, "redis-ver", "8.0.0"],
  [245, "#!lua name=one"],
  [247, 0x81, raw(8), 2, 1, [2, 7], 0],
  [254, 0],
  [251, 0x40, 64, 1],
  [244, 1, 2, 3],
  ...VALUES.map(([type, , value], index): Piece => [type, `key:${index}`, value]),
  [254, 11],
  [252, raw(8), 248, 5, 0, "expires", "a"],
  [253, raw(4), 249, 7, 1, "expires too", 1, "a"],
  [0, "stays", "b"],
];

describe("an RDB file", () => {
  test("with every entry and type is counted, wherever the chunks end", () => {
    const content = file(12, ...ALL);
    for (const chunk of [content.length, 1, 2, 3, 7, 64]) {
      const { counts, checksum } = parsed(content, chunk);
      expect(checksum).toBe("right");
      expect(counts.totals()).toEqual({ keys: VALUES.length + 3, expires: 2, functions: 1, databases: 2 });
      expect(counts.breakdown()).toEqual({
        db0: VALUES.length,
        "db0.expires": 0,
        ...Object.fromEntries(
          ["string", "list", "set", "zset", "hash", "stream", "module"].map((type) => [
            `db0.${type}`,
            VALUES.filter(([, name]) => name === type).length,
          ]),
        ),
        db11: 3,
        "db11.expires": 2,
        "db11.string": 2,
        "db11.list": 1,
      });
    }
  });

  test.each(VALUES.map(([type, name, value]) => ({ type, name, value })))(
    "a $name of type $type ends where it ends",
    ({ type, name, value }) => {
      const content = file(12, [type, "key", value]);
      expect(parsed(content).counts.breakdown()).toMatchObject({ db0: 1, [`db0.${name}`]: 1 });
      for (let cut = 0; cut < content.length; cut++) {
        expect(errorOf(() => parsed(content.subarray(0, cut)))).toMatchObject({
          code: "integrity",
          message: `the file is damaged at byte ${cut}: it is cut off here`,
        });
      }
    },
  );

  test("every flipped bit is found", () => {
    const content = file(12, ...ALL);
    for (let bit = 0; bit < content.length * 8; bit++) {
      const flipped = Buffer.from(content);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      const error = errorOf(() => parsed(flipped));
      expect(error, `bit ${bit}`).toMatchObject({ code: "integrity", engine: "redis" });
    }
  });

  test("its end is where it says, and what follows is left", () => {
    const content = file(9, [0, "key", "value"]);
    const parser = new RdbParser("the file");
    expect(parser.push(Buffer.concat([content, Buffer.from("mark")]))).toBe(content.length);
    expect(parser.isDone).toBe(true);
    expect(parser.push(Buffer.from("more"))).toBe(0);
    expect(errorOf(() => parser.end()).message).toBe(
      `the file is damaged at byte ${content.length}: it goes on after its end`,
    );
  });

  test("without a checksum says so: a zero one, and versions before 5", () => {
    const zero = file(11, [0, "key", "value"]);
    zero.fill(0, zero.length - 8);
    expect(parsed(zero).checksum).toBe("absent");
    expect(parsed(file(4, [0, "key", "value"])).checksum).toBe("absent");
  });
});

describe("what is no RDB file", () => {
  const HUGE = [0x81, Buffer.alloc(8, 255)];
  const cases: [string, Buffer, string][] = [
    ["another kind of file", Buffer.from("PGDMP and so on"), "byte 0: it does not begin with REDIS"],
    ["a version of the future", file(81), "RDB version 81"],
    ["version 0", file(0), "RDB version 0"],
    ["an unknown opcode", file(11, 243), "byte 9: there is no entry of type 243"],
    ["an unknown type", file(11, [0, "k", "v"], 26, "k", "v"), "byte 14: there is no entry of type 26"],
    ["a string that begins with an unknown mark", file(11, 0, 0xc4), "byte 10: no string begins with 196"],
    ["a number that is encoded like a string", file(11, 1, "k", 0xc0), "byte 12: no number begins with 192"],
    ["a list node of an unknown kind", file(11, 18, "k", 1, 3, "x"), "byte 13: a node of a list"],
    ["an unknown module item", file(11, 7, "k", 1, 6), "byte 13: a module's item has the type 6"],
    ["a string longer than all files", file(11, 0, HUGE), "it is cut off here"],
    ["a compressed one", file(11, 0, "k", 0xc3, HUGE, HUGE), "it is cut off here"],
    ["a list with more elements than any", file(11, 1, "k", HUGE), "is damaged at byte"],
    ["nothing", Buffer.alloc(0), "byte 0: it is cut off here"],
  ];

  test.each(cases)("%s", (_, content, message) => {
    const error = errorOf(() => parsed(content));
    expect(error).toMatchObject({ code: "integrity", engine: "redis" });
    expect(error.message).toContain(message);
    expect(errorOf(() => parsed(content, 1)).message).toBe(error.message);
  });

  test("databases without end fill no memory", () => {
    const entries: Buffer[] = [];
    for (let number = 0; number < 65_537; number++) {
      const at = Buffer.alloc(5, 0x80);
      at.writeUInt32BE(number, 1);
      entries.push(bytes(254, at, 0, "k", "v"));
    }
    expect(errorOf(() => parsed(file(11, Buffer.concat(entries)))).message).toContain("too many databases");
  });
});
