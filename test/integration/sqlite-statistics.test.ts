/** Figures of a SQLite file, beside those that the sqlite3 shell gives; and the write test of `health --deep`. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import * as v from "valibot";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { sqliteStats } from "../../src/contract/stats-sqlite.ts";
import { type SqliteConnection, sqliteConnection } from "../../src/engines/sqlite/connect.ts";
import { sqliteMemory } from "../../src/engines/sqlite/memory.ts";
import { sqliteProbe } from "../../src/engines/sqlite/probe.ts";
import { sqliteStatistics } from "../../src/engines/sqlite/statistics.ts";
import { remember } from "../contract/memory-store.ts";
import { testCall } from "../support/calls.ts";

let dir: string;
let path: string;
let connection: SqliteConnection;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "opsctl-statistics-"));
  path = join(dir, "data.db");
  connection = sqliteConnection(path);
});
afterEach(async () => {
  await connection.close();
  rmSync(dir, { recursive: true });
});

const read = async (top = 100) =>
  v.parse(sqliteStats, await sqliteStatistics(connection).read(testCall(), { top, sampleKeys: 1 }));
const shell = (sql: string) => execFileSync("sqlite3", [path, sql], { encoding: "utf8" }).trim();

it("every figure is that of the sqlite3 shell", async () => {
  const store = sqliteMemory(connection);
  await store.apply(
    testCall(),
    ["a", "b", "c"].map((name) =>
      remember({ key: `issue:${name}`, content: name, eventId: name, agent: "x" }),
    ),
  );
  connection.database().exec(
    `CREATE TABLE "a ""quoted"" name" (x); INSERT INTO "a ""quoted"" name" VALUES (1), (2), (3), (4), (5);
     CREATE TABLE pages AS SELECT randomblob(100000); DELETE FROM pages`,
  );
  const stats = await read();
  expect(stats.free_pages).toBeGreaterThan(20);
  expect(stats).toMatchObject({
    path,
    size_bytes: statSync(path).size,
    wal_bytes: statSync(`${path}-wal`).size,
    journal_mode: shell("PRAGMA journal_mode"),
    page_size: Number(shell("PRAGMA page_size")),
    pages: Number(shell("PRAGMA page_count")),
    free_pages: Number(shell("PRAGMA freelist_count")),
    free_bytes: Number(shell("PRAGMA freelist_count")) * Number(shell("PRAGMA page_size")),
    growth: null,
    unknown: [],
  });
  const counted = Object.fromEntries(stats.tables.map(({ name, rows }) => [name, rows]));
  const asked = Object.keys(counted).map((name) => [
    name,
    Number(shell(`SELECT count(*) FROM "${name.replaceAll('"', '""')}"`)),
  ]);
  expect(counted).toEqual(Object.fromEntries(asked));
  expect(counted).toMatchObject({
    'a "quoted" name': 5,
    memori_metadata: 3,
    memori_events: 3,
    memori_index: 3,
  });
  expect(stats.table_count).toBe(stats.tables.length);
  expect(stats.tables.map(({ rows }) => rows)).toEqual(Object.values(counted).toSorted((a, b) => b! - a!));
});

it("of many tables the largest are shown, and all are counted", async () => {
  const many = Array.from({ length: 3_000 }, (_, n) => `CREATE TABLE t${n} (a);`).join("");
  connection
    .database()
    .exec(`BEGIN; ${many} INSERT INTO t17 VALUES (1), (2); INSERT INTO t99 VALUES (1); COMMIT`);
  const { tables, table_count } = await read(2);
  expect([table_count, tables.map(({ name }) => name)]).toEqual([3_000, ["t17", "t99"]]);
});

it("a table that cannot be read hides no other", async () => {
  const database = connection.database();
  database.exec("CREATE TABLE fine (a)");
  database.unsafeMode();
  database.pragma("writable_schema = ON");
  database.exec(
    "INSERT INTO sqlite_schema VALUES ('table', 'other', 'other', 0, 'CREATE VIRTUAL TABLE other USING nobody_has_this (a)')",
  );
  await connection.close();
  const stats = await read();
  expect(stats.tables).toContainEqual({ name: "fine", rows: 0, estimated: false, growth: null });
  expect(stats.unknown).toMatchObject([
    { what: "rows of other", reason: expect.stringContaining("nobody_has_this") },
  ]);
});

describe("the write test", () => {
  const selfTest = (timeoutMs?: number) => sqliteProbe(connection).selfTest(testCall(timeoutMs));

  it("writes to the disk and leaves nothing", async () => {
    connection.database().exec("CREATE TABLE t (a); PRAGMA user_version = 7");
    connection.database().pragma("wal_checkpoint(TRUNCATE)");
    await selfTest();
    // one commit went through the log
    expect(statSync(`${path}-wal`).size).toBeGreaterThan(4_096);
    const left = [
      shell(".tables"),
      shell("PRAGMA user_version"),
      shell("PRAGMA schema_version"),
      shell("PRAGMA freelist_count"),
    ];
    expect(left).toEqual(["t", "7", "1", "0"]);
    await connection.close();
    const before = readFileSync(path);
    await selfTest();
    expect(shell("SELECT count(*) FROM sqlite_schema")).toBe("1");
    expect(readFileSync(path).length).toBe(before.length);
  });

  it("a file that others write to is locked", async () => {
    connection.database().exec("CREATE TABLE t (a)");
    const other = new Database(path);
    other.exec("BEGIN IMMEDIATE");
    await expect(selfTest(1_000)).rejects.toMatchObject({ code: "locked" });
    other.close();
    await selfTest();
  });

  it("a file that only can be read says so, and at which step", async () => {
    connection.database().exec("CREATE TABLE t (a)");
    await connection.close();
    const readOnly = new Database(path, { readonly: true });
    const probe = sqliteProbe({ ...connection, database: () => readOnly });
    await expect(probe.selfTest(testCall())).rejects.toMatchObject({
      code: "failed",
      message: expect.stringMatching(/^self-test, .*read-only$/),
    });
    readOnly.close();
  });
});
