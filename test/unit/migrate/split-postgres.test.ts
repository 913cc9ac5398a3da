import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { loadModule, parse, scan } from "libpg-query";
import { beforeAll, describe, expect, it, test } from "vitest";
import { copiedRows, scanSql, splitSql } from "../../../src/engines/postgres/split.ts";

beforeAll(loadModule);

/** The statements of a text as PostgreSQL's own parser sees them, from first token to last; null: it refuses the text. */
async function parsed(text: string): Promise<{ text: string; offset: number }[] | null> {
  const bytes = Buffer.from(text);
  const tree = await parse(text).catch(() => null);
  if (tree === null) return null;
  const { tokens } = await scan(text);
  const solid = tokens.filter(({ tokenName }) => !/COMMENT$/.test(tokenName));
  return (tree.stmts ?? []).map(({ stmt_location: from = 0, stmt_len: length }) => {
    const to = length ? from + length : bytes.length;
    const inside = solid.filter(({ start, end }) => start >= from && end <= to && bytes[start] !== 0x3b);
    const whole = length ? inside : solid.filter(({ start }) => start >= from && bytes[start] !== 0x3b);
    const [start, end] = [whole[0]!.start, Math.max(...whole.map((token) => token.end))];
    return { text: bytes.toString("utf8", start, end), offset: bytes.toString("utf8", 0, start).length };
  });
}

const texts = (script: string) => splitSql(script).map(({ text }) => text);

const BODY = "CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql";
const HAND_WRITTEN = [
  "SELECT 1",
  " ;; \n ; ",
  "SELECT 'it''s; fine', 'a\\'; SELECT 2",
  "SELECT E'back\\'; slash', e'\\\\'; SELECT 2",
  "SELECT E'a'\n  'b\\'; c' ; SELECT 2",
  "SELECT 'a'\n 'b\\' ; SELECT 2",
  "SELECT U&'d\\0061t;a', U&'!0061' UESCAPE '!'; SELECT U&\"d;\\0061\"",
  'SELECT "odd;""name", "it\'s"; SELECT 2',
  "SELECT B'01', X'1F', N'a;b'; SELECT 2",
  "SELECT $$a;b$$, $x$ $$;$y$ $x$, $é$;$é$; SELECT 2",
  "SELECT a$1, a$b$c FROM t; SELECT b$$ FROM u; SELECT 2",
  "PREPARE p AS SELECT $1; SELECT 2",
  "SELECT 1 /* a ; /* b ; */ c ; */ + 2; SELECT 3 /*/ ; */; SELECT 4 /**/; SELECT 5 /***/",
  "SELECT 1 -- ; ' \" $$ /*\n; SELECT 2 --",
  "SELECT 2 */* ; */ 3; SELECT 4 --; 5\n; SELECT 1 @-- ;\n 1",
  "SELECT 1 - /* ; */ -1; SELECT 3 -\n-1",
  "/* only a comment ; */ -- and another",
  "DO $b$ BEGIN; PERFORM 1; END $b$; SELECT 1",
  "CREATE RULE r AS ON INSERT TO t DO ALSO (INSERT INTO a SELECT 1; DELETE FROM b;); SELECT 1",
  `${BODY} BEGIN ATOMIC SELECT CASE WHEN a = 1 THEN CASE a WHEN 2 THEN 3 END ELSE 4 END; SELECT 5; END; SELECT 1`,
  `${BODY} BEGIN ATOMIC SELECT t.end, t.case, 1 AS end, 2 AS case FROM t; END; SELECT 1`,
  `${BODY} BEGIN /* ; */ ATOMIC END; SELECT 1`,
  `${BODY} RETURN a + 1; SELECT 1`,
  `CREATE OR REPLACE PROCEDURE p() BEGIN ATOMIC INSERT INTO t VALUES (1); DELETE FROM t; END; COMMIT`,
  "CREATE FUNCTION begin() RETURNS int LANGUAGE sql AS 'select 1'; COMMIT; CREATE TABLE atomic()",
  "CREATE FUNCTION f(begin atomic) RETURNS int LANGUAGE sql AS 'select 1'; COMMIT",
  "BEGIN; SELECT CASE WHEN true THEN 1 END; END; SELECT 1",
  "SELECT 'ünï;cödé', '😀;', \"naïve;😀\"; SELECT '😀' AS größe; SELECT 3",
  "SELECT 1 AS a\u00a0b; SELECT 2",
  "COPY t TO '/tmp/x'; COPY (SELECT ';') TO STDOUT; SELECT 1",
];

describe("borders of statements are those of PostgreSQL's parser", () => {
  test.each(HAND_WRITTEN)("%j", async (text) => {
    const wanted = await parsed(text);
    expect(wanted).not.toBeNull();
    expect(splitSql(text)).toEqual(wanted);
  });

  test("in every file that is shipped", async () => {
    const root = join(import.meta.dirname, "../../../init/postgres");
    const files = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((name) =>
      /\.sql$/.test(name),
    );
    expect(files.length).toBeGreaterThan(5);
    for (const file of files) {
      const text = readFileSync(join(root, file), "utf8");
      expect(splitSql(text), file).toEqual(await parsed(text));
    }
  });

  const nasty = fc
    .array(
      fc.constantFrom(
        "'",
        '"',
        "\\",
        ";",
        "$",
        "$$",
        "$a$",
        "/*",
        "*/",
        "--",
        "\n",
        " ",
        "é",
        "😀",
        "e",
        "1",
      ),
    )
    .map((parts) => parts.join(""));
  const quoted = (open: string, close: string, mask: (text: string) => string) =>
    nasty.map((text) => `${open}${mask(text)}${close}`);
  const doubled = (quote: string) => (text: string) => text.replaceAll(quote, quote + quote);
  const string = fc.oneof(
    quoted("'", "'", doubled("'")),
    quoted("E'", "'", (text) => text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")),
    quoted("E'x'\n'", "'", (text) => text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")),
    quoted("U&'", "'", (text) => doubled("'")(text.replaceAll("\\", "\\\\"))),
    quoted("$t1$", "$t1$", (text) => text.replaceAll("$t1$", "")),
    quoted("$$", "$$", (text) => text.replaceAll("$", "")),
  );
  const name = quoted('"x', '"', doubled('"'));
  const comment = fc.oneof(
    nasty.map(
      (text) =>
        `/*${text
          .replaceAll("/*", "")
          .replaceAll("*/", "")
          .replace(/[/*]+$/, "")} */`,
    ),
    nasty.map((text) => `/* /*${text.replaceAll("/*", "").replaceAll("*/", "")} */ ; */`),
    nasty.map((text) => `--${text.replaceAll("\n", "")}\n`),
  );
  const gap = fc.oneof(
    fc.constantFrom(" ", "\n", "\t "),
    comment.map((text) => ` ${text} `),
  );
  const word = fc.constantFrom("a", "b$c", "_d$$", "é1", "end_", "x.case", "1", "1.5e3", "(2)");
  const expression = fc.oneof(
    string,
    name,
    word,
    fc.tuple(word, gap).map(([value, space]) => `CASE${space}WHEN true THEN ${value} END`),
  );
  const item = fc.tuple(expression, gap).map(([value, space]) => `${value}${space}`);
  const select = fc
    .tuple(gap, fc.array(item, { minLength: 1, maxLength: 4 }))
    .map(([space, items]) => `SELECT${space}${items.join(", ")}`);
  const routine = fc
    .array(select, { minLength: 1, maxLength: 3 })
    .map((body) => `${BODY} BEGIN ATOMIC ${body.map((one) => `${one};`).join("\n")} END`);
  const rule = fc
    .tuple(select, select)
    .map(([a, b]) => `CREATE RULE r AS ON UPDATE TO t DO (${a}\n; ${b}\n)`);
  const statement = fc.oneof(
    { weight: 6, arbitrary: select },
    routine,
    rule,
    string.map((text) => `DO ${text}`),
  );
  const script = fc
    .array(fc.tuple(statement, gap), { maxLength: 5 })
    .map((parts) => parts.map(([one, space]) => `${one}${space};`).join(""));

  it("for generated scripts of quotes, comments, bodies and rules", async () => {
    let accepted = 0;
    await fc.assert(
      fc.asyncProperty(script, gap, async (text, end) => {
        const wanted = await parsed(text + end);
        if (wanted === null) return;
        accepted += 1;
        expect(splitSql(text + end)).toEqual(wanted);
      }),
      { numRuns: 600 },
    );
    // the generator must not fool us by writing what no parser takes
    expect(accepted).toBeGreaterThan(300);
  });

  it("for any mixture of what is hard, as far as the parser takes it", async () => {
    const soup = fc.array(
      fc.oneof(nasty, fc.constantFrom("SELECT 1", "SELECT", ";", " ", "'x'", "end", "case")),
    );
    await fc.assert(
      fc.asyncProperty(soup, async (parts) => {
        const text = parts.join("");
        const pieces = splitSql(text);
        // never an empty statement, never one that is not in the text, whatever it holds
        let at = 0;
        for (const { text: one, offset } of pieces) {
          expect(one.trim()).not.toBe("");
          expect(offset).toBeGreaterThanOrEqual(at);
          expect(text.slice(offset, offset + one.length)).toBe(one);
          at = offset + one.length;
        }
        const wanted = await parsed(text);
        if (wanted !== null) expect(pieces).toEqual(wanted);
      }),
      { numRuns: 1500 },
    );
  });
});

describe("what the parser does not know", () => {
  const copy = "COPY t (a, b) FROM STDIN WITH (FORMAT csv);\n1,'; \\x\n\\.x\n\\.";

  it("the data of COPY FROM STDIN belongs to the statement", () => {
    const script = `SELECT 1;\n${copy}\n\nSELECT 2; copy u from stdin ;  \n\\.\nSELECT 3`;
    expect(texts(script)).toEqual(["SELECT 1", copy, "SELECT 2", "copy u from stdin ;  \n\\.", "SELECT 3"]);
    const pieces = scanSql(script);
    expect(pieces.map((piece) => piece.copy && copiedRows(script, piece.copy))).toEqual([
      null,
      "1,'; \\x\n\\.x\n",
      null,
      "",
      null,
    ]);
    expect(pieces.map((piece) => piece.copy && script.slice(piece.offset, piece.copy.sqlEnd))).toEqual([
      null,
      "COPY t (a, b) FROM STDIN WITH (FORMAT csv)",
      null,
      "copy u from stdin",
      null,
    ]);
    expect(pieces.flatMap(({ problems }) => problems)).toEqual([]);
  });

  it("a string goes on behind comments, with its escapes", () => {
    // the server's scanner takes this (psql shows it), the one of libpg-query keeps comments and does not
    const first = "SELECT E'a' -- more; follows\n  -- and ' more\n 'b\\';'";
    expect(texts(`${first} ; SELECT 2`)).toEqual([first, "SELECT 2"]);
    expect(texts("SELECT E'a' -- not\nOR 'b\\';' ; SELECT 2")).toEqual([
      "SELECT E'a' -- not\nOR 'b\\'",
      "' ; SELECT 2",
    ]);
  });

  it("other COPY statements have no data", () => {
    for (const text of [
      "COPY t FROM '/tmp/x'; SELECT 1",
      "COPY (SELECT 'from stdin') TO '/tmp/x'; SELECT 1",
      "COPY (SELECT a FROM stdin) TO '/tmp/x'; SELECT 1",
      "SELECT 1 FROM stdin; SELECT 1",
    ]) {
      expect(scanSql(text).map(({ copy }) => copy)).toEqual([null, null]);
    }
  });

  test.each<[string, number, string]>([
    ["SELECT 1;\n\\connect other\nSELECT 2;", 10, "\\connect is a command of psql"],
    ["SELECT 1 \\gexec", 9, "\\gexec is a command of psql"],
    ["\\restrict abc\nSELECT 1;", 0, "\\restrict is a command of psql"],
    ["SELECT 'abc;\nSELECT 2;", 7, "this string never ends"],
    ["SELECT E'\\", 7, "this string never ends"],
    ["SELECT 1; SELECT $a$ $b$ $$", 17, "this string never ends"],
    ['SELECT "abc', 7, "this quoted name never ends"],
    ["SELECT 1; /* /* */", 10, "this comment never ends"],
    ["COPY t FROM STDIN;\n1\n2\n", 0, "the data of this COPY never ends"],
    ["COPY t FROM STDIN", 0, "the data of this COPY never ends"],
    ["COPY t FROM STDIN; SELECT 1;\n\\.\n", 19, "text on the line of COPY"],
    [`${BODY} BEGIN ATOMIC SELECT 1;`, 0, "BEGIN ATOMIC has no END"],
  ])("%j has a problem at %i", (text, offset, what) => {
    const problems = scanSql(text).flatMap((piece) => piece.problems);
    expect(problems[0]).toMatchObject({ offset, what: expect.stringContaining(what) });
  });

  it("texts of many megabytes in one token", () => {
    const long = "x".repeat(4_000_000);
    const script = `SELECT '${long}', E'${long}', $$${long}$$, "${long}" /* ${long} */ -- ${long}\n; SELECT ${long}`;
    expect(splitSql(script).map(({ text }) => text.length > 4_000_000)).toEqual([true, true]);
    expect(splitSql(`SELECT E'a'${" \n--;".repeat(300_000)}\n'b\\';'; SELECT 2`)).toHaveLength(2);
  });
});
