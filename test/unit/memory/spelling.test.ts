import { describe, expect, test } from "vitest";
import { lookFor, replacementsOf, unknownWords } from "../../../src/memory/spelling.ts";

const VOCABULARY = "connect postgr redi timeout refus kubernet certif deadlock lock clock memori connector"
  .split(" ")
  .map((term, index) => ({ term, df: 100 - index }));

describe("words that the index does not know", () => {
  test("are looked up longest first; short ones and known ones are not", () => {
    const weights = new Map(["ab", "known", "unknown", "timout", "xyzw"].map((word) => [word, 1]));
    expect(unknownWords(weights, new Map([["known", 3]]))).toEqual(["unknown", "timout", "xyzw"]);
  });

  test.each([
    ["conect", "connect"],
    ["postgress", "postgr"],
    ["timout", "timeout"],
    ["tiemout", "timeout"],
    ["redsi", "redi"],
    ["kube", "kubernet"],
    ["certifi", "certif"],
    ["dedlock", "deadlock"],
  ])("%s is taken for %s", (word, expected) => {
    const { pieces, lengths } = lookFor(word);
    // the store only sees what holds a piece and has about the length
    const seen = VOCABULARY.filter(
      ({ term }) =>
        pieces.some((piece) => term.includes(piece)) &&
        term.length >= lengths.min &&
        term.length <= lengths.max,
    );
    expect(replacementsOf(word, seen)[0]?.term).toBe(expected);
  });

  test.each(["banana", "xqzv", "zzzz"])("%s is taken for nothing", (word) => {
    expect(replacementsOf(word, VOCABULARY)).toEqual([]);
  });

  test("at most three, the most similar first, then the more frequent", () => {
    const list = replacementsOf("connec", [
      { term: "connecta", df: 1 },
      { term: "connectb", df: 9 },
      { term: "connect", df: 1 },
      { term: "connectc", df: 2 },
    ]);
    expect(list.map(({ term }) => term)).toEqual(["connect", "connectb", "connectc"]);
  });
});
