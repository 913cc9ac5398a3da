import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  MAX_TERM_FREQUENCY,
  MAX_TOKEN_BYTES,
  MAX_TOKEN_LENGTH,
  MAX_TOKENS,
  prepare,
  tokenize,
} from "../../../src/memory/analyze.ts";

/** Any text a JavaScript string can hold, lone surrogates included. */
const anyText = fc
  .array(fc.oneof(fc.integer({ min: 0, max: 0xffff }), fc.integer({ min: 0x20, max: 0x7e })), {
    maxLength: 200,
  })
  .map((units) => String.fromCharCode(...units));

const body = (content: string, details: string | null = null) => prepare({ key: "k", content, details });

describe("words", () => {
  test.each<[string, string[]]>([
    ["Running connections failed", ["run", "connect", "fail"]],
    ["the and of I don't", []],
    ["foo.bar/baz-qux:1", ["foo", "bar", "baz", "qux", "1"]],
    ["10.0.0.7:5432", ["10", "0", "0", "7", "5432"]],
    ["connectionTimeout", ["connectiontimeout", "connect", "timeout"]],
    ["parseHTTPResponse2xx", ["parsehttpresponse2xx", "pars", "http", "respons", "2", "xx"]],
    ["snake_case_name", ["snake_case_nam", "snake", "case", "name"]],
    ["x86_64", ["x86_64", "x", "86", "64"]],
    ["ECONNREFUSED", ["econnrefus"]],
    ["__ ___", []],
    // reserved for shapes
    ["see __s_0123456789abcdef", ["see", "0123456789", "abcdef"]],
    ["__S_0123456789ABCDEF __s_name", ["0123456789", "abcdef", "name"]],
    ["", []],
  ])("%s", (text, tokens) => expect(tokenize(text)).toEqual(tokens));

  test.each<[string, string, string[]]>([
    ["accents are dropped", "café Zürich naïve", ["cafe", "zurich", "naiv"]],
    ["composed or not, the same", "cafe\u0301", ["cafe"]],
    ["compatibility forms", "ﬁle Ⅷ ½", ["file", "viii", "1", "2"]],
    [
      "another script: code points, case ignored",
      "ОШИБКА ошибка",
      ["u43eu448u438u431u43au430", "u43eu448u438u431u43au430"],
    ],
    ["a script without spaces: one token a character", "東京", ["u6771", "u4eac"]],
    ["scripts in one word", "api接続error", ["api", "u63a5", "u7d9a", "error"]],
    ["emoji separate", "up🚀down-time", ["time"]],
  ])("%s", (_, text, tokens) => expect(tokenize(text)).toEqual(tokens));
});

describe("properties", () => {
  test("every token matches [a-z0-9_]{1,64}, whatever the text; nothing throws", () => {
    fc.assert(
      fc.property(fc.oneof(anyText, fc.string({ unit: "binary" })), (text) => {
        for (const token of tokenize(text)) expect(token).toMatch(/^[a-z0-9_]{1,64}$/);
      }),
    );
  });

  test("the tokens of two texts are the tokens of each, in order", () => {
    fc.assert(
      fc.property(anyText, anyText, (a, b) => {
        expect(tokenize(`${a} ${b}`)).toEqual([...tokenize(a), ...tokenize(b)]);
      }),
    );
  });

  test("the same text gives the same tokens, from the cache too; composed or not", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        const tokens = tokenize(text);
        expect(tokenize(text)).toEqual(tokens);
        expect(tokenize(text.normalize("NFC"))).toEqual(tokenize(text.normalize("NFD")));
      }),
    );
  });

  test("numbers and their tokens are the same: analyzing them again changes nothing", () => {
    fc.assert(
      fc.property(fc.nat(), (number) => {
        expect(tokenize(String(number))).toEqual([String(number)]);
      }),
    );
  });
});

describe("limits of a record", () => {
  test("a token of at most 64 characters", () => {
    expect(tokenize("z".repeat(500))).toEqual(["z".repeat(MAX_TOKEN_LENGTH)]);
    expect(tokenize("щ".repeat(500))[0]).toHaveLength(MAX_TOKEN_LENGTH);
  });

  test("one token counts at most 255 times, over key and text together", () => {
    const {
      title,
      body: tokens,
      titleLength,
      bodyLength,
    } = prepare({
      key: "issue:deadlock",
      content: "deadlock ".repeat(1000),
      details: "reboot",
    });
    expect({ title, titleLength }).toEqual({ title: "deadlock", titleLength: 1 });
    expect(bodyLength).toBe(MAX_TERM_FREQUENCY);
    expect(tokens.split(" ").filter((token) => token === "deadlock")).toHaveLength(MAX_TERM_FREQUENCY - 1);
    expect(tokens.endsWith(" reboot")).toBe(true);
  });

  test("at most 16,000 tokens", () => {
    const words = Array.from({ length: 20_000 }, (_, index) => String(index)).join(" ");
    const prepared = body(words);
    expect(prepared.titleLength + prepared.bodyLength).toBe(MAX_TOKENS);
    expect(prepared.body.split(" ")).toHaveLength(prepared.bodyLength);
  });

  test("at most 960,000 bytes: the largest record fits a tsvector", () => {
    const words = Array.from({ length: MAX_TOKENS }, (_, index) =>
      `${index}z`.padStart(MAX_TOKEN_LENGTH, "q"),
    );
    const { body: tokens, bodyLength } = body(words.join(" "));
    expect(tokens.length - (bodyLength - 1)).toBeLessThanOrEqual(MAX_TOKEN_BYTES);
    expect(bodyLength).toBeGreaterThan(1000);
  });

  test("title from the issue or the whole key, the key folded for comparison", () => {
    expect(prepare({ key: "issue:Connection", content: "c", details: null }).title).toBe("connect");
    expect(prepare({ key: "note:Connection", content: "c", details: null }).title).toBe("note connect");
    expect(prepare({ key: "issue:ÄRGER", content: "c", details: null }).foldedKey).toBe("issue:ärger");
  });
});
