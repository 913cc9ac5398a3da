/** A PostgreSQL server whose schema of the memory an older opsctl made: what commands say, and what becomes of their writes. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ROOT, Sandbox } from "../support/cli.ts";
import { postgresDatabase, type TestDatabase } from "../support/servers.ts";

const V001 = readFileSync(join(ROOT, "init", "postgres", "memory", "V001-memory-up.sql"), "utf8");
const INIT = "Try: opsctl init postgres";

const box = new Sandbox({ shared: true });
let database: TestDatabase;
let env: Record<string, string>;
beforeAll(async () => {
  database = await postgresDatabase();
  env = { DATABASE_URL: database.url, OPSCTL_STATE: `${box.dir}/state.db` };
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await client.query(V001).finally(() => client.end());
});
afterAll(async () => {
  box.remove();
  await database?.drop();
});

it("names `init` in what it answers and queues, and the next write after that delivers all", async () => {
  const remember = (n: number) => box.run(["remember", `issue:pod ${n}`, "restart", "--json"], { env });
  const queued = await remember(1);
  expect(JSON.parse(queued.stdout)).toMatchObject({ status: "queued", queued: ["postgres"] });
  expect(queued.stderr).toContain(`${INIT}); after that \`opsctl queue sync\` delivers it`);
  const read = await box.run(["recall", "pod restart", "--json"], { env });
  expect(JSON.parse(read.stdout)).toMatchObject({
    results: [{ key: "issue:pod 1" }],
    degraded: [{ engine: "postgres", message: expect.stringContaining(INIT) }],
  });
  await box.ok(["init", "postgres"], { env });
  expect(JSON.parse((await remember(2)).stdout)).toMatchObject({ status: "stored", queued: [] });
  expect(await box.json("queue", ["queue", "--json"], { env })).toMatchObject({ count: 0 });
  const after = JSON.parse((await box.run(["fixes", "--json"], { env })).stdout);
  expect(after).toMatchObject({ count: 2, degraded: [] });
});
