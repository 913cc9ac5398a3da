/** One statement on a SQLite file, through a process that can be stopped. */
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { sqliteTarget } from "../../src/config/targets.ts";
import { type SqliteConnection, sqliteConnection } from "../../src/engines/sqlite/connect.ts";
import { openForeign } from "../../src/engines/sqlite/open.ts";
import { sqliteQuery } from "../../src/engines/sqlite/query.ts";
import { refusal, runStatement } from "../../src/engines/sqlite/query-statement.ts";
import { sqliteShell } from "../../src/engines/sqlite/shell.ts";
import type { QueryOptions } from "../../src/query/port.ts";
import { testCall } from "../support/calls.ts";
import { collect, Sandbox, until } from "../support/cli.ts";

let dir: string;
let path: string;
let connection: SqliteConnection;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "opsctl-query-"));
  path = join(dir, "data.db");
  connection = sqliteConnection(path);
  connection
    .database()
    .exec("CREATE TABLE t (a PRIMARY KEY, b); INSERT INTO t VALUES (1, 'x'), (2, 'y'), (3, NULL)");
});
afterEach(async () => {
  await connection.close();
  rmSync(dir, { recursive: true });
});

/** Through the process that commands use. */
const query = (text: string, options: Partial<QueryOptions> = {}, timeoutMs?: number, queryMs = 30_000) =>
  sqliteQuery(connection, queryMs).query(testCall(timeoutMs), text, optionsOf(options));
const optionsOf = (options: Partial<QueryOptions>) => ({
  write: false,
  explain: false,
  limit: 100,
  ...options,
});

/** What that process does, without starting one. */
async function ask(text: string, options: Partial<QueryOptions> = {}) {
  const database = openForeign({ path, foreign: true });
  try {
    return runStatement(database, { path, text, options: optionsOf(options), waitMs: 100 });
  } catch (error) {
    throw refusal(error, path);
  } finally {
    database.close();
  }
}
/** Of a connection that was there all the time. */
const countRows = () => connection.database().prepare("SELECT count(*) FROM t").pluck().get();

it("values come as JSON can hold them, and nothing is lost", async () => {
  const text =
    "SELECT 1 AS n, 9223372036854775807 AS n, 9007199254740991, 0.5, 9e999, x'00ff', NULL, 'ä\n', -9007199254740993";
  expect(await ask(text)).toMatchObject({
    columns: ["n", "n", "9007199254740991", "0.5", "9e999", "x'00ff'", "NULL", "'ä\n'", "-9007199254740993"],
    rows: [
      [
        1,
        "9223372036854775807",
        9007199254740991,
        0.5,
        "Infinity",
        "\\x00ff",
        null,
        "ä\n",
        "-9007199254740993",
      ],
    ],
    truncated: false,
    changed: null,
  });
});

it.each([
  [3, 3, false],
  [2, 2, true],
  [4, 3, false],
])("at most %i rows: %i, more: %s", async (limit, count, truncated) => {
  const { rows, ...rest } = await ask("SELECT * FROM t ORDER BY a", { limit });
  expect([rows.length, rest.truncated]).toEqual([count, truncated]);
});

it.each([
  "DELETE FROM t",
  "INSERT INTO t VALUES (9, 9) RETURNING a",
  "DROP TABLE t",
  "PRAGMA user_version = 7",
  "PRAGMA journal_mode = DELETE",
  "PRAGMA main.journal_mode(DELETE)",
  "PRAGMA wal_checkpoint",
  "EXPLAIN QUERY PLAN PRAGMA journal_mode = DELETE",
  "VACUUM",
  "VACUUM INTO 'elsewhere.db'",
  "WITH x AS (SELECT 1) UPDATE t SET b = 0",
  "REINDEX",
])("without write, %s is refused and changes nothing", async (text) => {
  await connection.close();
  const before = readFileSync(path);
  await expect(ask(text)).rejects.toMatchObject({ code: "usage" });
  expect(readFileSync(path)).toEqual(before);
});

it.each([
  ["PRAGMA journal_mode", "wal"],
  ["/* mode */ pragma main.journal_mode; -- now", "wal"],
  ["PRAGMA user_version", 0],
  ["PRAGMA integrity_check(5)", "ok"],
  ["PRAGMA table_info(t)", 0],
  ["EXPLAIN INSERT INTO t VALUES (9, 9)", 0],
  ["EXPLAIN QUERY PLAN DELETE FROM t WHERE a = 1", expect.any(Number)],
])("without write, %s only reads", async (text, value) => {
  const { rows, changed } = await ask(text);
  expect([rows[0]![0], changed]).toEqual([value, null]);
  expect(countRows()).toBe(3);
});

it.each([
  ["SELECT 1; SELECT 2", "usage"],
  ["", "usage"],
  ["-- nothing", "usage"],
  ["ATTACH 'other.db' AS other", "usage"],
  ["BEGIN", "usage"],
  ["SELECT * FRMO t", "failed"],
  ["SELECT nope FROM t", "failed"],
  ["SELECT ?", "failed"],
])("%s is %s", async (text, code) => {
  await expect(ask(text, { write: true })).rejects.toMatchObject({
    code,
  });
  expect(existsSync(join(dir, "other.db"))).toBe(false);
});

describe("with write", () => {
  it.each([
    ["DELETE FROM t WHERE a < 3", [], 2, 1],
    ["INSERT INTO t VALUES (4, 4), (5, 5) RETURNING a", [[4]], 2, 5],
    ["SELECT max(a) FROM t", [[3]], null, 3],
    ["VACUUM", [], 0, 3],
  ])("%s", async (text, rows, changed, left) => {
    expect(await ask(text, { write: true, limit: 1 })).toMatchObject({ rows, changed });
    expect(countRows()).toBe(left);
  });

  it("the constraint of a table is SQLite's own message, and nothing is kept", async () => {
    await expect(ask("INSERT INTO t VALUES (7, 7), (1, 1)", { write: true })).rejects.toThrow(
      "UNIQUE constraint failed: t.a",
    );
    expect(countRows()).toBe(3);
  });

  it("a file that somebody else writes to is locked; it can be read", async () => {
    const other = new Database(path);
    other.exec("BEGIN IMMEDIATE");
    await expect(ask("DELETE FROM t", { write: true })).rejects.toMatchObject({ code: "locked" });
    expect(await ask("SELECT count(*) FROM t")).toMatchObject({ rows: [[3]] });
    other.close();
  });
});

it("explain is the plan, and nothing is run", async () => {
  const plan = await ask("DELETE FROM t WHERE a = 1", { explain: true });
  expect(plan).toMatchObject({ columns: ["id", "parent", "detail"], changed: null });
  expect(plan.rows[0]!.at(-1)).toMatch(/SEARCH t USING.*INDEX/);
  expect(countRows()).toBe(3);
});

const ENDLESS = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) ";
it("a statement that never ends is stopped at the deadline; of a write nothing is kept", async () => {
  await expect(query(`${ENDLESS} SELECT count(*) FROM n`, {}, 800)).rejects.toMatchObject({ code: "failed" });
  const write = query(`${ENDLESS} INSERT INTO t SELECT x + 10, x FROM n`, { write: true }, 800);
  await expect(write).rejects.toMatchObject({ code: "unknown_outcome" });
  // the lock goes with the process
  await expect
    .poll(() => query("DELETE FROM t WHERE a = 3", { write: true }), { timeout: 20_000 })
    .toMatchObject({ changed: 1 });
  expect(countRows()).toBe(2);
});

it("a read takes no longer than a query may, and says which setting; a write has the call's time", async () => {
  const endless = query(`${ENDLESS} SELECT count(*) FROM n`, {}, 30_000, 50);
  await expect(endless).rejects.toMatchObject({
    code: "failed",
    message: expect.stringContaining("took longer than 0.05 s"),
    hint: expect.stringContaining("OPSCTL_QUERY_TIMEOUT"),
  });
  const long = `${ENDLESS} INSERT INTO t SELECT 9, count(*) FROM (SELECT x FROM n LIMIT 2000000)`;
  expect(await query(long, { write: true }, 30_000, 50)).toMatchObject({ changed: 1 });
});

it("whoever asked is killed: the statement ends, too", async () => {
  const box = new Sandbox();
  const asking = box.start(["query", "sqlite", `${ENDLESS} SELECT count(*) FROM n`], {
    env: { OPSCTL_DB: path },
  });
  const ended = collect(asking);
  const children = () => readFileSync(`/proc/${asking.pid}/task/${asking.pid}/children`, "utf8").trim();
  await until("the statement runs", () => children() !== "");
  const child = children();
  asking.kill("SIGKILL");
  await ended;
  // what nobody has waited for yet is a zombie
  const isOver = () => /^State:\s+Z/m.test(readFileSync(`/proc/${child}/status`, "utf8"));
  await until("the process of the statement has ended", () => !existsSync(`/proc/${child}`) || isOver());
  box.remove();
});

it("a file that is not there is said, and not made", async () => {
  const missing = sqliteQuery(sqliteConnection(join(dir, "none.db")), 1_000);
  const options = { write: true, explain: false, limit: 1 };
  await expect(missing.query(testCall(), "SELECT 1", options)).rejects.toThrow("is not there yet");
  expect(existsSync(join(dir, "none.db"))).toBe(false);
});

it("reading leaves the files and their modes as they are", async () => {
  chmodSync(path, 0o600);
  await connection.close();
  await query("SELECT * FROM t");
  expect(existsSync(`${path}-wal`)).toBe(false);
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

it("the shell gets the file, and the words of the setting", () => {
  expect(sqliteShell(sqliteTarget(path))).toEqual({ file: "sqlite3", args: [path], env: {} });
  expect(sqliteShell(sqliteTarget(path), "docker exec x sqlite3").args).toEqual([
    "exec",
    "x",
    "sqlite3",
    path,
  ]);
});
