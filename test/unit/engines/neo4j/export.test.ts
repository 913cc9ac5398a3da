import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { IdSet } from "../../../../src/engines/neo4j/export-ids.ts";
import { JsonSink } from "../../../../src/engines/neo4j/export-sink.ts";

function written(write: (sink: JsonSink) => void): string {
  const sink = new JsonSink();
  write(sink);
  return Buffer.concat(sink.takeRest()).toString("utf8");
}

describe("the sink of JSON", () => {
  it("writes every text as JSON.parse reads it", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 100 }), fc.nat(20_000), (text, times) => {
        const bytes = Buffer.from(text.repeat(1 + (times % 50)));
        expect(JSON.parse(written((sink) => sink.text(bytes, 0, bytes.length)))).toBe(bytes.toString("utf8"));
      }),
      { numRuns: 60 },
    );
  });

  it("writes every float as the same float, and never as an integer", () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const text = written((sink) => sink.float(value));
        expect(JSON.parse(text)).toBe(value);
        expect(text).toMatch(/[.e]/);
      }),
    );
  });

  it("writes every integer", () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (value) => {
        expect(written((sink) => sink.integer(value))).toBe(String(value));
      }),
    );
    for (const value of [0, 9, 10, 99, 100, 999_999_999, 2_147_483_647, 2_147_483_648]) {
      expect(written((sink) => sink.integer(value))).toBe(String(value));
    }
  });

  it("keeps the order of what it was given over the edges of its pieces", () => {
    const part = Buffer.from("0123456789".repeat(777));
    const bytes = Buffer.from([1, 2, 3, 255]);
    const all = (sink: JsonSink) => {
      for (let i = 0; i < 200; i++) {
        sink.raw(part);
        sink.byte(0x2c);
        sink.integer(i);
        sink.base64(bytes, 0, bytes.length);
      }
    };
    const one = Array.from({ length: 200 }, (_, i) => `${part.toString()},${i}"AQID/w=="`).join("");
    expect(written(all)).toBe(one);
  });
});

describe("a set of ids", () => {
  it("knows what was added, and that it was there already", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.nat(20_000), fc.nat(2 ** 40)), { maxLength: 500 }), (ids) => {
        const set = new IdSet();
        const truth = new Set<number>();
        for (const id of ids) {
          expect(set.add(id)).toBe(!truth.has(id));
          truth.add(id);
        }
        for (const id of ids) expect(set.has(id) && set.has(id + 1) === truth.has(id + 1)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });
});
