/** `stats` through the built program: selection, growth, watching, operations. Whether the figures are right is in each engine's tests. */
import { rmSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { conforming, Sandbox, until } from "../support/cli.ts";
import { type OwnRedis, ownRedis, postgresDatabase, type TestDatabase } from "../support/servers.ts";

let sandbox: Sandbox;
let postgres: TestDatabase;
let redis: OwnRedis;
let env: Record<string, string>;
beforeAll(async () => {
  sandbox = new Sandbox();
  [postgres, redis] = await Promise.all([postgresDatabase(), ownRedis()]);
  env = { DATABASE_URL: postgres.url, REDIS_URL: redis.url };
  await sandbox.ok(["init", "all", "--yes"], { env });
});
afterAll(async () => {
  await Promise.all([postgres.drop(), redis.stop()]);
  sandbox.remove();
});

test("figures of what was asked for, and of nothing else", async () => {
  const one = await sandbox.json("stats", ["stats", "redis"], { env });
  expect([one["postgres"], one["redis"].role]).toEqual([null, "master"]);
  const both = await sandbox.json("stats", ["stats", "--top", "2"], { env });
  expect(both["postgres"].tables).toHaveLength(2);
  expect(both["postgres"].table_count).toBeGreaterThan(2);
});

test("data folders of servers on this host", async () => {
  const { files } = await sandbox.json("stats", ["stats"], { env });
  const sizes = new Map(
    files.map((file: { name: string; size_bytes: number | null }) => [file.name, file.size_bytes]),
  );
  // an empty PostgreSQL has some 30 MiB
  expect(sizes.get("postgres data")).toBeGreaterThan(10_000_000);
  expect(sizes.has("redis data")).toBe(true);
});

test("in a pipe: a path and a raw number a line", async () => {
  const lines = (await sandbox.ok(["stats", "postgres"], { env })).split("\n");
  expect(lines).toContainEqual(expect.stringMatching(/^postgres\.connections\.max\t\d+$/));
  expect(lines).toContainEqual(
    expect.stringMatching(/^postgres\.tables\.public\.memori_events\.size_bytes\t\d+$/),
  );
  expect(lines.filter((line) => line !== "").every((line) => line.split("\t").length === 2)).toBe(true);
});

test("growth is against the last sample that was kept", async () => {
  rmSync(sandbox.state, { force: true });
  const first = await sandbox.json("stats", ["stats", "postgres"], { env });
  expect(first["postgres"].growth).toBeNull();
  await sandbox.ok(
    ["query", "postgres", "CREATE TABLE grows AS SELECT generate_series(1, 20000) AS n", "--write"],
    {
      env,
    },
  );
  const second = await sandbox.json("stats", ["stats", "postgres"], { env });
  const { growth, size_bytes: size } = second["postgres"];
  expect(growth.bytes).toBe(size - first["postgres"].size_bytes);
  expect(growth.bytes).toBeGreaterThan(500_000);
  // the table is new: it has no sample yet
  const table = second["postgres"].tables.find(({ name }: { name: string }) => name === "grows");
  expect(table.growth).toBeNull();
});

test("--watch prints one object a line until it is ended", async () => {
  const child = sandbox.start(["stats", "redis", "--watch", "50ms", "--json"], { env });
  let seen = "";
  child.stdout?.on("data", (chunk) => {
    seen += chunk;
  });
  const ended = new Promise((resolve) => child.on("close", (code) => resolve(code)));
  await until("two lines", () => seen.split("\n").length > 2);
  child.kill("SIGINT");
  expect(await ended).toBe(130);
  for (const line of seen.split("\n").slice(0, 2)) conforming("stats", line);
});

test("a server that does not answer: what the others say, and its name", async () => {
  const away = { ...env, REDIS_URL: "redis://:secret-in-url@127.0.0.1:1" };
  const { code, stdout, stderr } = await sandbox.run(["stats", "--json"], { env: away });
  const answer = conforming("stats", stdout) as { degraded: unknown[]; redis: unknown; postgres: unknown };
  expect([code, answer.redis]).toEqual([0, null]);
  expect(answer.degraded).toEqual([expect.objectContaining({ engine: "redis", code: "unreachable" })]);
  expect(answer.postgres).not.toBeNull();
  expect(stderr).toContain("redis is missing here");
  expect(stdout + stderr).not.toContain("secret-in-url");
});

test("what opsctl itself did is counted, failures too", async () => {
  const before = (await sandbox.json("stats", ["stats", "redis"], { env }))["operations"];
  await sandbox.run(["query", "redis", "GET"], { env });
  const after = (await sandbox.json("stats", ["stats", "redis"], { env }))["operations"];
  // the query that failed, and the stats before it
  expect(after.count - before.count).toBe(2);
  expect(after.errors - before.errors).toBe(1);
  expect(after.commands.map(({ command }: { command: string }) => command)).toEqual(
    expect.arrayContaining(["stats", "query"]),
  );
});
