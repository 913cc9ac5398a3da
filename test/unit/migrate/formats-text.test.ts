import { describe, expect, test } from "vitest";
import type { EngineName } from "../../../src/errors.ts";
import { EXTENSIONS } from "../../../src/migrate/formats/format.ts";
import { type Files, lay, read, refusal } from "./formats-folder.ts";

describe("texts", () => {
  const textOf = (content: string | Buffer) => {
    lay({ "V1-a-up.sql": content });
    return read().migrations[0]!.up;
  };

  test("BOM and line ends change neither text nor checksum", () => {
    const plain = textOf("CREATE TABLE a (\n  id int\n);\n");
    expect(textOf("\ufeffCREATE TABLE a (\r\n  id int\r\n);\r\n")).toEqual(plain);
    expect(textOf("CREATE TABLE a (\r  id int\r);\r")).toEqual(plain);
    expect(textOf("CREATE TABLE a (\n id int\n);\n").checksum).not.toBe(plain.checksum);
  });

  test.each<[string, Buffer, RegExp, RegExp]>([
    [
      "Latin-1",
      Buffer.from("SELECT 1;\nSELECT 'gr\xf6sse';", "latin1"),
      /V1-a-up\.sql:2: bytes that are no UTF-8/,
      /UTF-8$/,
    ],
    ["a NUL", Buffer.from("SELECT 1;\n\nSELECT '\0';"), /V1-a-up\.sql:3: a NUL byte/, /UTF-8$/],
    ["UTF-16", Buffer.from("\ufeffSELECT 1;", "utf16le"), /V1-a-up\.sql:1: /, /UTF-16/],
    ["half a surrogate pair", Buffer.from([0xed, 0xa0, 0x80]), /:1: bytes that are no UTF-8/, /UTF-8/],
  ])("%s is refused", (_title, content, message, hint) => {
    lay({ "V1-a-up.sql": content });
    expect(refusal()).toMatchObject({
      code: "usage",
      message: expect.stringMatching(message),
      hint: expect.stringMatching(hint),
    });
  });

  test.each<[string, EngineName, string, boolean]>([
    ["first line", "postgres", "-- opsctl: no-transaction\nSELECT 1;", false],
    ["close together", "sqlite", "--opsctl:no-transaction\nSELECT 1;", false],
    [
      "after comments and blank lines",
      "postgres",
      "\n-- why\n/* a\n b */\n\n  -- opsctl: no-transaction\nSELECT 1;",
      false,
    ],
    ["Cypher", "neo4j", "// opsctl: no-transaction\nRETURN 1;", false],
    ["Redis", "redis", "# opsctl: no-transaction\nPING", false],
    ["a comment of another language", "neo4j", "-- opsctl: no-transaction\nRETURN 1;", true],
    ["none", "postgres", "-- opsctl makes this table\nSELECT 1;", true],
    ["in a block comment", "postgres", "/*\n-- opsctl: no-transaction\n*/\nSELECT 1;", true],
    ["in a text of a statement", "postgres", "SELECT '\n  -- opsctl: no-transaction\n';", true],
  ])("directive: %s", (_title, engine, text, inTransaction) => {
    lay({ [`V1-a-up.${EXTENSIONS[engine]}`]: text });
    expect(read("auto", engine).migrations[0]!.up).toMatchObject({ text, inTransaction });
  });

  test.each<[string, string, RegExp, RegExp]>([
    [
      "misspelt",
      "-- a\n-- opsctl: no-transactions\n",
      /V1-a-up\.sql:2: "no-transactions"/,
      /did you mean no-transaction\?/,
    ],
    ["unknown", "-- opsctl: fast\n", /:1: "fast" is no directive/, /no-transaction/],
    [
      "too late",
      "SELECT 1;\n\n-- opsctl: no-transaction\n",
      /:3: a directive below the first statement/,
      /first lines/,
    ],
  ])("a directive that is %s is refused", (_title, text, message, hint) => {
    lay({ "V1-a-up.sql": text });
    expect(refusal()).toMatchObject({
      code: "usage",
      message: expect.stringMatching(message),
      hint: expect.stringMatching(hint),
    });
  });
});

describe("dbmate's sections", () => {
  const sections = (text: string) => {
    lay({ "1_a.sql": text });
    return read("dbmate").migrations[0]!;
  };

  test("each keeps its line numbers and has a checksum of its own", () => {
    const { up, down } = sections(
      "-- about\n-- migrate:up\nCREATE TABLE a ();\n\n-- migrate:down\nDROP TABLE a;\n",
    );
    expect(up.text).toBe("\n\nCREATE TABLE a ();\n");
    expect(down!.text).toBe("\n\n\n\n\nDROP TABLE a;\n");
    const moved = sections("-- migrate:up\nCREATE TABLE a ();\n\n-- migrate:down\n-- other\n");
    expect(moved.up.checksum).toBe(up.checksum);
    expect(moved.down!.checksum).not.toBe(down!.checksum);
  });

  test("transaction:false is of its section", () => {
    const { up, down } = sections(
      "-- migrate:up transaction:false\nSELECT 1;\n-- migrate:down foo:bar\nSELECT 2;\n",
    );
    expect([up.inTransaction, down!.inTransaction]).toEqual([false, true]);
    expect(sections("-- migrate:up\n-- opsctl: no-transaction\nSELECT 1;").up.inTransaction).toBe(false);
  });

  test("an indented marker is a comment, as dbmate has it", () => {
    expect(sections("-- migrate:up\nSELECT 1;\n  -- migrate:down\n-- migrate:downwards\n").down).toBeNull();
  });

  test("an empty section is empty, with its marker out of the text", () => {
    expect(sections("-- migrate:up\n\n\n-- migrate:down\n\n")).toMatchObject({
      up: { text: "\n\n" },
      down: null,
    });
  });

  test.each<[string, string, RegExp]>([
    ["no marker", "CREATE TABLE a ();", /1_a\.sql: there is no line "-- migrate:up"/],
    ["only down", "-- migrate:down\nSELECT 1;", /1_a\.sql:1: migrate:down stands first/],
    ["the wrong order", "-- migrate:down\n-- migrate:up\n", /:1: migrate:down stands first/],
    ["a statement before", "-- x\nSELECT 1;\n-- migrate:up\n", /:2: a statement before/],
    ["two sections up", "-- migrate:up\n-- migrate:down\n-- migrate:up\n", /:3: a second section migrate:up/],
    ["two sections up without down", "-- migrate:up\n-- migrate:up\n", /:2: a second section migrate:up/],
    ["a value it does not know", "-- migrate:up transaction:flase\n", /:1: transaction:flase/],
    ["a misspelt directive", "-- migrate:up\n\n-- opsctl: no-transation\n", /1_a\.sql:3: "no-transation"/],
  ])("%s is refused", (_title, text, message) => {
    lay({ "1_a.sql": text });
    expect(refusal()).toMatchObject({ code: "usage", message: expect.stringMatching(message) });
  });
});

describe("diesel's folders", () => {
  test("metadata.toml says whether there is a transaction", () => {
    const up = { "1_a/up.sql": "SELECT 1;", "1_a/down.sql": "SELECT 2;" };
    const withMetadata = (text: string) => {
      lay({ ...up, "1_a/metadata.toml": text });
      const [first] = read("diesel").migrations;
      return [first!.up.inTransaction, first!.down!.inTransaction];
    };
    expect(withMetadata("# why\nrun_in_transaction = false # really\n")).toEqual([false, false]);
    expect(withMetadata("run_in_transaction=true\n[more]\nrun_in_transaction = false\n")).toEqual([
      true,
      true,
    ]);
  });

  test.each<[string, Files, RegExp]>([
    ["no up.sql", { "1_a/down.sql": "" }, /1_a has no file up\.sql/],
    ["a stranger", { "1_a/up.sql": "", "1_a/UP.SQL": "" }, /1_a\/UP\.SQL is no part/],
    ["a folder in it", { "1_a/up.sql": "", "1_a/old/x.sql": "" }, /1_a\/old is no part/],
    [
      "metadata without the key",
      { "1_a/up.sql": "", "1_a/metadata.toml": "" },
      /metadata\.toml does not say/,
    ],
    [
      "metadata with another value",
      { "1_a/up.sql": "", "1_a/metadata.toml": 'run_in_transaction = "no"' },
      /does not say/,
    ],
    ["too many of one second", { "2024-01-01-120000-ffff_a/up.sql": "" }, /version is too large/],
    [
      "the same version twice",
      { "1-0_a/up.sql": "", "10_b/up.sql": "" },
      /1-0_a\/up\.sql and 10_b\/up\.sql have the same version/,
    ],
    ["a file beside", { "1_a/up.sql": "", "notes.txt": "" }, /notes\.txt: not a name of a migration/],
  ])("%s is refused", (_title, laid, message) => {
    lay(laid);
    expect(refusal()).toMatchObject({ code: "usage", message: expect.stringMatching(message) });
  });
});
