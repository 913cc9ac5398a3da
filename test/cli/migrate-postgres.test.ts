/** What `migrate` refuses on PostgreSQL, and who may read without being able to write. */
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Sandbox } from "../support/cli.ts";
import { SEVEN, writeMigrations } from "../support/migrations.ts";
import { postgresDatabase, type TestDatabase } from "../support/servers.ts";

let database: TestDatabase;
let box: Sandbox;
let client: pg.Client;

beforeAll(async () => {
  database = await postgresDatabase();
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
});
afterAll(async () => {
  await client.end();
  await database.drop();
});
beforeEach(() => {
  box = new Sandbox({ shared: true });
});
afterEach(() => box.remove());

function write(name: string, text: string): void {
  writeMigrations(box, { [name]: text }, "postgres");
}

async function relations(): Promise<string[]> {
  const { rows } = await client.query(
    "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname !~ '^opsctl_' ORDER BY 1",
  );
  return rows.map(({ relname }) => relname);
}

const FILE = "V001-first-up.sql";

describe("refused files", () => {
  const REFUSALS: [string, string, number, (string | RegExp)[]][] = [
    [
      "COMMIT",
      "CREATE TABLE a (id int);\n  COMMIT;\nCREATE TABLE b (id int);",
      2,
      [`${FILE}:2:3:`, "COMMIT"],
    ],
    [
      "COMMIT without a transaction",
      "-- opsctl: no-transaction\nSELECT 1;\nBEGIN;",
      2,
      [`${FILE}:3:1:`, "BEGIN"],
    ],
    ["a command of psql", "SELECT 1;\n\\i other.sql\n", 2, [`${FILE}:2:1:`, "psql"]],
    ["a dollar quote that never ends", "SELECT $a$ x $b$;", 2, [`${FILE}:1:8:`]],
    ["a comment that never ends", "SELECT 1; /* /* */", 2, [`${FILE}:1:11:`]],
    [
      "one of several that needs no transaction",
      "CREATE TABLE a (id int);\nCREATE INDEX CONCURRENTLY i ON a (id);",
      2,
      [`${FILE}:2:1:`, "CONCURRENTLY", "no-transaction"],
    ],
    [
      "a syntax error in statement 3 of 7",
      SEVEN,
      1,
      [
        `${FILE}:3:8:`,
        'syntax error at or near "TABEL"',
        /^ {2}3 \| CREATE TABEL b \(id INTEGER\);$/m,
        /^ {4}\| {8}\^$/m,
      ],
    ],
    [
      "an error behind characters beyond the BMP",
      "SELECT '😀é';\nSELECT '😀' FROM nowhere;",
      1,
      [`${FILE}:2:17:`],
    ],
  ];

  test.each(REFUSALS)("%s", async (_, text, code, says) => {
    write(FILE, text);
    const ran = await box.run(["migrate", "up", "postgres"], { env: { DATABASE_URL: database.url } });
    expect(ran.code, ran.stderr).toBe(code);
    expect(ran.stdout).toBe("");
    for (const part of says) {
      expect(ran.stderr).toMatch(part instanceof RegExp ? part : new RegExp(RegExp.escape(part)));
    }
    expect(ran.stderr).toMatch(/\nTry: \S/);
    expect(await relations()).toEqual([]);
  });
});

test("a user who may only read sees the status, before there is a history and after, and is refused by up", async () => {
  write(FILE, "CREATE TABLE a (id integer);");
  const reader = new URL(database.url);
  const name = `reader_${reader.pathname.slice(6)}`;
  await client.query(`CREATE ROLE ${name} LOGIN PASSWORD 'secret-of-reader'`);
  try {
    await client.query(`REVOKE CREATE ON SCHEMA public FROM PUBLIC; GRANT pg_read_all_data TO ${name}`);
    reader.username = name;
    reader.password = "secret-of-reader";
    const env = { DATABASE_URL: reader.href };
    const status = ["migrate", "status", "postgres"];
    expect((await box.json("migrate status", status, { env })).engines[0]).toMatchObject({
      applied: 0,
      pending: 1,
    });
    const refused = await box.run(["migrate", "up", "postgres"], { env });
    expect([1, 21]).toContain(refused.code);
    expect(refused.stderr).toMatch(/permission denied|may not/);
    expect(refused.stderr).not.toContain("secret-of-reader");
    await box.ok(["migrate", "up", "postgres"], { env: { DATABASE_URL: database.url } });
    expect((await box.json("migrate status", status, { env })).engines[0]).toMatchObject({
      applied: 1,
      pending: 0,
    });
    // nothing to do needs no right to do it
    expect(await box.run(["migrate", "up", "postgres"], { env })).toMatchObject({ code: 0, stdout: "" });
  } finally {
    await client.query(`DROP OWNED BY ${name}; DROP ROLE ${name}`);
  }
});

test("MIGRATION_DATABASE_URL is the way to the server, DATABASE_URL is not asked", async () => {
  write(FILE, "CREATE TABLE IF NOT EXISTS a (id integer);");
  const env = { DATABASE_URL: "postgresql://u:p@127.0.0.1:1/d", MIGRATION_DATABASE_URL: database.url };
  const { engines } = await box.json("migrate status", ["migrate", "status", "postgres"], { env });
  expect(engines[0].target).toContain(new URL(database.url).port);
});
