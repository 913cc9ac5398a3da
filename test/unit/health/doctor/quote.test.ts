import { execFileSync } from "node:child_process";
import { expect, it } from "vitest";
import { commandLine } from "../../../../src/commands/doctor-quote.ts";

const WORDS = [
  "plain-word_1.2:/@%+=,",
  "",
  "two words",
  "it's",
  '"double"',
  "$HOME `id` $(id) !x",
  "back\\slash \\n",
  "a;b|c&d>e<f*?[g]{h}~#",
  "line\nbreak",
  "tab\tand\rreturn",
  "bell\u0007 escape\u001b[31m",
  "quote'and\nbreak\\",
  "grün 名前 😀",
  "right-to-left \u202e and zero\u200bwidth",
  "c1 \u009b31m",
  "-n",
];

it("a shell splits it into the words that were given", () => {
  const line = commandLine(["printf", "%s\\0", ...WORDS]);
  const out = execFileSync("bash", ["-c", line], {
    encoding: "utf8",
    env: { LC_ALL: "C.UTF-8", HOME: "/x" },
  });
  expect(out.split("\0").slice(0, -1)).toEqual(WORDS);
});

it("is one line that a terminal shows as it is", () => {
  expect(commandLine(WORDS)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e\u200b]/);
  expect(commandLine(["opsctl", "query", "postgres", 'REINDEX INDEX CONCURRENTLY "a b"', "--write"])).toBe(
    `opsctl query postgres 'REINDEX INDEX CONCURRENTLY "a b"' --write`,
  );
});
