/** What the scripts made that opsctl replaces: their archives and single files, restored by the built program into real servers. */
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { Redis } from "ioredis";
import pg from "pg";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { Sandbox } from "../support/cli.ts";
import { type OwnRedis, ownRedis, postgresDatabase, type TestDatabase } from "../support/servers.ts";

const NAME = "20250115_143022";
const box = new Sandbox({ shared: true });
const set = join(box.cwd, NAME);
const live = join(box.cwd, "app.db");
let postgres: TestDatabase;
let redis: OwnRedis;
let env: Record<string, string>;
let opened: { sql: pg.Client; keys: Redis };

beforeAll(async () => {
  [postgres, redis] = await Promise.all([postgresDatabase(), ownRedis(["--repl-diskless-sync-delay", "0"])]);
  env = { DATABASE_URL: postgres.url, REDIS_URL: redis.url };
  opened = { sql: new pg.Client(postgres.url), keys: new Redis(redis.url) };
  opened.sql.on("error", () => {});
  await opened.sql.connect();
  await opened.sql.query(
    "CREATE TABLE sessions (id int PRIMARY KEY, data text); INSERT INTO sessions SELECT i, 'one ' || i FROM generate_series(1, 50) i",
  );
  await opened.sql.end();
  await opened.keys.mset({ "session:1": "a", "session:2": "b" });
  new Database(live).exec("CREATE TABLE t (x); INSERT INTO t VALUES (1), (2), (3)").close();
  makeArchive();
});
afterAll(async () => {
  opened.keys.disconnect();
  await redis.stop();
  await postgres.drop();
  box.remove();
});

/** As the guide's backup.sh does it. */
function makeArchive(): void {
  mkdirSync(set);
  const database = ["-d", postgres.url];
  execFileSync("pg_dump", [...database, "-Fc", "-f", join(set, "postgres.dump")]);
  execFileSync("pg_dump", [...database, "-f", join(set, "postgres.sql")]);
  execFileSync("redis-cli", ["-p", String(redis.port), "--rdb", join(set, "redis.rdb")], {
    env: { ...process.env, REDISCLI_AUTH: redis.password },
    stdio: "pipe",
  });
  execFileSync("sqlite3", [live, `.backup '${join(set, "app.db")}'`]);
  writeFileSync(join(set, "metadata.json"), `{"timestamp": "${NAME}", "host": "prod"}`);
  writeFileSync(join(set, "backup.log"), "all is well\n");
  mkdirSync(join(box.cwd, "backups"));
  execFileSync("tar", ["-czf", join(box.cwd, "backups", `${NAME}.tar.gz`), "-C", box.cwd, NAME]);
}

/** Everything is lost, and something else is there. */
beforeEach(async () => {
  const sql = new pg.Client(postgres.url);
  await sql.connect();
  await sql.query("DROP TABLE IF EXISTS sessions, other; CREATE TABLE other (x int)");
  await sql.end();
  await opened.keys.flushall();
  await opened.keys.set("other", "1");
  new Database(live).exec("DELETE FROM t").close();
});

async function found() {
  const sql = new pg.Client(postgres.url);
  await sql.connect();
  const { rows } = await sql.query(
    "SELECT string_agg(tablename, ',' ORDER BY tablename) AS tables FROM pg_tables WHERE schemaname = 'public'",
  );
  const tables = rows[0].tables as string;
  const count = tables.includes("sessions")
    ? await sql.query("SELECT count(*)::int AS n FROM sessions")
    : undefined;
  await sql.end();
  const database = new Database(live, { readonly: true });
  const lite = database.prepare("SELECT count(*) FROM t").pluck().get();
  database.close();
  const keys = (await opened.keys.keys("*")).sort();
  return { postgres: `${tables} ${count?.rows[0].n ?? 0}`, redis: keys.join(","), sqlite: lite };
}

const LOST = { postgres: "other 0", redis: "other", sqlite: 0 };
const BACK = { postgres: "sessions 50", redis: "session:1,session:2", sqlite: 3 };
const INTO = ["--sqlite", `app.db=${live}`];
const run = (...args: string[]) => box.run(["restore", ...args, "--yes", "--json"], { env });

it("the archive of the guide comes back whole when it is trusted, and not without", async () => {
  const refused = await run(NAME, ...INTO);
  expect(refused.code).toBe(2);
  expect(refused.stderr).toContain("--trust-archive");
  expect(await found()).toEqual(LOST);

  const { code, stdout, stderr } = await run(NAME, ...INTO, "--trust-archive");
  expect(code, stderr).toBe(0);
  const { trusted, notes, parts } = JSON.parse(stdout);
  expect(trusted).toBe("operator");
  expect(notes).toContain("backup.log is left out: it is not recognised");
  expect(notes).toContain("postgres.sql is not needed: postgres.dump is the same in the custom format");
  expect(parts.map(({ engine }: { engine: string }) => engine).sort()).toEqual([
    "postgres",
    "redis",
    "sqlite",
  ]);
  expect(await found()).toEqual(BACK);
});

it.each([
  { file: "postgres.sql", engine: "postgres" as const },
  { file: "redis.rdb", engine: "redis" as const },
  { file: "app.db", engine: "sqlite" as const },
])("$file alone comes back", async ({ file, engine }) => {
  const into = engine === "sqlite" ? INTO : [];
  const from = ["--from-file", join(set, file), "--only", engine, "--trust-archive"];
  const { code, stderr } = await run(...from, ...into);
  expect(code, stderr).toBe(0);
  expect(await found()).toEqual({ ...LOST, [engine]: BACK[engine] });
});

it("a truncated dump is refused, and nothing was touched", async () => {
  const path = join(box.cwd, "cut.sql.gz");
  execFileSync("sh", ["-c", `gzip -c "$1" | head -c 700 > "$2"`, "sh", join(set, "postgres.sql"), path]);
  const { code, stderr } = await run("--from-file", path, "--only", "postgres", "--trust-archive");
  expect(code, stderr).toBe(23);
  expect(stderr).toContain("cut.sql.gz");
  expect(await found()).toEqual(LOST);
});
