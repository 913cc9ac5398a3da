import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Frames } from "../../../../src/engines/neo4j/bolt-frames.ts";
import { type Packable, packMessage } from "../../../../src/engines/neo4j/bolt-pack.ts";
import {
  Cursor,
  Float,
  Malformed,
  type Unpacked,
  unpack,
} from "../../../../src/engines/neo4j/bolt-unpack.ts";

/** Messages out of bytes that come in pieces of `size`. */
function framed(bytes: Buffer, size: number): Buffer[] {
  const frames = new Frames();
  const messages: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    frames.push(bytes.subarray(at, at + size));
    while (frames.next()) messages.push(Buffer.from(frames.bytes.subarray(frames.start, frames.end)));
  }
  return messages;
}

function unpacked(message: Buffer): Unpacked {
  const cursor = new Cursor().set(message, 0, message.length);
  const value = unpack(cursor);
  expect(cursor.at).toBe(message.length);
  return value;
}

/** What comes back for what was sent. */
function expected(value: Packable): Unpacked {
  if (typeof value === "number") return Number.isSafeInteger(value) ? value : new Float(value);
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(expected);
  return new Map(Object.entries(value).map(([key, item]) => [key, expected(item)]));
}

const packable = fc.letrec<{ value: Packable }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constant(null),
    fc.boolean(),
    fc.string({ unit: "binary", maxLength: 300 }),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.double().filter((number) => !Object.is(number, -0)),
    fc.array(tie("value"), { maxLength: 20 }),
    fc.dictionary(fc.string(), tie("value"), { maxKeys: 20, noNullPrototype: true }),
  ),
})).value;

describe("Bolt's messages", () => {
  it("come back as they were packed, in whatever pieces their bytes arrive", () => {
    fc.assert(
      fc.property(
        fc.array(packable, { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 1, max: 700 }),
        (values, size) => {
          const bytes = Buffer.concat(values.map((value) => packMessage(0x70, [value])));
          const messages = framed(bytes, size);
          expect(messages.map(unpacked)).toEqual(
            values.map((value) => ({ tag: 0x70, fields: [expected(value)] })),
          );
        },
      ),
      { numRuns: 200 },
    );
  });

  it.each([65_533, 65_534, 65_535, 65_536, 200_000])(
    "may be longer than a chunk: a text of %i bytes",
    (length) => {
      const text = "x".repeat(length);
      for (const size of [1_000, 65_536, 1 << 20]) {
        expect(framed(packMessage(1, [text]), size).map(unpacked)).toEqual([{ tag: 1, fields: [text] }]);
      }
    },
  );

  it("have nothing between them but empty chunks", () => {
    const bytes = Buffer.concat([
      Buffer.alloc(4),
      packMessage(1, [true]),
      Buffer.alloc(2),
      packMessage(1, [false]),
    ]);
    expect(framed(bytes, 3).map(unpacked)).toEqual([
      { tag: 1, fields: [true] },
      { tag: 1, fields: [false] },
    ]);
  });

  it("that are cut are malformed and never another value", () => {
    fc.assert(
      fc.property(packable, fc.nat(), (value, cut) => {
        const [message] = framed(packMessage(0x70, [value]), 1 << 20) as [Buffer];
        const end = cut % message.length;
        // what follows in the buffer is no part of the message
        const cursor = new Cursor().set(message, 0, end);
        expect(() => unpack(cursor)).toThrow(Malformed);
      }),
      { numRuns: 200 },
    );
  });

  it.each([
    ["a marker that is none", "c4"],
    ["a text as key that is a number", "a10101"],
    ["lists without an end", "91".repeat(100)],
    ["a list longer than the message", "d6ffffffff01"],
  ])("are refused: %s", (_, hex) => {
    const bytes = Buffer.from(hex, "hex");
    expect(() => unpack(new Cursor().set(bytes, 0, bytes.length))).toThrow(Malformed);
  });
});
