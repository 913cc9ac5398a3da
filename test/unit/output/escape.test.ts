import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { escapeCell, escapeText } from "../../../src/output/escape.ts";
import { age, bytes, outcome, percent } from "../../../src/output/human.ts";

/** C0, DEL, C1; bidirectional controls; line and paragraph separators; zero-width characters. */
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/;
const hostile = fc
  .array(
    fc.oneof(
      fc.integer({ min: 0, max: 0xa0 }),
      fc.integer({ min: 0x2000, max: 0x2070 }),
      fc.constantFrom(0x61c, 0xfeff),
      fc.integer({ min: 0, max: 0xffff }),
    ),
  )
  .map((units) => String.fromCharCode(...units));

describe("escapes", () => {
  test.each([
    ["\u001b[31mred\u001b[0m", "\\x1b[31mred\\x1b[0m"],
    ["over\rwritten", "over\\rwritten"],
    ["bell\u0007 nul\u0000 del\u007f csi\u009b", "bell\\x07 nul\\x00 del\\x7f csi\\x9b"],
    ["\u202egnp.exe\u2066\u200b\ufeff", "\\u202egnp.exe\\u2066\\u200b\\ufeff"],
    ["日本語 ü 🚀", "日本語 ü 🚀"],
  ])("%j", (text, escaped) => {
    expect(escapeText(text)).toBe(escaped);
    expect(escapeCell(text)).toBe(escaped);
  });

  test("tab and line feed stay in a text, and become escapes in a cell", () => {
    expect(escapeText("a\tb\nc")).toBe("a\tb\nc");
    expect(escapeCell("a\tb\nc")).toBe("a\\tb\\nc");
  });
});

describe("properties", () => {
  test("nothing that a terminal acts on is left", () => {
    fc.assert(
      fc.property(fc.oneof(hostile, fc.string({ unit: "binary" })), (text) => {
        expect(escapeCell(text)).not.toMatch(UNSAFE);
        expect(escapeText(text).replace(/[\t\n]/g, "")).not.toMatch(UNSAFE);
      }),
    );
  });

  test("escaping again changes nothing, and safe text stays as it is", () => {
    fc.assert(
      fc.property(hostile, (text) => {
        const cell = escapeCell(text);
        expect(escapeCell(cell)).toBe(cell);
        if (
          !/[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/.test(
            text,
          )
        )
          expect(cell).toBe(text);
      }),
    );
  });
});

describe("for people", () => {
  test.each([
    [-5, "0s"],
    [999, "0s"],
    [59_999, "59s"],
    [60_000, "1m"],
    [3_599_999, "59m"],
    [3_600_000, "1h"],
    [90_000_000, "1d"],
  ])("age %d → %s", (ms, text) => expect(age(ms)).toBe(text));

  test.each([
    [0, "0 B"],
    [1023, "1023 B"],
    [1536, "1.5 KiB"],
    [1024 ** 2, "1.0 MiB"],
    [5000 * 1024 ** 3, "4.9 TiB"],
  ])("bytes %d → %s", (count, text) => expect(bytes(count)).toBe(text));

  test("rates and outcomes", () => {
    expect([percent(null), percent(0), percent(0.826), percent(1)]).toEqual(["–", "0 %", "83 %", "100 %"]);
    expect([outcome(null), outcome(true), outcome(false)]).toEqual(["?", "✓", "✗"]);
  });
});
