import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { Redis } from "ioredis";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type DeepDigest, postgresDigest, redisDigest, sqliteDigest } from "../support/deep-digest.ts";
import { type OwnRedis, ownRedis, postgresDatabase, type TestDatabase } from "../support/servers.ts";

/** Names of what differs. */
function changed(before: DeepDigest, after: DeepDigest): string[] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].filter((name) => before[name] !== after[name]).toSorted();
}

describe("the digest of a PostgreSQL database", () => {
  let database: TestDatabase;
  let client: pg.Client;
  /** Of the one before. */
  let before: DeepDigest;

  beforeAll(async () => {
    database = await postgresDatabase();
    client = new pg.Client({ connectionString: database.url });
    await client.connect();
    await client.query(`
      CREATE TABLE t (id serial PRIMARY KEY, v float8, d jsonb);
      INSERT INTO t (v, d) SELECT n, jsonb_build_object('n', n) FROM generate_series(1, 50) n;
      CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
      CREATE TRIGGER tr BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f();
      CREATE VIEW vw AS SELECT id FROM t;
      CREATE MATERIALIZED VIEW mv AS SELECT v FROM t WHERE id = 7;
      CREATE INDEX t_v ON t (v);
      SELECT lo_from_bytea(4711, 'abc');`);
    before = await postgresDigest(database.url);
  });

  afterAll(async () => {
    await client?.end();
    await database?.drop();
  });

  it("is the same for rows in another order", async () => {
    await client.query("CREATE TEMP TABLE c AS SELECT * FROM t ORDER BY id DESC");
    await client.query("DELETE FROM t; INSERT INTO t SELECT * FROM c; DROP TABLE c");
    await client.query("VACUUM FULL t");
    expect(changed(before, await postgresDigest(database.url))).toEqual([]);
  });

  it.each<[what: string, sql: string, names: string[]]>([
    ["a value's last bit", "UPDATE t SET v = 7.000000000000001 WHERE id = 7", ["rows public.t"]],
    ["a row twice", "CREATE TABLE u (a int); INSERT INTO u VALUES (1), (1)", ["rows public.u", "schema"]],
    ["a row of two that are alike", "DELETE FROM u WHERE ctid = '(0,1)'", ["rows public.u"]],
    ["a sequence", "SELECT nextval('t_id_seq')", ["sequence public.t_id_seq"]],
    ["a sequence that was not called", "SELECT setval('t_id_seq', 51, false)", ["sequence public.t_id_seq"]],
    ["a trigger that is off", "ALTER TABLE t DISABLE TRIGGER tr", ["schema"]],
    [
      "a function",
      "CREATE OR REPLACE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'",
      ["schema"],
    ],
    ["a view", "CREATE OR REPLACE VIEW vw AS SELECT id FROM t WHERE id > 0", ["schema"]],
    ["a materialized view's rows", "REFRESH MATERIALIZED VIEW mv", ["rows public.mv"]],
    ["a materialized view without rows", "REFRESH MATERIALIZED VIEW mv WITH NO DATA", ["rows public.mv"]],
    ["a constraint", "ALTER TABLE t ADD CHECK (id > 0) NOT VALID", ["schema"]],
    ["a constraint that is valid", "ALTER TABLE t VALIDATE CONSTRAINT t_id_check", ["schema"]],
    [
      "an index that is not valid",
      "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 't_v'::regclass",
      ["indexes", "schema"],
    ],
    ["a right on a table", "GRANT SELECT ON t TO pg_monitor", ["schema"]],
    [
      "a right on the database",
      "DO $$ BEGIN EXECUTE format('REVOKE TEMP ON DATABASE %I FROM PUBLIC', current_database()); END $$",
      ["database"],
    ],
    [
      "a setting of the database",
      "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET work_mem = ''5MB''', current_database()); END $$",
      ["database settings"],
    ],
    ["a large object", "SELECT lo_put(4711, 1, 'x')", ["large objects"]],
    ["an extension", "CREATE EXTENSION pg_trgm", ["extensions", "schema"]],
    ["a comment", "COMMENT ON COLUMN t.v IS 'x'", ["schema"]],
  ])("tells %s", async (_, sql, names) => {
    await client.query(sql);
    const after = await postgresDigest(database.url);
    expect(changed(before, after)).toEqual(names);
    before = after;
  });
});

describe("the digest of a Redis server", () => {
  let server: OwnRedis;
  let client: Redis;
  let before: DeepDigest;

  beforeAll(async () => {
    server = await ownRedis(["--enable-debug-command", "yes"]);
    client = new Redis(server.url);
    const many = Array.from({ length: 1_000 }, (_, index) => `member-${index}`);
    await client
      .pipeline()
      .mset({ s: "text", n: 12, raw: Buffer.from([0, 255, 10]) })
      .rpush("l", "a", "b", "c")
      .sadd("set", ...many)
      .zadd("z", 1, "a", 1.5, "b")
      .hset("h", "f", "1", "g", "2")
      .xadd("x", "1-1", "f", "v")
      .xgroup("CREATE", "x", "g", "0")
      .pfadd("hll", "a", "b")
      .pexpireat("s", 4_000_000_000_000)
      .select(3)
      .set("other", "1")
      .exec();
    await client.call(
      "FUNCTION",
      "LOAD",
      "#!lua name=lib\nredis.register_function('f', function() return 1 end)",
    );
    await client.select(0);
    before = await redisDigest(server.url);
  });

  afterAll(async () => {
    client?.disconnect();
    await server?.stop();
  });

  it("is the same after the server has read its file again, with other tables inside", async () => {
    await client.call("DEBUG", "RELOAD");
    const members = await client.smembers("set");
    await client.del("set");
    await client.sadd("set", ...members.toReversed());
    expect(changed(before, await redisDigest(server.url))).toEqual([]);
  });

  it.each<[what: string, command: [string, ...(string | number)[]], names?: string[]]>([
    ["a TTL by one millisecond", ["PEXPIREAT", "s", "4000000000001"]],
    ["a TTL that is gone", ["PERSIST", "s"]],
    ["a value", ["SET", "n", "13"]],
    ["a byte", ["SETRANGE", "raw", 1, "a"]],
    ["the order of a list", ["LSET", "l", 0, "c"]],
    ["a member of a set", ["SREM", "set", "member-500"]],
    ["a score", ["ZADD", "z", "1.5000000000000002", "b"]],
    ["a field's value", ["HSET", "h", "f", "2"]],
    ["an entry of a stream", ["XADD", "x", "2-1", "f", "v"]],
    ["what a group has read", ["XREADGROUP", "GROUP", "g", "c", "COUNT", "1", "STREAMS", "x", ">"]],
    ["a stream's last id", ["XSETID", "x", "9-9"]],
    ["a hyperloglog", ["PFADD", "hll", "c"]],
    ["an empty value", ["SET", "empty", ""]],
    ["a key's name", ["RENAME", "empty", "empty2"]],
    ["a key's database", ["MOVE", "n", "3"], ["database 0", "database 3"]],
    [
      "a function",
      [
        "FUNCTION",
        "LOAD",
        "REPLACE",
        "#!lua name=lib\nredis.register_function('f', function() return 2 end)",
      ],
      ["functions"],
    ],
  ])("tells %s", async (_, [name, ...args], names = ["database 0"]) => {
    await client.call(name, ...args);
    const after = await redisDigest(server.url);
    expect(changed(before, after)).toEqual(names);
    before = after;
  });
});

describe("the digest of a SQLite file", () => {
  const dir = mkdtempSync(join(tmpdir(), "opsctl-digest-"));
  const path = join(dir, "app.db");
  const database = new Database(path);

  beforeAll(() => {
    database.pragma("journal_mode = WAL");
    database.exec(`
      CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, v, w TEXT);
      CREATE TABLE k (a TEXT, b INT, PRIMARY KEY (a)) WITHOUT ROWID;
      CREATE TABLE rowid_names (rowid TEXT, v INT);
      CREATE VIRTUAL TABLE words USING fts5(body);
      CREATE VIEW vw AS SELECT id FROM t;
      CREATE TRIGGER tr AFTER DELETE ON t BEGIN SELECT 1; END;
      INSERT INTO t (v, w) VALUES (1, 'a'), (1.5, 'b'), (x'00ff', ''), (NULL, 'ü'), (9007199254740993, 'x');
      INSERT INTO k VALUES ('a', 1), ('b', 2);
      INSERT INTO rowid_names VALUES ('x', 1);
      INSERT INTO words VALUES ('restart the pool');`);
  });

  afterAll(() => {
    database.close();
    rmSync(dir, { recursive: true });
  });

  it("is that of a copy by sqlite3", () => {
    const copy = join(dir, "copy.db");
    execFileSync("sqlite3", [path, `.backup '${copy}'`]);
    expect(sqliteDigest(copy)).toEqual(sqliteDigest(path));
  });

  it("has what is in the -wal only", () => {
    const bare = join(dir, "bare.db");
    database.pragma("wal_checkpoint(TRUNCATE)");
    database.exec("INSERT INTO k VALUES ('c', 3)");
    copyFileSync(path, bare);
    expect(changed(sqliteDigest(path), sqliteDigest(bare))).toEqual(["rows k"]);
  });

  it.each<[what: string, sql: string, names: string[]]>([
    ["an integer turned real", "UPDATE t SET v = 1.0 WHERE id = 1", ["rows t"]],
    ["a text turned blob", "UPDATE t SET w = x'61' WHERE id = 1", ["rows t"]],
    ["an integer's last bit", "UPDATE t SET v = 9007199254740992 WHERE id = 5", ["rows t"]],
    ["an empty text turned null", "UPDATE t SET w = NULL WHERE id = 3", ["rows t"]],
    ["a row without rowid", "UPDATE k SET b = 3 WHERE a = 'b'", ["rows k"]],
    ["a rowid", "UPDATE rowid_names SET _rowid_ = 7", ["rows rowid_names"]],
    ["a sequence", "UPDATE sqlite_sequence SET seq = 99", ["rows sqlite_sequence"]],
    ["a trigger", "DROP TRIGGER tr", ["schema"]],
    ["an index", "CREATE INDEX t_v ON t (v)", ["schema"]],
    ["the user's version", "PRAGMA user_version = 5", ["user_version"]],
    ["the application's id", "PRAGMA application_id = 6", ["application_id"]],
  ])("tells %s", (_, sql, names) => {
    const before = sqliteDigest(path);
    database.exec(sql);
    expect(changed(before, sqliteDigest(path))).toEqual(names);
  });

  it("tells the content of a full-text index", () => {
    const before = sqliteDigest(path);
    database.exec("UPDATE words SET body = 'restart a pool'");
    expect(changed(before, sqliteDigest(path))).toContain("rows words_content");
  });
});
