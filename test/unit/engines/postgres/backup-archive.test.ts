/** The custom format of pg_dump in the layouts of PostgreSQL 12 to 19, and what is no whole dump. */
import { describe, expect, it } from "vitest";
import { DumpReader } from "../../../../src/engines/postgres/backup-archive.ts";

interface Entry {
  id: number;
  kind: string;
  name: string;
  hasData?: boolean;
}

const END = "\\.\n\n\n";
const ENTRIES: Entry[] = [
  { id: 1, kind: "ENCODING", name: "ENCODING" },
  { id: 2, kind: "TABLE", name: "users" },
  { id: 3, kind: "TABLE", name: "Ünï \n" },
  { id: 4, kind: "TABLE DATA", name: "users", hasData: true },
  { id: 5, kind: "TABLE DATA", name: "Ünï \n", hasData: true },
  { id: 6, kind: "BLOBS", name: "BLOBS", hasData: true },
];
const BLOCKS = [
  rows(4, ["1\tx\\ny\n", "2\t\\N\n", END]),
  // several rows in a piece, as PostgreSQL 18 writes them; the end is in two
  rows(5, ["a\nb\nc\n\\", ".\n\n\n"]),
  Buffer.concat([Buffer.of(3), int(6), int(16_400), piece("\\.\n\n\n"), int(0), int(16_401), int(0), int(0)]),
];

function int(value: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes[0] = value < 0 ? 1 : 0;
  bytes.writeUInt32LE(Math.abs(value), 1);
  return bytes;
}

function text(value: string | null): Buffer {
  return value === null ? int(-1) : piece(value);
}

function piece(value: string): Buffer {
  return Buffer.concat([int(Buffer.byteLength(value)), Buffer.from(value)]);
}

function rows(id: number, pieces: readonly string[]): Buffer {
  return Buffer.concat([Buffer.of(1), int(id), ...pieces.map(piece), int(0)]);
}

function entry(minor: number, { id, kind, name, hasData = false }: Entry): Buffer {
  return Buffer.concat([
    int(id),
    int(hasData ? 1 : 0),
    ...["1259", "16390", name, kind].map(text),
    int(3),
    ...["CREATE …;\n", null, "COPY … FROM stdin;\n", "public", "", null].map(text),
    ...(minor >= 16 ? [int(114)] : []),
    ...["postgres", "false", "2", "3", null].map(text),
    Buffer.of(hasData ? 1 : 3),
    Buffer.alloc(8),
  ]);
}

function dumpOf(minor: number, blocks: readonly Buffer[] = BLOCKS, compression = 0): Buffer {
  return Buffer.concat([
    Buffer.from("PGDMP"),
    Buffer.of(1, minor, 0, 4, 8, 1),
    minor >= 15 ? Buffer.of(compression) : int(compression),
    ...[1, 2, 3, 4, 5, 126, 0].map(int),
    ...["app", "15.18", "15.18"].map(text),
    int(ENTRIES.length),
    ...ENTRIES.map((one) => entry(minor, one)),
    ...blocks,
  ]);
}

function read(bytes: Buffer, size = bytes.length) {
  const reader = new DumpReader();
  for (let at = 0; at < bytes.length; at += size) reader.push(bytes.subarray(at, at + size));
  return reader.end();
}

const CONTENT = { tables: 2, rows: { "public.users": 2, "public.Ünï \n": 3 }, largeObjects: 2 };

describe("a dump in custom format", () => {
  it.each([14, 15, 16])("of version 1.%i is counted, however its bytes come", (minor) => {
    for (const size of [1, 2, 3, 7, 64, 10_000]) expect(read(dumpOf(minor), size)).toEqual(CONTENT);
  });

  it("that is compressed has no rows to count", () => {
    const blocks = [rows(4, ["\x78\x9c"]), rows(5, ["\x78"]), BLOCKS[2]!];
    expect(read(dumpOf(15, blocks, 1))).toEqual({ ...CONTENT, rows: undefined });
  });

  it("of a version that is not known yet is left to pg_restore", () => {
    expect(read(dumpOf(17))).toBeUndefined();
    expect(read(dumpOf(13))).toBeUndefined();
  });

  it("that is cut off at any byte is damaged", () => {
    const whole = dumpOf(16);
    for (let length = 0; length < whole.length; length++) {
      expect(() => read(whole.subarray(0, length)), `${length}`).toThrow(/ \(byte \d+\)$/);
    }
  });

  it.each([
    ["something behind its end", Buffer.concat([dumpOf(14), Buffer.of(0)]), "no block of data"],
    ["a block twice", dumpOf(14, [...BLOCKS, BLOCKS[0]!]), "that its table of contents does not have"],
    ["a block of an unknown entry", dumpOf(14, [rows(9, [END])]), "that its table of contents does not have"],
    [
      "rows without their end",
      dumpOf(14, [rows(4, ["1\n", "2\n"]), ...BLOCKS.slice(1)]),
      "public.users do not end",
    ],
    [
      "rows behind their end",
      dumpOf(14, [rows(4, [END, "2\n"]), ...BLOCKS.slice(1)]),
      "public.users do not end",
    ],
    ["a block less", dumpOf(14, BLOCKS.slice(0, 1)), "cut off before public.Ünï"],
    ["an impossible length", dumpOf(14, [Buffer.concat([Buffer.of(1), int(4), int(2 ** 31)])]), "impossible"],
    ["other bytes", Buffer.from("-- PostgreSQL database dump"), "no dump of pg_dump"],
    ["another format", Buffer.from("PGDMP\x01\x0e\x00\x04\x08\x03"), "another format"],
    ["other sizes", Buffer.from("PGDMP\x01\x0e\x00\x08\x08\x01"), "sizes"],
  ])("with %s is damaged", (_, bytes, message) => {
    expect(() => read(bytes)).toThrow(message);
    expect(() => read(bytes, 1)).toThrow(message);
  });
});
