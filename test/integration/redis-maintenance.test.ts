import type { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { DEFAULT_THRESHOLDS } from "../../src/config/thresholds.ts";
import { redisMaintenance } from "../../src/engines/redis/maintenance.ts";
import { waitForAppendOnlyFile } from "../../src/engines/redis/settings-last.ts";
import type { MaintenanceTask } from "../../src/maintain/port.ts";
import { testCall } from "../support/calls.ts";
import { limitableRedis, limitFiles } from "./redis-checks-kit.ts";
import { Opened, userWith } from "./redis-sight-kit.ts";

const opened = new Opened();
let server: Awaited<ReturnType<typeof limitableRedis>>;
let admin: Redis;

beforeAll(async () => {
  server = await limitableRedis(["--rdbcompression", "no"]);
  admin = opened.client(server.url);
});
afterAll(async () => {
  await opened.close();
  await server?.remove();
});
beforeEach(async () => {
  limitFiles(server.pid, "unlimited");
  await admin.config("SET", "appendonly", "no", "save", "", "rdb-key-save-delay", "0");
  await admin.flushall();
});

const MB = 1024 ** 2;

function plan({
  all = false,
  large = DEFAULT_THRESHOLDS.large,
  url = server.url,
} = {}): Promise<MaintenanceTask[]> {
  const thresholds = { ...DEFAULT_THRESHOLDS, large };
  return redisMaintenance(opened.connect(url), thresholds).plan(testCall(), { all });
}

async function only(kind: string, given?: Parameters<typeof plan>[0]): Promise<MaintenanceTask> {
  const tasks = (await plan(given)).filter((task) => task.kind === kind);
  expect(tasks).toHaveLength(1);
  return tasks[0]!;
}

test("where nothing pays nothing is planned", async () => {
  expect(await plan()).toEqual([]);
});

test("an append-only file that has grown is rewritten, and its size is read back", async () => {
  await admin.config("SET", "appendonly", "yes");
  await waitForAppendOnlyFile(testCall(), opened.connect(server.url));
  await admin.eval("for i=1,2000 do redis.call('SET','k',string.rep('x',1000)..i) end", 0);
  await expect.poll(() => admin.info("persistence")).toMatch(/aof_current_size:2\d{6}/);
  const task = await only("aof-rewrite", { large: MB });
  expect(task.why).toMatch(/has [12]\.\d MiB, \d+ B after its last rewrite/);
  expect(task.work_bytes).toBeGreaterThan(2_000_000);
  const { freed_bytes, note } = await task.run(testCall());
  expect(freed_bytes).toBeGreaterThan(1_900_000);
  expect(note).toBeNull();
  expect((await plan({ large: MB })).map(({ kind }) => kind)).not.toContain("aof-rewrite");
});

test("a snapshot: done when it is on disk", async () => {
  await admin.config("SET", "save", "3600 1000");
  await admin.set("k", 1);
  const task = await only("snapshot", { all: true });
  expect(await task.run(testCall())).toEqual({ freed_bytes: null, note: null });
  expect(await admin.info("persistence")).toMatch(/rdb_changes_since_last_save:0\r/);
  expect((await plan({ all: true })).map(({ kind }) => kind)).not.toContain("snapshot");
});

describe("a snapshot that failed", () => {
  test("is planned, fails again while there is no room, and succeeds then", async () => {
    await admin.set("k", "x".repeat(10_000));
    limitFiles(server.pid, 100);
    await admin.bgsave();
    await expect.poll(() => admin.info("persistence"), { timeout: 30_000 }).toContain("bgsave_status:err");
    const task = await only("snapshot");
    expect(task.why).toMatch(/^the last snapshot failed/);
    await expect(task.run(testCall())).rejects.toMatchObject({
      code: "failed",
      message: expect.stringContaining("could not write its snapshot"),
    });
    limitFiles(server.pid, "unlimited");
    await task.run(testCall());
    expect(await plan()).toEqual([]);
  });
});

test("what is not done at the deadline is said and goes on; the next one waits its turn", async () => {
  await admin.eval("for i=1,200 do redis.call('SET','k'..i,i) end", 0);
  await admin.config("SET", "save", "3600 1000", "rdb-key-save-delay", "20000");
  const task = await only("snapshot", { all: true });
  const { note } = await task.run(testCall(900));
  expect(note).toContain("still running when the time was over");
  await admin.config("SET", "rdb-key-save-delay", "0");
  // the child goes on slowly: a second request joins it
  expect(await task.run(testCall(600))).toMatchObject({ note: expect.stringContaining("still running") });
});

test("idle memory is given back", async () => {
  await expect.poll(() => admin.info("persistence"), { timeout: 30_000 }).toContain("bgsave_in_progress:0");
  await admin.config("SET", "jemalloc-bg-thread", "no");
  await admin.eval("for i=1,30000 do redis.call('SET','k'..i,string.rep('x',1000)) end", 0);
  await admin.eval("for i=1,30000 do redis.call('DEL','k'..i) end", 0);
  await expect.poll(() => admin.info("memory")).toMatch(/allocator_rss_bytes:[2-9]\d{7}/);
  const task = await only("memory-purge", { large: 16 * MB });
  expect(task.why).toMatch(/MiB of pages without data: .* are resident for .* in use/);
  const { freed_bytes } = await task.run(testCall());
  expect(freed_bytes).toBeGreaterThan(8 * MB);
  expect(await plan({ large: 16 * MB })).toEqual([]);
});

test("a user without CONFIG plans without it; without INFO the refusal is the server's", async () => {
  const url = await userWith(admin, server.port, "maintainer", "+info", "+bgsave");
  expect(await plan({ url })).toEqual([]);
  const none = await userWith(admin, server.port, "nobody", "+ping");
  await expect(plan({ url: none })).rejects.toMatchObject({ code: "auth" });
});
