/** `query` and `shell` through the built program: what every engine shares. What each understands is in its own tests. */
import { chmodSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Sandbox } from "../support/cli.ts";
import { type OwnRedis, ownRedis, postgresDatabase, type TestDatabase } from "../support/servers.ts";

let sandbox: Sandbox;
let postgres: TestDatabase;
let redis: OwnRedis;
let env: Record<string, string>;
beforeAll(async () => {
  sandbox = new Sandbox();
  [postgres, redis] = await Promise.all([postgresDatabase(), ownRedis()]);
  env = { DATABASE_URL: postgres.url, REDIS_URL: redis.url };
  await sandbox.ok(["remember", "issue:a", "restarted"]);
});
afterAll(async () => {
  await Promise.all([postgres.drop(), redis.stop()]);
  sandbox.remove();
});

describe("query", () => {
  test("rows as JSON, with what there is more of", async () => {
    const statement = "SELECT i, i * 1.5 AS half, NULL AS nothing FROM generate_series(1, 5) i";
    const answer = await sandbox.json("query", ["query", "pg", statement, "--limit", "2"], { env });
    expect(answer).toMatchObject({
      engine: "postgres",
      columns: ["i", "half", "nothing"],
      count: 2,
      truncated: true,
      changed: null,
    });
    expect(answer["rows"].map((row: unknown[]) => [row[0], row[2]])).toEqual([
      [1, null],
      [2, null],
    ]);
    expect(answer["target"]).not.toContain(new URL(postgres.url).password);
  });

  test("in a pipe a row is a line, whatever is in it", async () => {
    const stdout = await sandbox.ok(["query", "pg", "SELECT E'a\\tb\\nc\\x1b[31m' AS text, 2 AS n"], { env });
    expect(stdout).toBe("a\\tb\\nc\\x1b[31m\t2\n");
  });

  test("the statement may come from stdin", async () => {
    expect(
      await sandbox.ok(["query", "sqlite", "-"], { input: "SELECT count(*) FROM memori_metadata\n" }),
    ).toBe("1\n");
  });

  test.each([
    ["postgres", "CREATE TABLE made (i int)", "TABLE made"],
    ["redis", "SET made 1", "GET made"],
    ["sqlite", "CREATE TABLE made (i int)", "SELECT * FROM made"],
  ])("%s: without --write the server refuses a write, with it it happens", async (engine, write, read) => {
    const refused = await sandbox.run(["query", engine, write], { env });
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain("--write");
    await sandbox.ok(["query", engine, write, "--write"], { env });
    await sandbox.ok(["query", engine, read], { env });
  });

  test.each([
    [["query", "mysql", "SELECT 1"], '"mysql" is no engine'],
    [["query", "all", "SELECT 1"], "no single engine"],
    [["query", "neo4j", "RETURN 1"], "neo4j is not configured"],
    [["query", "postgres", "  "], "the statement is empty"],
    [["query", "postgres", "SELECT 1; SELECT 2"], "2 statements"],
    [["query", "postgres", "SELECT 1", "--explain", "--write"], "--explain runs nothing"],
    [["query", "postgres", "SELECT 1", "--limit", "0"], "--limit"],
    [["query", "redis", "PING", "--explain"], "plan"],
  ])("%j: usage", async (args, message) => {
    const { code, stdout, stderr } = await sandbox.run(args, { env });
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(message);
    expect(stderr).toContain("Try: ");
  });

  test("a plan instead of the rows", async () => {
    const plan = await sandbox.ok([
      "query",
      "sqlite",
      "SELECT * FROM memori_metadata WHERE id = 'x'",
      "--explain",
    ]);
    expect(plan).toMatch(/SEARCH|SCAN/);
  });
});

describe("shell", () => {
  /** A program that shows what it was given. */
  const spy = () => {
    const path = sandbox.file(
      "spy.sh",
      '#!/bin/sh\necho "args: $*"\necho "secret: $PGPASSWORD$REDISCLI_AUTH"\necho "others: $NEO4J_PASSWORD$DATABASE_URL$REDIS_URL$REDIS_PASSWORD$OPSCTL_BACKUP_IDENTITY$PGSERVICE$PGPASSFILE$PGHOSTADDR"\nexit 7\n',
    );
    chmodSync(path, 0o755);
    return path;
  };

  /** They would lead psql elsewhere. */
  const LIBPQ = { PGSERVICE: "elsewhere", PGPASSFILE: "/tmp/no-such-file", PGHOSTADDR: "192.0.2.1" };
  /** What is in the environment beside the connections, and no business of a shell. */
  const FOREIGN = { NEO4J_PASSWORD: "canary-neo4j", OPSCTL_BACKUP_IDENTITY: "canary-identity", ...LIBPQ };

  test.each([
    ["postgres", "OPSCTL_PSQL", () => new URL(postgres.url).password],
    ["redis", "OPSCTL_REDIS_CLI", () => redis.password],
  ])(
    "%s: the password travels in the environment; the exit code is the shell's",
    async (engine, setting, password) => {
      const { code, stdout } = await sandbox.run(["shell", engine, "--", "--extra", "two words"], {
        env: { ...env, ...FOREIGN, [setting]: spy() },
      });
      expect(code).toBe(7);
      const [args, secret, others] = stdout.split("\n");
      expect(args).toMatch(/--extra two words$/);
      expect(args).not.toContain(password());
      expect(secret).toBe(`secret: ${password()}`);
      expect(others).toBe(engine === "postgres" ? "others: " : `others: ${Object.values(LIBPQ).join("")}`);
    },
  );

  test.each([
    ["postgres", ["-Atc", "SELECT 40 + 2"], "42\n"],
    ["redis", ["PING"], "PONG\n"],
    ["sqlite", ["SELECT 40 + 2"], "42\n"],
  ])("%s: the real one is connected", async (engine, args, answer) => {
    const { code, stdout, stderr } = await sandbox.run(["shell", engine, "--", ...args], { env });
    expect([code, stdout, stderr]).toEqual([0, answer, expect.anything()]);
  });

  test("one that is not there: what to install, or which setting says where it is", async () => {
    const { code, stderr } = await sandbox.run(["shell", "postgres"], {
      env: { ...env, OPSCTL_PSQL: "no-such-psql" },
    });
    expect(code).toBe(1);
    expect(stderr).toMatch(/no-such-psql.*not on PATH[\s\S]*OPSCTL_PSQL/);
  });

  test("--json has no meaning", async () => {
    expect((await sandbox.run(["shell", "redis", "--json"], { env })).code).toBe(2);
  });
});
