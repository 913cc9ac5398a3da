import { describe, expect, test } from "vitest";
import { checkScript } from "../../../src/engines/sqlite/check.ts";
import type { Format, Script } from "../../../src/migrate/port.ts";

const check = (text: string, { format = "opsctl" as Format, inTransaction = true } = {}) => {
  const script: Script = { file: "V001-x-up.sql", text, checksum: "", inTransaction };
  return () => checkScript(script, format);
};
const OUTSIDE = "-- opsctl: no-transaction";

describe("refused before anything runs", () => {
  test.each<[string, string, string]>([
    ["BEGIN", "CREATE TABLE a (b);\nBEGIN;", "2:1: BEGIN: a migration file must not control"],
    ["COMMIT in any case, behind comments", "SELECT 1; -- x\n /* y */ commit", "2:10: COMMIT"],
    ["END", "END TRANSACTION", "1:1: END"],
    ["ROLLBACK", "ROLLBACK;", "1:1: ROLLBACK"],
    ["SAVEPOINT", "SAVEPOINT a", "1:1: SAVEPOINT"],
    ["RELEASE", "SELECT 1;RELEASE a", "1:10: RELEASE"],
    ["a file in BEGIN … COMMIT", "BEGIN; SELECT 1; COMMIT", "1:1: BEGIN"],
    [
      "a command of the shell",
      "SELECT 1;\n.read other.sql\n",
      "2:1: .read is a command of the sqlite3 shell",
    ],
    ["a command of the shell, first", ".mode csv\nSELECT 1", "1:1: .mode"],
    ["a string that never ends", "SELECT 1;\nSELECT 'it''s", "2:8: this quote is never closed"],
    ["a name that never ends", 'SELECT "a', "1:8: this quote"],
    ["a bracket that never ends", "SELECT [a", "1:8: this quote"],
    ["a comment that never ends", "SELECT 1; /* a ; b", "1:11: this comment is never closed"],
    ["NUL, where SQLite stops", "SELECT 1;\n\0DROP TABLE a", "2:1: a NUL character"],
    ["VACUUM", "vacuum", "1:1: VACUUM cannot run in a transaction"],
    ["ATTACH", "ATTACH 'a' AS b", "1:1: ATTACH"],
    ["DETACH", "DETACH b", "1:1: DETACH"],
    ["the journal mode", "PRAGMA journal_mode = WAL", "1:1: the journal mode"],
    ["the journal mode of a schema", "PRAGMA main . journal_mode(wal)", "1:1: the journal mode"],
    ["foreign keys", "SELECT 1;\n  PRAGMA foreign_keys=OFF", "2:3: PRAGMA foreign_keys does nothing"],
  ])("%s", (_, text, message) => {
    expect(check(text)).toThrow(
      expect.objectContaining({
        code: "usage",
        message: expect.stringContaining(`V001-x-up.sql:${message}`),
      }),
    );
  });

  test.each<[string, string, Format, boolean]>([
    ["a block beside others, golang-migrate", "SELECT 1; BEGIN; SELECT 1; COMMIT", "golang-migrate", true],
    ["a block that is rolled back", "BEGIN; SELECT 1; ROLLBACK", "golang-migrate", true],
    ["a block in a block", "BEGIN; BEGIN; SELECT 1; COMMIT", "golang-migrate", true],
    ["an empty block", "BEGIN; COMMIT", "golang-migrate", true],
    ["a savepoint in a block", "BEGIN; SAVEPOINT a; COMMIT", "dbmate", false],
    ["VACUUM in a block", "BEGIN; VACUUM; COMMIT", "dbmate", false],
    ["a block in a transaction", "BEGIN; SELECT 1; COMMIT", "dbmate", true],
    ["a block of our own format", "BEGIN; SELECT 1; COMMIT", "opsctl", false],
    ["an end without a begin", "COMMIT", "diesel", false],
  ])("%s", (_, text, format, inTransaction) => {
    expect(check(text, { format, inTransaction })).toThrow(expect.objectContaining({ code: "usage" }));
  });

  test("with the place as an editor shows it, and what to do", () => {
    expect(check("SELECT 1;\n  VACUUM;")).toThrow(
      expect.objectContaining({
        message: "V001-x-up.sql:2:3: VACUUM cannot run in a transaction\n  2 |   VACUUM;\n    |   ^",
        hint: expect.stringContaining(OUTSIDE),
      }),
    );
    expect(check("VACUUM", { format: "dbmate" })).toThrow(
      expect.objectContaining({ hint: expect.stringContaining("transaction:false") }),
    );
  });
});

describe("accepted", () => {
  test.each<[string, string, Format?, boolean?]>([
    ["trigger bodies", "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; END"],
    [
      "words in strings, names and comments",
      "SELECT 'BEGIN;', \"COMMIT\", [END] -- COMMIT;\n/* ROLLBACK; */",
    ],
    ["columns called like commands", "CREATE TABLE a (begin, end, vacuum)"],
    ["a number at the start of a line", "SELECT\n.5"],
    [
      "pragmas that are only read",
      "PRAGMA foreign_keys; PRAGMA main.journal_mode; PRAGMA foreign_key_check; PRAGMA user_version = 3",
    ],
    ["comments alone", "-- nothing yet"],
    ["EXPLAIN", "EXPLAIN COMMIT"],
    ["a golang-migrate file in BEGIN … COMMIT", "BEGIN TRANSACTION;\nSELECT 1;\nEND;\n", "golang-migrate"],
    ["foreign keys where another tool ran them", "PRAGMA foreign_keys = OFF; SELECT 1", "dbmate"],
    [
      "what needs no transaction around it",
      "VACUUM; ATTACH 'a' AS b; PRAGMA journal_mode = WAL; DETACH b; PRAGMA foreign_keys = ON",
      "opsctl",
      false,
    ],
    [
      "blocks of another tool",
      "PRAGMA foreign_keys = OFF; BEGIN IMMEDIATE; SELECT 1; COMMIT; VACUUM",
      "dbmate",
      false,
    ],
  ])("%s", (_, text, format = "opsctl", inTransaction = true) => {
    expect(check(text, { format, inTransaction })).not.toThrow();
  });
});
