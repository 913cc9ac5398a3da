/** One statement of an operator: what it returns, what it refuses, and that a read changes nothing. */
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createCall } from "../../src/call.ts";
import type { Limits } from "../../src/config/targets.ts";
import { postgres } from "../../src/engines/postgres/engine.ts";
import { postgresQuery } from "../../src/engines/postgres/query.ts";
import type { Way } from "../../src/engines/postgres/query-client.ts";
import { askPostgres } from "../support/backup.ts";
import { testCall } from "../support/calls.ts";
import { eventually, failure } from "../support/postgres-migrations.ts";
import { postgresDatabase, type TestDatabase } from "../support/servers.ts";

const LIMITS: Limits = { connectMs: 10_000, queryMs: 20_000, poolSize: 2 };

let database: TestDatabase;
const opened: Way[] = [];

async function open(url = database.url): Promise<Way> {
  const target = { engine: "postgres" as const, url, shown: "", identity: "" };
  const way = { connection: await postgres.connect(target, LIMITS), origin: { target, limits: LIMITS } };
  opened.push(way);
  return way;
}

async function query(text: string, { write = false, explain = false, limit = 100, call = testCall() } = {}) {
  return postgresQuery(await open()).query(call, text, { write, explain, limit });
}

const sessions = (text: string) =>
  askPostgres(
    database.url,
    `SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND state = 'active' AND query = '${text}'`,
  );

beforeAll(async () => {
  database = await postgresDatabase();
  await askPostgres(
    database.url,
    `CREATE TABLE t (id int PRIMARY KEY, secret text);
     INSERT INTO t SELECT n, 'value ' || n FROM generate_series(1, 10) n;
     CREATE FUNCTION grows() RETURNS int LANGUAGE plpgsql AS 'BEGIN INSERT INTO t VALUES (1000); RETURN 1; END'`,
  );
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map(({ connection }) => connection.close()));
});
afterAll(() => database?.drop());

describe("values", () => {
  it.each([
    ["1::int", 1],
    ["9007199254740991::bigint", 9007199254740991],
    ["9007199254740993::bigint", "9007199254740993"],
    ["1.5::numeric", 1.5],
    ["1.10::numeric", "1.10"],
    ["100000::numeric(20,4)", "100000.0000"],
    ["ARRAY[1.0, 0.25, -7]::numeric[]", ["1.0", 0.25, -7]],
    ["0.0000001::numeric", "0.0000001"],
    ["1000000000000000000000::numeric", "1000000000000000000000"],
    ["12345678901234567.25::numeric", "12345678901234567.25"],
    ["'NaN'::numeric", "NaN"],
    ["'-Infinity'::float8", "-Infinity"],
    ["0.1::float8", 0.1],
    ["true", true],
    ["NULL::int", null],
    [String.raw`'\xdeadBEEF'::bytea`, String.raw`\xdeadbeef`],
    ["'2024-02-29'::date", "2024-02-29"],
    ["timestamp '2024-02-29 12:00:00.5'", "2024-02-29 12:00:00.5"],
    [`'{"a": [1, 9007199254740993, 0.5]}'::jsonb`, { a: [1, "9007199254740993", 0.5] }],
    ["'null'::jsonb", null],
    ["ARRAY[1, NULL, 3]", [1, null, 3]],
    [
      "ARRAY[[1, 2], [3, 4]]",
      [
        [1, 2],
        [3, 4],
      ],
    ],
    [
      String.raw`ARRAY['a,b', 'c"d', 'NULL', '', 'e\f', '{}']`,
      ["a,b", 'c"d', "NULL", "", String.raw`e\f`, "{}"],
    ],
    ["'{}'::text[]", []],
    ["'[2:3]={7,8}'::int[]", [7, 8]],
    [`ARRAY['{"a": 1}'::jsonb]`, [{ a: 1 }]],
    ["ARRAY[true, false]", [true, false]],
    ["'00000000-0000-0000-0000-000000000001'::uuid", "00000000-0000-0000-0000-000000000001"],
    ["'Grüße 🙂'", "Grüße 🙂"],
    ["ROW(1, 'a')", "(1,a)"],
  ])("%s", async (expression, value) => {
    expect((await query(`SELECT ${expression} AS v`)).rows).toEqual([[value]]);
  });

  it("keeps columns of one name apart, and has columns where there are no rows", async () => {
    expect(await query("SELECT 1 AS a, 2 AS a")).toMatchObject({ columns: ["a", "a"], rows: [[1, 2]] });
    expect(await query("SELECT 1 AS a WHERE false")).toEqual({
      columns: ["a"],
      rows: [],
      truncated: false,
      changed: null,
    });
  });

  it("takes what is no SELECT, and a semicolon with a comment behind it", async () => {
    expect((await query("SHOW transaction_read_only; -- is it")).rows).toEqual([["on"]]);
    expect((await query("TABLE t", { limit: 2 })).rows).toHaveLength(2);
    expect((await query("WITH x AS (SELECT 1 AS one) SELECT * FROM x")).columns).toEqual(["one"]);
  });
});

describe("the limit", () => {
  it.each([
    [9, true],
    [10, false],
    [11, false],
  ])("%i of 10 rows", async (limit, truncated) => {
    const result = await query("SELECT * FROM t ORDER BY id", { limit });
    expect(result).toMatchObject({ truncated });
    expect(result.rows).toHaveLength(Math.min(limit, 10));
  });

  it("is where the server stops: the row behind it is never computed", async () => {
    const result = await query("SELECT 1 / (4 - n) FROM generate_series(1, 4) n", { limit: 2 });
    expect(result).toMatchObject({ truncated: true, rows: [[0], [0]] });
  });

  it("stops no write", async () => {
    await query("CREATE SEQUENCE counted", { write: true });
    const result = await query("SELECT nextval('counted') FROM generate_series(1, 50)", {
      write: true,
      limit: 2,
    });
    expect(result).toMatchObject({ truncated: true, rows: [[1], [2]] });
    expect((await query("SELECT last_value FROM counted")).rows).toEqual([[50]]);
  });
});

describe("an answer that is too large", () => {
  const MEGABYTES = "repeat('x', 1000000)";

  it("ends a read, in the server too", async () => {
    const text = `SELECT ${MEGABYTES} FROM generate_series(1, 100000)`;
    const error = await failure(query(text, { limit: 100_000 }));
    expect(error).toMatchObject({
      code: "failed",
      message: "the answer is larger than 64 MiB",
      hint: expect.stringContaining("--limit"),
    });
    const like = "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT repeat(%' AND state = 'active'";
    await eventually(() => askPostgres(database.url, like)).toEqual([]);
  });

  it("of one value is never taken whole", async () => {
    const error = await failure(query("SELECT repeat('x', 100000000)"));
    expect(error.message).toBe("the answer is larger than 64 MiB");
  });

  it("of a write says that it has taken effect", async () => {
    const text = `INSERT INTO large SELECT n FROM generate_series(1, 80) n RETURNING ${MEGABYTES}`;
    await query("CREATE TABLE large (id int)", { write: true });
    expect(await query(text, { write: true, limit: 2 })).toMatchObject({ truncated: true, changed: 80 });
    const error = await failure(query(text, { write: true }));
    expect(error.message).toBe(
      "INSERT 0 80: the statement has taken effect, but the answer is larger than 64 MiB",
    );
    expect((await query("SELECT count(*) FROM large")).rows).toEqual([[160]]);
  });
});

describe("a read", () => {
  it.each([
    "INSERT INTO t VALUES (99)",
    "UPDATE t SET secret = ''",
    "DELETE FROM t",
    "CREATE TABLE other (id int)",
    "WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone",
    "SELECT grows()",
    "DO 'BEGIN PERFORM grows(); END'",
    "DO 'BEGIN SET TRANSACTION READ WRITE; PERFORM grows(); END'",
    "DO $$ BEGIN PERFORM set_config('transaction_read_only', 'off', false); PERFORM grows(); END $$",
    "SELECT set_config('transaction_read_only', 'off', false), grows()",
    "VACUUM t",
    "REINDEX TABLE t",
    "COPY t TO PROGRAM 'cat > /dev/null'",
    "ALTER SYSTEM SET work_mem = '5MB'",
    "CREATE DATABASE never",
    "SELECT nextval('none') FROM grows()",
  ])("refuses %s", async (text) => {
    const error = await failure(query(text));
    expect(["usage", "failed"]).toContain(error.code);
    expect((await query("SELECT count(*), min(secret) FROM t")).rows).toEqual([[10, "value 1"]]);
  });

  it.each([
    ["SELECT pg_terminate_backend(0)", "pg_terminate_backend"],
    ["select PG_Cancel_Backend /* now */ (0)", "pg_cancel_backend"],
    ['SELECT pg_catalog."pg_reload_conf" ()', "pg_reload_conf"],
    [String.raw`SELECT U&"\0070g_switch_wal"()`, "pg_switch_wal"],
    [`SELECT U&"!+000070g_rotate_logfile" UESCAPE '!' ()`, "pg_rotate_logfile"],
    ["SELECT * FROM pg_create_physical_replication_slot('never')", "pg_create_physical_replication_slot"],
    ["SELECT pg_drop_replication_slot('never')", "pg_drop_replication_slot"],
    ["SELECT * FROM pg_logical_slot_get_changes('never', NULL, NULL)", "pg_logical_slot_get_changes"],
    ["WITH r AS (SELECT pg_stat_reset()) SELECT * FROM r", "pg_stat_reset"],
    ["EXPLAIN ANALYZE SELECT pg_stat_statements_reset()", "pg_stat_statements_reset"],
    ["SELECT pg_advisory_lock(4711)", "pg_advisory_lock"],
    ["SELECT pg_try_advisory_lock_shared(4711)", "pg_try_advisory_lock_shared"],
    ["SELECT lo_export(1, '/tmp/never')", "lo_export"],
    ["SELECT * FROM dblink_exec('', 'DELETE FROM t')", "dblink_exec"],
    ["SELECT query_to_xml($$SELECT pg_stat_reset()$$, true, true, '')", "pg_stat_reset"],
  ])("refuses what acts at once: %s", async (text, name) => {
    expect(await failure(query(text))).toMatchObject({
      code: "usage",
      message: expect.stringContaining(`${name}() acts on the server`),
      hint: expect.stringContaining("--write"),
    });
  });

  it.each(["DO 'BEGIN END'", "CALL never()", "LOCK TABLE t"])("refuses unseen: %s", async (text) => {
    expect(await failure(query(text))).toMatchObject({
      code: "usage",
      hint: expect.stringContaining("--write"),
    });
  });

  it.each([
    ["SELECT 'pg_terminate_backend(0)' AS v -- pg_reload_conf()", "pg_terminate_backend(0)"],
    ["SELECT count(*) AS v FROM pg_proc pg_reload_conf WHERE proname = $$pg_stat_reset()$$", 0],
    ["SELECT pg_stat_get_db_stat_reset_time(0) AS v", null],
    ["SELECT pg_advisory_unlock_all() AS v", ""],
  ])("takes a name that is not called: %s", async (text, value) => {
    expect((await query(text)).rows).toEqual([[value]]);
  });

  it("has no effect with pg_notify: it is never committed", async () => {
    const heard: string[] = [];
    const client = new pg.Client(database.url);
    await client.connect();
    client.on("notification", ({ payload }) => heard.push(payload ?? ""));
    await client.query("LISTEN planted");
    await query("SELECT pg_notify('planted', 'by a read')");
    await query("SELECT pg_notify('planted', 'by a write')", { write: true });
    await eventually(async () => heard).toEqual(["by a write"]);
    await client.end();
  });

  it("acts with --write, and is planned with --explain", async () => {
    expect(await query("SELECT pg_cancel_backend(0)", { write: true })).toMatchObject({ rows: [[false]] });
    expect((await query("SELECT pg_stat_reset()", { explain: true })).columns).toEqual(["QUERY PLAN"]);
  });

  it("says what to add", async () => {
    const error = await failure(query("DELETE FROM t"));
    expect(error).toMatchObject({ code: "usage", hint: expect.stringContaining("--write") });
    expect(error.message).toContain("cannot execute DELETE in a read-only transaction");
  });
});

describe("what is not one statement", () => {
  it.each([
    ["", "there is no statement"],
    [" ; -- nothing", "there is no statement"],
    ["SELECT 1; SELECT 2", "2 statements"],
    ["COMMIT", "COMMIT"],
    ["BEGIN", "BEGIN"],
    [String.raw`\d t`, String.raw`\d is a command of psql`],
    ["COPY t TO STDOUT", "COPY"],
    ["SELECT 'a", "1:8: this string never ends"],
  ])("%j", async (text, message) => {
    const error = await failure(query(text));
    expect(error).toMatchObject({ code: "usage", message: expect.stringContaining(message) });
  });
});

describe("a write", () => {
  it.each([
    ["INSERT INTO t VALUES (20), (21) RETURNING id", [[20], [21]], 2],
    ["UPDATE t SET secret = 'x' WHERE id > 19", [], 2],
    ["DELETE FROM t WHERE id > 19", [], 2],
    ["CREATE TABLE made AS SELECT * FROM t", [], 10],
    ["DROP TABLE made", [], null],
    ["SELECT count(*) FROM t", [[10]], null],
    ["VACUUM (ANALYZE) t", [], null],
    ["REINDEX TABLE CONCURRENTLY t", [], null],
    ["CREATE INDEX CONCURRENTLY t_secret ON t (secret)", [], null],
  ])("%s", async (text, rows, changed) => {
    expect(await query(text, { write: true })).toMatchObject({ rows, changed });
  });

  it("takes a new database, which no transaction does", async () => {
    const name = `${new URL(database.url).pathname.slice(1)}_new`;
    await query(`CREATE DATABASE ${name}`, { write: true });
    expect(await query(`DROP DATABASE ${name}`, { write: true })).toMatchObject({ columns: [] });
  });
});

describe("a plan", () => {
  it("runs nothing, whatever the text begins with", async () => {
    const { columns, rows } = await query("DELETE FROM t", { explain: true });
    expect(columns).toEqual(["QUERY PLAN"]);
    expect(rows[0]![0]).toMatch(/^Delete on t/);
    for (const text of [
      "ANALYZE DELETE FROM t",
      "(ANALYZE) DELETE FROM t",
      "EXPLAIN ANALYZE DELETE FROM t",
    ]) {
      expect(await failure(query(text, { explain: true, write: true }))).toBeInstanceOf(Error);
    }
    expect((await query("SELECT count(*) FROM t")).rows).toEqual([[10]]);
  });

  it("has the place of a mistake in the text as it was given", async () => {
    const error = await failure(query("SELECT nothing FROM t", { explain: true }));
    expect(error.message).toContain('query:1:8: column "nothing" does not exist (SQLSTATE 42703)');
  });
});

describe("errors", () => {
  it("have line and column, and the server's words", async () => {
    const error = await failure(query("SELECT *\n  FROM t t t"));
    expect(error).toMatchObject({ code: "failed", engine: "postgres" });
    expect(error.message).toContain('query:2:12: syntax error at or near "t" (SQLSTATE 42601)');
  });

  it.each([
    ["SELECT secret::int FROM t", "value 1"],
    ["ALTER ROLE postgres PASWORD 'geheim-1'", "geheim-1"],
    ["ALTER ROLE postgres PASSWORD 'geheim-2' 'x'", "geheim-2"],
  ])("show no value: %s", async (text, hidden) => {
    const error = await failure(query(text, { write: true }));
    expect(`${error.message} ${error.hint}`).not.toContain(hidden);
  });

  it("name the time limit, and the server has stopped", async () => {
    const error = await failure(query("SELECT pg_sleep(301)", { call: testCall(600) }));
    expect(error).toMatchObject({ code: "failed", hint: expect.stringContaining("--timeout") });
    await eventually(() => sessions("SELECT pg_sleep(301)")).toEqual([]);
  });

  it("end a write with the call, in the server too", async () => {
    const abort = new AbortController();
    const call = createCall({ actor: "tester@host", signal: abort.signal });
    const work = failure(query("SELECT pg_sleep(302)", { write: true, call }));
    await eventually(() => sessions("SELECT pg_sleep(302)")).toHaveLength(1);
    abort.abort();
    expect(await work).toBeInstanceOf(Error);
    await eventually(() => sessions("SELECT pg_sleep(302)")).toEqual([]);
  });

  it("of a write whose connection is lost leave the outcome open", async () => {
    const work = failure(query("SELECT pg_sleep(303)", { write: true }));
    await eventually(() => sessions("SELECT pg_sleep(303)")).toHaveLength(1);
    await askPostgres(
      database.url,
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(303)'",
    );
    expect((await work).code).toBe("unknown_outcome");
  });

  it("of a connection are those of every command", async () => {
    const url = new URL(database.url);
    url.password = "wrong";
    const work = postgresQuery(await open(url.href)).query(testCall(), "SELECT 1", {
      write: false,
      explain: false,
      limit: 1,
    });
    expect(await failure(work)).toMatchObject({ code: "auth" });
  });
});
