/** PostgreSQL does not notice by itself that a client is gone while it works on its statement: the lock would stay as long as that. */
import pg from "pg";
import { afterEach, beforeEach, expect, it } from "vitest";
import { collect, Sandbox, until } from "../support/cli.ts";
import { writeMigrations } from "../support/migrations.ts";
import { postgresDatabase, type TestDatabase } from "../support/servers.ts";

let box: Sandbox;
let database: TestDatabase;
let client: pg.Client;

beforeEach(async () => {
  box = new Sandbox({ shared: true });
  database = await postgresDatabase();
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await client.query("CREATE TABLE pace AS SELECT 600 AS seconds");
  const slow = "CREATE TABLE a (id integer);\nSELECT pg_sleep(seconds) FROM pace;\n";
  writeMigrations(box, { "V001-slow-up.sql": slow }, "postgres");
  await box.ok(["migrate", "baseline", "postgres", "0"], { env: { DATABASE_URL: database.url } });
});
afterEach(async () => {
  await client.end();
  await database.drop();
  box.remove();
});

it("a runner that was killed in a statement of ten minutes keeps nobody waiting", async () => {
  const env = { DATABASE_URL: database.url };
  const child = box.start(["migrate", "up", "postgres"], { env });
  const ended = collect(child);
  await until("the statement runs", async () => {
    const sleeping =
      "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()";
    return (await client.query(sleeping)).rowCount === 1;
  });
  child.kill("SIGKILL");
  await ended;
  await client.query("UPDATE pace SET seconds = 0");
  const next = await box.run(["migrate", "up", "postgres", "--lock-wait", "20s"], { env });
  expect(next.code, next.stderr).toBe(0);
  expect(next.stdout).toContain("V001-slow-up.sql\tapplied");
});
