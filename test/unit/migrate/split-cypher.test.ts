import { parseStatementsStrs } from "@neo4j-cypher/language-support";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { splitCypher } from "../../../src/engines/neo4j/statements.ts";

/** What may stand around a statement: white space of Cypher, comments, the `;` at its end. */
const AROUND = /^(?:[\s\x1c-\x1f\x85]|\/\/[^\r\n]*(?=[\r\n]|$)|\/\*(?:(?!\*\/)[\s\S])*\*\/)*;?$/;

/** The same borders as Neo4j's own parser: each of its pieces holds one of our statements, at its offset, and nothing else that counts. */
function expectSameBorders(script: string): void {
  const statements = splitCypher(script);
  let from = 0;
  for (const piece of parseStatementsStrs(script)) {
    from = script.indexOf(piece, from);
    if (!AROUND.test(piece)) {
      const { text, offset } = statements.shift() ?? { text: "no statement", offset: -1 };
      expect(script.slice(offset, offset + text.length)).toBe(text);
      expect(piece.slice(0, offset - from)).toMatch(AROUND);
      expect(piece.slice(offset - from, offset - from + text.length)).toBe(text);
      expect(piece.slice(offset - from + text.length)).toMatch(AROUND);
    }
    from += piece.length;
  }
  expect(statements).toEqual([]);
}

describe("statements of Cypher", () => {
  test.each<[string, string[]]>([
    ["", []],
    [" ;; \n ; ", []],
    [" \n// nothing\n", []],
    ["A; B", ["A", "B"]],
    ["A ';' B; C", ["A ';' B", "C"]],
    ['A ";" B; C', ['A ";" B', "C"]],
    ["A /* ; */ B; C", ["A /* ; */ B", "C"]],
    ["/* x */ A /* y */ ; // z\n B", ["A", "B"]],
    ["A\n\n  B  \n;C", ["A\n\n  B", "C"]],
    ["A; /* never closed ; B", ["A"]],
    ["A 'never closed ; B", ["A 'never closed ; B"]],
    ["RETURN 'it\\'s; fine'; RETURN 1", ["RETURN 'it\\'s; fine'", "RETURN 1"]],
    ["RETURN '\\\\'; RETURN 1", ["RETURN '\\\\'", "RETURN 1"]],
    ["RETURN 'x\\", ["RETURN 'x\\"]],
    ["MATCH (`a;``b`) // no; end\nRETURN 1", ["MATCH (`a;``b`) // no; end\nRETURN 1"]],
    ["RETURN 'http://host/;'", ["RETURN 'http://host/;'"]],
    ["RETURN 1/2; RETURN/**/3 // end", ["RETURN 1/2", "RETURN/**/3"]],
    ["RETURN '😀'; RETURN '😀;'", ["RETURN '😀'", "RETURN '😀;'"]],
  ])("%j", (script, texts) => {
    const statements = splitCypher(script);
    expect(statements.map(({ text }) => text)).toEqual(texts);
    for (const { text, offset } of statements) {
      expect(script.slice(offset, offset + text.length)).toBe(text);
    }
  });

  test("any text: no error, nothing that counts is lost", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (script) => {
        let rest = script;
        for (const { text, offset } of splitCypher(script).reverse()) {
          expect(text).not.toBe("");
          rest = rest.slice(0, offset) + rest.slice(offset + text.length);
        }
        expect(rest.replace(/\/\*[\s\S]*?(\*\/|$)|\/\/[^\r\n]*/g, "")).toMatch(/^[\s;\x1c-\x1f\x85]*$/);
      }),
    );
  });
});

describe("the borders of Neo4j's own parser", () => {
  test.each([
    'CREATE (:A {name: \'a;b\'}); CREATE (:B {name: "c;d\\""});',
    "MATCH (n:`weird;``label`) RETURN n; // tail; here\n/* and ; there */",
    "UNWIND range(1, 10) AS i CALL (i) { CREATE (:T {i: i}) } IN TRANSACTIONS OF 2 ROWS;\nRETURN {a: {b: 1}};",
    "CREATE CONSTRAINT a FOR (n:A) REQUIRE n.x IS UNIQUE\n;\n\nDROP INDEX b IF EXISTS",
    "RETURN 8 / 4 / 2; RETURN 'a//b'; RETURN 1 // ; RETURN 2\n; RETURN /* ; */ 3",
    "LOAD CSV WITH HEADERS FROM 'file:///x.csv' AS row FIELDTERMINATOR ';' CREATE (:R {v: row.v});",
    "RETURN '\\\\'; RETURN \"\\\\\\\"\"; RETURN '\\'';",
    "RETURN 'line\nbreak;'; RETURN `line\nbreak;`",
    "RETURN 1\u00a0; RETURN\u20282; RETURN 'é😀;'",
  ])("%j", expectSameBorders);

  const inside = fc.array(fc.constantFrom("a", ";", "'", '"', "`", "//", "/*", "*/", "\n", "é", "😀", " "));
  const piece = fc.oneof(
    fc.constantFrom(
      "MATCH",
      "(n)",
      "RETURN",
      "n.x",
      "1",
      "2.5",
      "{",
      "}",
      "[",
      "]",
      " / ",
      " * ",
      "-->",
      "$p",
      ",",
    ),
    fc.constantFrom(";", ";", ";\n", " ; ", "\n", "\t", "\u00a0"),
    inside.map((parts) => `'${parts.join("").replaceAll("'", "\\'")}'`),
    inside.map((parts) => `"${parts.join("").replaceAll('"', '\\"')}\\\\"`),
    inside.map((parts) => `\`x${parts.join("").replaceAll("`", "``")}\``),
    inside.map((parts) => `//${parts.join("").replaceAll("\n", "")}\n`),
    inside.map((parts) => `/*${parts.join("").replaceAll("*/", "").replaceAll("/", " ")} */`),
  );

  test("of scripts that are put together from every kind of token", () => {
    const script = fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join(" "));
    fc.assert(fc.property(script, expectSameBorders), { numRuns: 300 });
  });
});
