import { expect, test } from "vitest";
import { markWords, matchedWords } from "../../../src/memory/highlight.ts";

const bold = (word: string) => `<${word}>`;

test("marks whole words, whatever their inflection or case, and nothing else", () => {
  expect(markWords("Connections were refused; reconnect, CONNECTED!", ["connect", "refus"], bold)).toBe(
    "<Connections> were <refused>; reconnect, <CONNECTED>!",
  );
  expect(markWords("nothing of it $& $1", ["connect"], bold)).toBe("nothing of it $& $1");
});

test("names one word for each term, in the order of the terms", () => {
  const texts = ["issue:pool", "Connection refused, connections refused", "the pool"];
  expect(matchedWords(texts, ["refus", "connect", "pool", "absent"], 8)).toEqual([
    "refused",
    "connection",
    "pool",
  ]);
  expect(matchedWords(texts, ["refus", "connect", "pool"], 1)).toEqual(["refused"]);
  // both parts of one identifier are one word
  expect(matchedWords(["maxConnections"], ["maxconnect", "connect"], 8)).toEqual(["maxconnections"]);
});
