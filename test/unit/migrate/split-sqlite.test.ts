import Database from "better-sqlite3";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { unitsOf } from "../../../src/engines/sqlite/blocks.ts";
import { splitSql } from "../../../src/engines/sqlite/split.ts";
import { significantTokens, tokensOf } from "../../../src/engines/sqlite/tokens.ts";

const texts = (script: string) => splitSql(script).map(({ text }) => text);

const TRIGGER = `CREATE TRIGGER t AFTER INSERT ON a BEGIN
  UPDATE b SET c = CASE WHEN 1 THEN CASE 2 WHEN 3 THEN 4 END ELSE 5 END;
  DELETE FROM d; -- END;
END`;

describe("SQLite scripts", () => {
  test.each<[string, string, string[]]>([
    ["nothing", "", []],
    ["empty statements", " ;; \n ; ", []],
    ["comments alone", "-- a; b\n/* c; d */", []],
    ["two statements", "A; B", ["A", "B"]],
    ["no ; at the end", "A;\nB\n", ["A", "B"]],
    ["strings", "SELECT 'it''s; fine'; B", ["SELECT 'it''s; fine'", "B"]],
    ["names in quotes", 'SELECT "a;""b", [a;b], `c;``d`; B', ['SELECT "a;""b", [a;b], `c;``d`', "B"]],
    ["comments inside stay", "A -- ; x\n, /* ; */ B; C", ["A -- ; x\n, /* ; */ B", "C"]],
    ["comments around go", "-- x\nA /* y */ ; /* z */ B -- w", ["A", "B"]],
    ["a comment that opens twice", "A /* /* */ ; B", ["A", "B"]],
    ["/*/ does not close", "A; /*/ ; B", ["A"]],
    ["- and / alone", "SELECT 4-2/1; B", ["SELECT 4-2/1", "B"]],
    ["a trigger", `${TRIGGER};\nSELECT 1;`, [TRIGGER, "SELECT 1"]],
    ["a trigger at the end", TRIGGER, [TRIGGER]],
    ["two triggers", `${TRIGGER};${TRIGGER};`, [TRIGGER, TRIGGER]],
    [
      "in any case",
      "create /* x */ temp trigger t begin a; end; B",
      ["create /* x */ temp trigger t begin a; end", "B"],
    ],
    [
      "names like keywords",
      "CREATE TRIGGER t UPDATE OF begin ON x BEGIN SELECT new.end; END; B",
      ["CREATE TRIGGER t UPDATE OF begin ON x BEGIN SELECT new.end; END", "B"],
    ],
    [
      "EXPLAIN",
      "EXPLAIN QUERY PLAN CREATE TEMPORARY TRIGGER t BEGIN a; END; B",
      ["EXPLAIN QUERY PLAN CREATE TEMPORARY TRIGGER t BEGIN a; END", "B"],
    ],
    [
      "END in quotes ends nothing",
      'CREATE TRIGGER t BEGIN a; "END"; END; B',
      ['CREATE TRIGGER t BEGIN a; "END"; END', "B"],
    ],
    ["a table called trigger", "CREATE TABLE trigger (a); B", ["CREATE TABLE trigger (a)", "B"]],
    ["transactions", "BEGIN; SELECT 1; END;", ["BEGIN", "SELECT 1", "END"]],
    ["text that never ends", "A; 'b; c", ["A", "'b; c"]],
  ])("%s", (_, script, statements) => expect(texts(script)).toEqual(statements));

  test("long texts take time in proportion to them", () => {
    const script = `INSERT INTO a VALUES ('${"''".repeat(2_000_000)}'); B${" /* ".repeat(500_000)}`;
    expect(splitSql(script)).toHaveLength(2);
  });
});

describe("blocks BEGIN … COMMIT are one unit", () => {
  test.each<[string, string, string[]]>([
    ["the whole file", "-- x\nBEGIN; A; B; COMMIT; -- y", ["BEGIN; A; B; COMMIT"]],
    [
      "between others",
      "P; BEGIN IMMEDIATE; A; END TRANSACTION; Q",
      ["P", "BEGIN IMMEDIATE; A; END TRANSACTION", "Q"],
    ],
    ["two", "BEGIN; A; COMMIT; BEGIN; B; COMMIT", ["BEGIN; A; COMMIT", "BEGIN; B; COMMIT"]],
    ["one that never ends is none", "A; BEGIN; B", ["A", "BEGIN", "B"]],
    ["an end without a begin", "A; COMMIT; B", ["A", "COMMIT", "B"]],
  ])("%s", (_, script, units) => expect(unitsOf(script).map(({ text }) => text)).toEqual(units));
});

/** Pieces of real statements; every name is new, so that all of them can run in any order. */
const name = (number: number, quote: string) => {
  const close = quote === "[" ? "]" : quote;
  return quote === "" ? `n${number}` : `${quote}n;${number} end${close}`;
};
const quotes = fc.constantFrom("", '"', "`", "[");
const literal = fc
  .string({ maxLength: 12 })
  .map((text) => `'${text.replaceAll("\0", "").replaceAll("'", "''")}'`);
const gap = fc.constantFrom(" ", "\n", "\t", " -- ; 'x\n", " /* ; \" ' ` [ */ ", " /* END; */ ");
const statement = fc.oneof(
  fc.record({ quotes, literal, gap }).map(
    ({ quotes: q, literal: l, gap: g }) =>
      (n: number) =>
        `CREATE TABLE${g}${name(n, q)} (begin${g}TEXT DEFAULT ${l}, [case;] INT, "end" CHECK ("end" <> ${l}))`,
  ),
  fc.record({ quotes, literal, gap }).map(
    ({ quotes: q, literal: l, gap: g }) =>
      (n: number) =>
        `CREATE VIEW ${name(n, q)} AS${g}SELECT CASE ${l} WHEN ';' THEN CASE 1 WHEN 2 THEN 3 END END AS "a;b"${g}, ${l} AS c`,
  ),
  fc.record({ quotes, literal, gap }).map(
    ({ quotes: q, literal: l, gap: g }) =>
      (n: number) =>
        `CREATE${g}TRIGGER ${name(n, q)}${g}AFTER UPDATE OF begin, end ON base WHEN new.end <> ${l} BEGIN${g}UPDATE base SET end = CASE${g}WHEN begin = ${l} THEN 1 END;${g}DELETE FROM base WHERE begin = ${l};${g}END`,
  ),
  literal.map((l) => () => `INSERT INTO base VALUES (${l}, ${l})`),
);
const scripts = fc
  .array(fc.tuple(statement, gap, fc.constantFrom("", ";", " ; /* x */")), { minLength: 1, maxLength: 8 })
  .map((parts) => {
    const statements = parts.map(([make], index) => make(index));
    const script = statements.map((one, index) => `${parts[index]![1]}${one};${parts[index]![2]}`).join("");
    return { statements, script };
  });
const BASE = "CREATE TABLE base (begin, end)";

/** Everything a script leaves behind. */
function effect(run: (database: Database.Database) => void): unknown[] {
  const database = new Database(":memory:");
  try {
    database.exec(BASE);
    run(database);
    const schema = database.prepare("SELECT type, name, sql FROM sqlite_schema ORDER BY rowid").all();
    return [...schema, ...database.prepare("SELECT * FROM base").all()];
  } finally {
    database.close();
  }
}

describe("against SQLite itself", () => {
  test("pieces are the statements, each alone can be prepared, and together they do what the whole does", () => {
    fc.assert(
      fc.property(scripts, ({ statements, script }) => {
        expect(texts(script)).toEqual(statements);
        const whole = effect((database) => database.exec(script));
        const pieces = effect((database) => {
          for (const text of texts(script)) database.prepare(text).run();
        });
        expect(pieces).toEqual(whole);
      }),
      { numRuns: 300 },
    );
  });

  test("any text: tokens are the text, statements are slices of it, and nothing that means something is lost", () => {
    const word = fc.constantFrom(
      "'",
      '"',
      "`",
      "[",
      "]",
      ";",
      "--",
      "/*",
      "*/",
      "\n",
      " ",
      "CREATE",
      "TRIGGER",
      "TEMP",
      "BEGIN",
      "END",
      "é€😀",
      "a",
    );
    const soup = fc
      .array(fc.oneof({ weight: 5, arbitrary: word }, fc.string({ maxLength: 3 })))
      .map((parts) => parts.join(""));
    fc.assert(
      fc.property(soup, (text) => {
        const tokens = [...tokensOf(text)];
        expect(tokens.map(({ start, end }) => text.slice(start, end)).join("")).toBe(text);
        const statements = splitSql(text);
        for (const one of statements) {
          expect(one.text).not.toBe("");
          expect(text.slice(one.offset, one.offset + one.text.length)).toBe(one.text);
        }
        const meant = (script: string) =>
          [...significantTokens(script)].filter(({ kind }) => kind !== "semicolon").length;
        expect(statements.reduce((sum, one) => sum + meant(one.text), 0)).toBe(meant(text));
      }),
      { numRuns: 2000 },
    );
  });
});
