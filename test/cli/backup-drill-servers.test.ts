/** Drills of archives of real servers: a good one passes, silently damaged ones fail with the reason. */
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { sidecarPath } from "../../src/backup/archives.ts";
import type { Metadata } from "../../src/backup/metadata.ts";
import { askPostgres, makeSqlite, sidecarOf } from "../support/backup.ts";
import { Sandbox } from "../support/cli.ts";
import { type OwnRedis, ownRedis, postgresDatabase, type TestDatabase } from "../support/servers.ts";
import { damage } from "./backup-drill-kit.ts";

const box = new Sandbox({ shared: true });
const work = join(box.dir, "work-of-drills");
let postgres: TestDatabase;
let redis: OwnRedis;
let client: Redis;
let env: Record<string, string>;
let archive: string;

beforeAll(async () => {
  mkdirSync(work);
  [postgres, redis] = await Promise.all([postgresDatabase(), ownRedis()]);
  await askPostgres(
    postgres.url,
    `CREATE TABLE users (id int PRIMARY KEY, name text); INSERT INTO users SELECT n, 'user' || n FROM generate_series(1, 50) n;
     CREATE TABLE empty (x int);
     CREATE UNIQUE INDEX users_name ON users (name)`,
  );
  client = new Redis(redis.url);
  await client.mset(Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`key:${n}`, `value ${n}`])));
  await client.set("soon", "gone", "PX", 1);
  await client.select(3);
  await client.rpush("list", "a", "b");
  makeSqlite(join(box.cwd, "app.db"), 100_000);
  env = { DATABASE_URL: postgres.url, REDIS_URL: redis.url, OPSCTL_RESTORE_DIR: work };
  const args = [
    "backup",
    "postgres",
    "redis",
    "sqlite",
    "--sqlite",
    "app.db",
    "--format",
    "dir",
    "--name",
    "all",
  ];
  archive = String((await box.json("backup", args, { env }))["path"]);
});
afterEach(async () => {
  expect(readdirSync(work)).toEqual([]);
  expect(await scratchDatabases()).toEqual([]);
});
afterAll(async () => {
  client?.disconnect();
  await Promise.all([postgres?.drop(), redis?.stop()]);
  box.remove();
});

/** Of drills of this file's database. */
async function scratchDatabases(): Promise<unknown[]> {
  const name = new URL(postgres.url).pathname.slice(1);
  const rows = await askPostgres(postgres.url, "SELECT datname FROM pg_database ORDER BY 1");
  return rows.map(({ datname }) => String(datname)).filter((other) => other.startsWith(`${name}__`));
}

it("a good archive passes: loaded into PostgreSQL, a redis-server and a SQLite file of its own", async () => {
  const drilled = await box.json("backup drill", ["backup", "drill"], { env });
  expect(drilled).toMatchObject({ name: "all", ok: true, level: "drill", problems: [] });
  const rows = drilled["parts"].map((part: Record<string, unknown>) => [
    part["engine"],
    part["result"],
    part["loaded"],
  ]);
  expect(rows).toEqual([
    ["postgres", "ok", true],
    ["postgres", "ok", false],
    ["redis", "ok", true],
    ["sqlite", "ok", true],
  ]);
  const [postgresPart, , redisPart] = drilled["parts"];
  expect(postgresPart.breakdown).toMatchObject({ "public.users": 50, "public.empty": 0 });
  expect(redisPart.breakdown).toMatchObject({ db0: 500, db3: 1 });
  expect(sidecarOf(archive)).toMatchObject({ verified: { level: "drill" }, drill: { ok: true } });
  // roles belong to a whole server: that nobody loads them is not worth a word
  expect((await box.ok(["backup", "list"])).trimEnd()).toMatch(/\tok \S+$/);
});

/** The dump of what the database holds after some SQL, which is undone again. */
async function dumpAfter(file: string, change: string, undo: string): Promise<void> {
  await askPostgres(postgres.url, change);
  const url = new URL(postgres.url);
  const PGPASSWORD = decodeURIComponent(url.password);
  url.password = "";
  await execa("pg_dump", ["-Fc", "-f", file, "-d", url.href], { env: { PGPASSWORD } });
  await askPostgres(postgres.url, undo);
}

interface Damaged {
  what: string;
  engine: string;
  file: RegExp;
  change(file: string): void | Promise<void>;
  claim?(metadata: Metadata): void;
  problem: RegExp;
}

describe("a silently damaged one fails with the reason", () => {
  it.each<Damaged>([
    {
      what: "missing table",
      engine: "postgres",
      file: /\.dump$/,
      change: (file) => dumpAfter(file, "DROP TABLE empty", "CREATE TABLE empty (x int)"),
      problem: /public\.empty.*missing/,
    },
    {
      what: "wrong counts: rows that are not there",
      engine: "postgres",
      file: /\.dump$/,
      change: (file) =>
        dumpAfter(file, "DELETE FROM users WHERE id = 7", "INSERT INTO users VALUES (7, 'user7')"),
      problem: /public\.users: it holds 49, and the metadata says 50/,
    },
    {
      what: "wrong counts: the metadata promise more",
      engine: "redis",
      file: /\.rdb$/,
      change: () => {},
      claim: ({ parts }) => {
        parts.find(({ engine }) => engine === "redis")!.counts["keys"]! += 1;
      },
      problem: /keys: it holds 501, and the metadata says 502/,
    },
    {
      what: "index not valid",
      engine: "postgres",
      file: /\.dump$/,
      // as after a change of the sort order: two rows that are the same under a unique index
      change: (file) =>
        dumpAfter(
          file,
          `UPDATE pg_index SET indisready = false WHERE indexrelid = 'users_name'::regclass;
           UPDATE users SET name = 'user1' WHERE id = 2;
           UPDATE pg_index SET indisready = true WHERE indexrelid = 'users_name'::regclass`,
          "DROP INDEX users_name; UPDATE users SET name = 'user2' WHERE id = 2; CREATE UNIQUE INDEX users_name ON users (name)",
        ),
      problem: /unique index "users_name"/,
    },
    {
      what: "half a RDB",
      engine: "redis",
      file: /\.rdb$/,
      change: (file) => {
        const content = readFileSync(file);
        writeFileSync(file, content.subarray(0, content.length / 2));
      },
      problem: /redis all: /,
    },
    {
      what: "a RDB that is whole, and not of all keys",
      engine: "redis",
      file: /\.rdb$/,
      change: async (file) => {
        await client.flushdb();
        await client.save();
        const [, dir] = (await client.config("GET", "dir")) as string[];
        cpSync(join(dir!, "dump.rdb"), file);
      },
      problem: /keys: it holds 500, and the metadata says 501/,
    },
  ])("$what", async ({ what, engine, file, change, claim, problem }) => {
    const copy = join(box.dir, what.replaceAll(/\W/g, "-"), "all");
    cpSync(archive, copy, { recursive: true });
    cpSync(sidecarPath(archive), sidecarPath(copy));
    await damage(copy, file, change, claim);
    await box.ok(["backup", "verify", copy]);
    const args = ["backup", "drill", copy, "--only", engine, "--trust-archive"];
    const { code, stderr } = await box.run(args, { env });
    expect({ code, stderr }).toMatchObject({ code: 23, stderr: expect.stringMatching(problem) });
    expect(sidecarOf(copy)).toMatchObject({ damaged: { level: "drill" }, drill: { ok: false } });
  });
});

it("a scratch server that does not answer is no verdict: 20, and the archive stays as it was", async () => {
  const before = sidecarOf(archive);
  const nowhere = { ...env, DRILL_DATABASE_URL: "postgresql://drill:secret@127.0.0.1:1/drill" };
  const args = ["backup", "drill", "all", "--only", "postgres", "sqlite"];
  const found = await box.json("backup drill", args, { env: nowhere, code: 20 });
  const rows = found["parts"].map((part: Record<string, unknown>) => [part["engine"], part["result"]]);
  expect(rows).toContainEqual(["postgres", "error"]);
  expect(rows).toContainEqual(["sqlite", "ok"]);
  expect(JSON.stringify(found)).not.toContain("secret");
  expect(sidecarOf(archive)).toEqual(before);
  const made = await box.run(["backup", "postgres", "--drill", "--dir", "undrilled"], { env: nowhere });
  expect([made.code, made.stdout]).toEqual([3, expect.stringContaining("verified (checksums)")]);
});
