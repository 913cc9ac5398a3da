import { describe, expect, test } from "vitest";
import {
  closesTransaction,
  concurrentIndex,
  isRepeatable,
  opensTransaction,
  runsOutsideTransaction,
  transactionControl,
} from "../../../src/engines/postgres/statement-kind.ts";

describe("transaction control", () => {
  test.each<[string, string | null]>([
    ["BEGIN", "BEGIN"],
    ["begin isolation level serializable", "BEGIN"],
    ["/* c */ Commit", "COMMIT"],
    ["END", "END"],
    ["ROLLBACK TO s", "ROLLBACK"],
    ["ROLLBACK PREPARED 'x'", "ROLLBACK PREPARED"],
    ["START TRANSACTION", "START TRANSACTION"],
    ["PREPARE TRANSACTION 'x'", "PREPARE TRANSACTION"],
    ["PREPARE p AS SELECT 1", null],
    ["SELECT 'COMMIT'", null],
    ['"commit"', null],
    ["SET TRANSACTION READ ONLY", null],
    ["DO $$ BEGIN COMMIT; END $$", null],
  ])("%j: %j", (text, control) => expect(transactionControl(text)).toBe(control));

  test.each(["BEGIN", "begin work", "BEGIN TRANSACTION", "START TRANSACTION", "BEGIN -- why"])(
    "%j opens one",
    (text) => expect(opensTransaction(text)).toBe(true),
  );
  test.each(["BEGIN READ ONLY", "START TRANSACTION ISOLATION LEVEL SERIALIZABLE"])(
    "%j asks for more",
    (text) => expect(opensTransaction(text)).toBe(false),
  );
  test.each(["COMMIT", "end", "COMMIT TRANSACTION", "END WORK"])("%j closes one", (text) =>
    expect(closesTransaction(text)).toBe(true),
  );
  test.each(["COMMIT AND CHAIN", "ROLLBACK"])("%j does not", (text) =>
    expect(closesTransaction(text)).toBe(false),
  );
});

describe("indexes that are built beside running queries", () => {
  const create = { verb: "create", ifNotExists: false };
  test.each<[string, unknown]>([
    ["CREATE INDEX CONCURRENTLY i ON t (x)", { ...create, index: "i", table: "t" }],
    ["create unique index concurrently ON t (x)", { ...create, index: null, table: "t" }],
    [
      'CREATE INDEX CONCURRENTLY IF NOT EXISTS "I ""x" ON ONLY "S" . t USING gin (x)',
      { ...create, ifNotExists: true, index: '"I ""x"', table: '"S".t' },
    ],
    ['CREATE INDEX CONCURRENTLY U&"i" ON t (x)', { ...create, index: null, table: null }],
    ["CREATE INDEX i ON t (x)", null],
    ["DROP INDEX CONCURRENTLY s.i", { verb: "drop", index: "s.i" }],
    ["DROP INDEX CONCURRENTLY IF EXISTS i", { verb: "drop", index: "i" }],
    ["DROP INDEX i", null],
    ["REINDEX TABLE CONCURRENTLY t", { verb: "reindex", kind: "table", of: "t" }],
    ["REINDEX (VERBOSE, CONCURRENTLY) INDEX i", { verb: "reindex", kind: "index", of: "i" }],
    ["REINDEX (CONCURRENTLY false) INDEX i", null],
    ["REINDEX TABLE t", null],
    ["SELECT 'CREATE INDEX CONCURRENTLY i ON t (x)'", null],
  ])("%s", (text, index) => expect(concurrentIndex(text)).toEqual(index));
});

describe("statements that PostgreSQL refuses in a transaction", () => {
  const OUTSIDE = [
    "VACUUM",
    "VACUUM (FULL) t",
    "ALTER SYSTEM SET work_mem = '1MB'",
    "CREATE DATABASE d",
    "DROP DATABASE d",
    "CREATE TABLESPACE s LOCATION '/x'",
    "ALTER DATABASE d SET TABLESPACE s",
    "DISCARD ALL",
    "CLUSTER",
    "REINDEX SCHEMA public",
    "REINDEX (VERBOSE) DATABASE d",
    "ALTER TABLE p DETACH PARTITION q CONCURRENTLY",
    "CREATE INDEX CONCURRENTLY ON t (x)",
  ];
  const INSIDE = [
    "ANALYZE t",
    "ALTER TYPE t ADD VALUE 'x'",
    "CLUSTER t USING i",
    "REINDEX TABLE t",
    "DISCARD TEMP",
    "ALTER DATABASE d SET search_path = x",
    "REFRESH MATERIALIZED VIEW CONCURRENTLY v",
    "ALTER TABLE p DETACH PARTITION q",
    "COMMENT ON TABLE t IS 'VACUUM'",
  ];
  test.each(OUTSIDE)("%s", (text) => expect(runsOutsideTransaction(text)).toBe(true));
  test.each(INSIDE)("not %s", (text) => expect(runsOutsideTransaction(text)).toBe(false));
});

describe("statements that can run again when nobody knows whether they took effect", () => {
  const YES = [
    "CREATE INDEX CONCURRENTLY i ON t (x)",
    "DROP INDEX CONCURRENTLY i",
    "REINDEX TABLE CONCURRENTLY t",
    "REINDEX TABLE t",
    "CREATE TABLE IF NOT EXISTS t (x int)",
    "CREATE UNIQUE INDEX IF NOT EXISTS i ON t (x)",
    "CREATE MATERIALIZED VIEW IF NOT EXISTS v AS SELECT 1",
    "DROP TABLE IF EXISTS t, u CASCADE",
    "DROP FOREIGN DATA WRAPPER IF EXISTS w",
    "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'select 1'",
    `CREATE OR REPLACE VIEW v AS SELECT ${"1, ".repeat(500)} 2`,
    "VACUUM t",
    "ANALYZE",
    "GRANT SELECT ON t TO r",
    "REVOKE ALL ON t FROM r",
    "COMMENT ON TABLE t IS 'x'",
    "SET search_path = x",
    "RESET ALL",
    "REFRESH MATERIALIZED VIEW v",
    "ALTER TYPE mood ADD VALUE IF NOT EXISTS 'x' AFTER 'y'",
    "INSERT INTO t (a, b) VALUES (1, 'x') ON CONFLICT DO NOTHING",
    "INSERT INTO t SELECT * FROM u ON CONFLICT (a) DO NOTHING",
    "ALTER TABLE t ADD COLUMN IF NOT EXISTS c int DEFAULT f(1, 2), DROP COLUMN IF EXISTS d",
    'ALTER TABLE IF EXISTS ONLY s."T" VALIDATE CONSTRAINT c',
    "ALTER TABLE t ALTER COLUMN c SET NOT NULL, ALTER c DROP DEFAULT, OWNER TO r",
    "ALTER VIEW v OWNER TO r",
    "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
  ];
  const NO = [
    "CREATE INDEX CONCURRENTLY ON t (x)",
    "CREATE TABLE t (x int)",
    "DROP TABLE t",
    "INSERT INTO t VALUES (1)",
    "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET n = t.n + 1",
    "INSERT INTO t VALUES ('on conflict do nothing')",
    "UPDATE t SET n = n + 1",
    "DELETE FROM t",
    "SELECT f()",
    "DO $$ BEGIN END $$",
    "CALL p()",
    "ALTER TABLE IF EXISTS t ADD COLUMN c int",
    "ALTER TABLE t ADD COLUMN IF NOT EXISTS c int, ADD COLUMN d int",
    "ALTER TABLE t ADD COLUMN c int, OWNER TO r",
    "ALTER TABLE t ALTER COLUMN c TYPE text",
    'ALTER TABLE t RENAME TO "add column if not exists"',
    "ALTER TABLE p DETACH PARTITION q CONCURRENTLY",
    "ALTER TYPE mood ADD VALUE 'x'",
    "ALTER TYPE mood RENAME VALUE 'a' TO 'add value if not exists'",
    "COPY t FROM STDIN;\n1\n\\.",
    `ALTER TABLE t ${"ADD COLUMN IF NOT EXISTS c int, ".repeat(100)} ADD COLUMN d int`,
  ];
  test.each(YES)("%s", (text) => expect(isRepeatable(text)).toBe(true));
  test.each(NO)("not %s", (text) => expect(isRepeatable(text)).toBe(false));
});
