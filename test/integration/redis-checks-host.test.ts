import type { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { waitForAppendOnlyFile } from "../../src/engines/redis/settings-last.ts";
import { testCall } from "../support/calls.ts";
import { Sandbox } from "../support/cli.ts";
import { mend } from "../support/doctor.ts";
import { hostFolder, limitableRedis, limitFiles, look } from "./redis-checks-kit.ts";
import { Opened } from "./redis-sight-kit.ts";

const opened = new Opened();
const sandbox = new Sandbox();
let server: Awaited<ReturnType<typeof limitableRedis>>;
let admin: Redis;

beforeAll(async () => {
  server = await limitableRedis(["--save", "3600 1", "--tcp-backlog", "700"]);
  admin = opened.client(server.url);
});
afterAll(async () => {
  await opened.close();
  await server?.remove();
  sandbox.remove();
});

describe("a disk that is full", () => {
  const gone = (id: string) =>
    expect.poll(() => look(opened, server.url, id), { timeout: 30_000 }).toEqual([]);

  beforeEach(async () => {
    limitFiles(server.pid, "unlimited");
    // uncompressed, so that the files are as large as they look; a snapshot that failed refuses every write until one succeeds
    await admin.config(
      "SET",
      "appendonly",
      "no",
      "rdbcompression",
      "no",
      "save",
      "3600 1",
      "stop-writes-on-bgsave-error",
      "no",
    );
    await admin.set("key", "x".repeat(100_000));
    await admin.config("SET", "stop-writes-on-bgsave-error", "yes");
  });

  async function failSnapshot(): Promise<void> {
    limitFiles(server.pid, 100);
    await admin.bgsave();
    await expect
      .poll(() => admin.info("persistence"), { timeout: 30_000 })
      .toContain("rdb_last_bgsave_status:err");
  }

  test("redis-misconf: writes are refused until a snapshot succeeds", async () => {
    await failSnapshot();
    await expect(admin.set("more", 1)).rejects.toThrow("MISCONF");
    const [found] = await look(opened, server.url, "redis-misconf");
    expect(found).toMatchObject({ severity: "error", advice: expect.stringContaining("df -h /") });
    expect(found!.remedies).toMatchObject([{ safe: true }]);
    // where nobody asked for snapshots a person decides whether there shall be one
    await admin.config("SET", "save", "");
    expect(await look(opened, server.url, "redis-misconf")).toMatchObject([
      { severity: "warning", remedies: [{ safe: false }] },
    ]);
    await admin.config("SET", "save", "3600 1");
    limitFiles(server.pid, "unlimited");
    await mend(sandbox, { REDIS_URL: server.url }, found!);
    await gone("redis-misconf");
    await admin.set("more", 1);
  });

  test("redis-rdb-stale: the save points ask for more", async () => {
    await admin.config("SET", "save", "1 1");
    await failSnapshot();
    const stale = () => look(opened, server.url, "redis-rdb-stale");
    await expect.poll(async () => (await stale()).length, { timeout: 30_000 }).toBe(1);
    const [found] = await stale();
    expect(found).toMatchObject({
      severity: "warning",
      evidence: expect.stringContaining("(1 1) ask for one every 1 s"),
    });
    limitFiles(server.pid, "unlimited");
    await admin.config("SET", "save", "3600 1");
    await mend(sandbox, { REDIS_URL: server.url }, found!);
    await gone("redis-rdb-stale");
  });

  async function startAppending(): Promise<void> {
    await admin.config("SET", "appendonly", "yes");
    await waitForAppendOnlyFile(testCall(), opened.connect(server.url));
  }

  test("redis-aof-error: it mends itself when there is room", async () => {
    await startAppending();
    limitFiles(server.pid, 100);
    await admin.set("big", "x".repeat(1_000)).catch(() => {});
    await expect
      .poll(() => admin.info("persistence"), { timeout: 30_000 })
      .toContain("aof_last_write_status:err");
    expect(await look(opened, server.url, "redis-aof-error")).toMatchObject([
      { severity: "error", remedies: [] },
    ]);
    limitFiles(server.pid, "unlimited");
    await gone("redis-aof-error");
  });

  test("redis-aof-error: a rewrite that failed", async () => {
    await startAppending();
    // the new base file does not fit, what is appended does
    limitFiles(server.pid, 50_000);
    await admin.bgrewriteaof();
    await expect
      .poll(() => admin.info("persistence"), { timeout: 30_000 })
      .toContain("aof_last_bgrewrite_status:err");
    limitFiles(server.pid, "unlimited");
    await expect
      .poll(() => admin.info("persistence"), { timeout: 30_000 })
      .toContain("aof_last_write_status:ok");
    const [found] = await look(opened, server.url, "redis-aof-error");
    expect(found).toMatchObject({ severity: "warning" });
    await mend(sandbox, { REDIS_URL: server.url }, found!);
    await gone("redis-aof-error");
  });
});

describe("the kernel", () => {
  const host = hostFolder();
  const at = (id: string) => look(opened, server.url, id, { root: host.root });
  afterAll(() => host.remove());

  test("redis-overcommit", async () => {
    host.write("proc/sys/vm/overcommit_memory", "0\n");
    host.write("proc/meminfo", "MemTotal: 8000000 kB\nMemAvailable: 6000000 kB\n");
    expect(await at("redis-overcommit")).toMatchObject([
      { severity: "info", evidence: expect.stringContaining("5.7 GiB") },
    ]);
    host.write("proc/meminfo", "MemTotal: 8000000 kB\nMemAvailable: 1000 kB\n");
    const [found] = await at("redis-overcommit");
    expect(found).toMatchObject({ severity: "warning" });
    expect(found!.remedies[0]!.argv).toEqual(["sysctl", "-w", "vm.overcommit_memory=1"]);
    host.write("proc/sys/vm/overcommit_memory", "1\n");
    expect(await at("redis-overcommit")).toEqual([]);
  });

  test("redis-hugepages", async () => {
    const file = "sys/kernel/mm/transparent_hugepage/enabled";
    host.write(file, "[always] madvise never\n");
    expect(await at("redis-hugepages")).toEqual([]);
    await admin.config("SET", "save", "3600 1");
    host.write(file, "always [madvise] never\n");
    expect(await at("redis-hugepages")).toEqual([]);
  });

  test("redis-backlog", async () => {
    host.write("proc/sys/net/core/somaxconn", "128\n");
    const [found] = await at("redis-backlog");
    expect(found).toMatchObject({ severity: "info", evidence: expect.stringMatching(/^it is 128, .* 700$/) });
    expect(found!.remedies[0]!.argv).toEqual(["sysctl", "-w", "net.core.somaxconn=700"]);
    host.write("proc/sys/net/core/somaxconn", "700\n");
    expect(await at("redis-backlog")).toEqual([]);
  });

  test("redis-swap", async () => {
    const status = (swapped: number) =>
      host.write(`proc/${server.pid}/status`, `Name:\tredis-server\nVmSwap:\t${swapped} kB\n`);
    status(51_200);
    expect(await at("redis-swap")).toMatchObject([
      { severity: "warning", evidence: expect.stringContaining("50.0 MiB") },
    ]);
    status(0);
    expect(await at("redis-swap")).toEqual([]);
    host.write(`proc/${server.pid}/status`, "Name:\tbash\n");
    await expect(at("redis-swap")).rejects.toMatchObject({ name: "Unknowable" });
  });
});
