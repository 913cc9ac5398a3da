import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { splitCypher } from "../../../src/engines/neo4j/statements.ts";
import { splitSql as splitPostgres } from "../../../src/engines/postgres/split.ts";
import { splitSql as splitSqlite } from "../../../src/engines/sqlite/split.ts";

describe("what all three agree on", () => {
  const SPLITTERS = { sqlite: splitSqlite, postgres: splitPostgres, neo4j: splitCypher };
  describe.each(Object.entries(SPLITTERS))("%s", (_, split) => {
    test.each<[string, string[]]>([
      ["", []],
      [" ;; \n ; ", []],
      ["A; B", ["A", "B"]],
      ["A ';' B; C", ["A ';' B", "C"]],
      ['A ";" B; C', ['A ";" B', "C"]],
      ["A /* ; */ B; C", ["A  B", "C"]],
      ["A\n\n  B  \n;C", ["A\n  B", "C"]],
      ["A; /* never closed ; B", ["A"]],
    ])("%j", (text, statements) =>
      expect(split(text).map((one) => one.replace(/ +/g, " "))).toEqual(
        statements.map((one) => one.replace(/ +/g, " ")),
      ),
    );

    test("any text: no error, no empty statement; plain statements come back one by one", () => {
      fc.assert(
        fc.property(fc.string(), (text) => split(text).every((statement) => statement.trim() !== "")),
      );
      const word = fc.stringMatching(/^[A-Z]{1,8}( [a-z]{1,8}){0,3}$/);
      fc.assert(
        fc.property(fc.array(word), (words) => {
          expect(split(words.join(";\n"))).toEqual(words);
        }),
      );
    });
  });
});

test("SQLite: triggers, line comments, doubled quotes, brackets", () => {
  const trigger =
    "CREATE TRIGGER t AFTER INSERT ON a BEGIN\n  UPDATE b SET c = CASE WHEN 1 THEN 2 END;\n  DELETE FROM d;\nEND";
  expect(splitSqlite(`${trigger};\nSELECT 1;`)).toEqual([trigger, "SELECT 1"]);
  expect(splitSqlite("SELECT 'it''s; fine', [a;b], `c;d` -- no; end\n; SELECT 2")).toEqual([
    "SELECT 'it''s; fine', [a;b], `c;d`",
    "SELECT 2",
  ]);
  expect(splitSqlite("BEGIN; SELECT 1; END;")).toEqual(["BEGIN", "SELECT 1", "END"]);
});

test("PostgreSQL: dollar quotes, escapes, nested comments", () => {
  const body = "DO $x$ BEGIN; PERFORM 1; END $x$";
  expect(
    splitPostgres(`${body}; SELECT $$a;b$$; SELECT E'a\\';b'; SELECT 1 /* a /* b; */ c; */ + 2`),
  ).toEqual([body, "SELECT $$a;b$$", "SELECT E'a\\';b'", expect.stringMatching(/^SELECT 1 +\+ 2$/)]);
  expect(splitPostgres("SELECT 'a\\'; SELECT 2")).toEqual(["SELECT 'a\\'", "SELECT 2"]);
  expect(splitPostgres("SELECT a$1; SELECT $1; SELECT 2")).toEqual(["SELECT a$1", "SELECT $1", "SELECT 2"]);
});

test("Cypher: backslash escapes, backticks, line comments", () => {
  expect(splitCypher("RETURN 'it\\'s; fine'; MATCH (`a;``b`) // no; end\nRETURN 1")).toEqual([
    "RETURN 'it\\'s; fine'",
    "MATCH (`a;``b`)\nRETURN 1",
  ]);
});
