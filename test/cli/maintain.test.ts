/** `maintain` through the built program: what it says and how it ends. What each engine plans is in its own tests. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { Sandbox } from "../support/cli.ts";
import { freePort, type OwnRedis, ownRedis } from "../support/servers.ts";

let sandbox: Sandbox;
let redis: OwnRedis;
let env: Record<string, string>;
beforeAll(async () => {
  sandbox = new Sandbox({ shared: true });
  redis = await ownRedis(["--appendonly", "yes"]);
  env = { REDIS_URL: redis.url };
});
afterAll(async () => {
  await redis.stop();
  sandbox.remove();
});

test("without a terminal it asks for --yes, and runs nothing", async () => {
  const { code, stderr } = await sandbox.run(["maintain", "redis", "--all"], { env });
  expect([code, stderr]).toEqual([2, expect.stringContaining("--yes")]);
});

test("a dry run plans, --yes runs the same, and the plan says why", async () => {
  const dry = await sandbox.json("maintain", ["maintain", "redis", "--all", "--dry-run"], { env });
  expect(dry).toMatchObject({ dry_run: true, degraded: [] });
  expect(
    dry["tasks"].map(({ kind, status }: { kind: string; status: string }) => [kind, status]),
  ).toContainEqual(["memory-purge", "planned"]);
  const done = await sandbox.json("maintain", ["maintain", "redis", "--all", "--yes"], { env });
  expect(done["dry_run"]).toBe(false);
  expect(done["tasks"].find(({ kind }: { kind: string }) => kind === "memory-purge")).toMatchObject({
    status: "done",
    error: null,
  });
});

test("an engine that is away is no success: 20 when none answered, 3 when some did", async () => {
  const away = { ...env, DATABASE_URL: `postgresql://u:p@127.0.0.1:${await freePort()}/d` };
  const none = await sandbox.run(["maintain", "postgres", "--yes", "--json"], { env: away });
  expect(none.code).toBe(20);
  expect(JSON.parse(none.stdout)).toMatchObject({
    dry_run: false,
    tasks: [],
    degraded: [{ engine: "postgres" }],
  });
  const some = await sandbox.run(["maintain", "--yes"], { env: away });
  expect([some.code, some.stderr]).toEqual([3, expect.stringContaining("postgres is missing here")]);
});

test("when the time is over nothing is called failed", async () => {
  await sandbox.ok(["init", "sqlite"]);
  const args = ["maintain", "sqlite", "redis", "--all", "--yes", "--max-time", "1ms"];
  const { tasks } = await sandbox.json("maintain", args, { env, code: 3 });
  const states = new Set(tasks.map(({ status }: { status: string }) => status));
  expect([...states].every((status) => ["stopped", "skipped", "done"].includes(String(status)))).toBe(true);
  expect(states.has("skipped")).toBe(true);
});
