import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Sandbox } from "../support/cli.ts";
import { metricsProblems, rulesProblems, valuesOf } from "../support/promtool.ts";
import { freePort, type OwnRedis, ownRedis } from "../support/servers.ts";

let sandbox: Sandbox;
let redis: OwnRedis;

beforeAll(async () => {
  sandbox = new Sandbox();
  redis = await ownRedis();
});

afterAll(async () => {
  await redis.stop();
  sandbox.remove();
});

describe("opsctl metrics", () => {
  it("prints what promtool takes when only the embedded file is there, and counts itself", async () => {
    await sandbox.ok(["remember", "issue:disk", "removed old logs"]);
    const text = await sandbox.ok(["metrics"]);
    expect(await metricsProblems(text)).toBe("");
    const values = valuesOf(text);
    expect(values.get('opsctl_up{engine="sqlite"}')).toBe(1);
    expect(values.get("opsctl_memory_fixes")).toBe(1);
    expect(values.get('opsctl_operations{command="remember"}')).toBe(1);
    const began = values.get("opsctl_operations_since_timestamp_seconds")!;
    expect(began).toBeLessThanOrEqual(values.get("opsctl_collected_timestamp_seconds")!);
    expect(values.get("opsctl_sqlite_size_bytes")).toBe(statSync(sandbox.db).size);
    expect(values.get("opsctl_backup_last_success_timestamp_seconds")).toBe(0);
    expect(values.has("opsctl_backup_oldest_success_timestamp_seconds")).toBe(false);
  });

  it("names the newest good archive", async () => {
    await sandbox.ok(["backup", "sqlite"]);
    const { backups } = await sandbox.json("backup list", ["backup", "list"]);
    const values = valuesOf(await sandbox.ok(["metrics"]));
    expect(values.get("opsctl_backups")).toBe(1);
    expect(values.get("opsctl_backup_size_bytes")).toBe(backups[0].size_bytes);
    expect(values.get("opsctl_backup_last_success_timestamp_seconds")).toBe(
      Date.parse(backups[0].created_at) / 1000,
    );
    expect(values.get('opsctl_backup_engine_last_success_timestamp_seconds{engine="sqlite"}')).toBe(
      Date.parse(backups[0].created_at) / 1000,
    );
    expect(values.get("opsctl_backup_oldest_success_timestamp_seconds")).toBe(
      Date.parse(backups[0].created_at) / 1000,
    );
    expect(values.has("opsctl_backup_last_drill_timestamp_seconds")).toBe(false);
    await sandbox.ok(["backup", "drill", "latest"]);
    const drilled = valuesOf(await sandbox.ok(["metrics"])).get("opsctl_backup_last_drill_timestamp_seconds");
    expect(drilled).toBeGreaterThanOrEqual(Math.floor(Date.parse(backups[0].created_at) / 1000));
  });

  it("has nothing of a frozen server but that it is down, and all of the others", async () => {
    process.kill(redis.pid, "SIGSTOP");
    try {
      const env = { REDIS_URL: redis.url, OPSCTL_HEALTH_BUDGET: "300ms" };
      const { code, stdout, stderr } = await sandbox.run(["metrics"], { env });
      expect(code).toBe(0);
      expect(stderr).toContain("redis is missing here");
      expect(await metricsProblems(stdout)).toBe("");
      const values = valuesOf(stdout);
      expect(values.get('opsctl_up{engine="redis"}')).toBe(0);
      expect(values.get('opsctl_up{engine="sqlite"}')).toBe(1);
      expect(values.get("opsctl_memory_fixes")).toBe(1);
      expect([...values.keys()].filter((name) => name.startsWith("opsctl_redis"))).toEqual([]);
      expect((await sandbox.run(["metrics", "--strict"], { env })).code).toBe(3);
    } finally {
      process.kill(redis.pid, "SIGCONT");
    }
  });

  it("says why a server that answers with errors is down: it cannot save", async () => {
    const client = new Redis(redis.url);
    const [, dir] = (await client.config("GET", "dir")) as [string, string];
    try {
      await client.config("SET", "save", "3600 1");
      // a snapshot cannot take the place of a folder
      mkdirSync(join(dir, "dump.rdb"), { recursive: true });
      await client.bgsave();
      await expect.poll(() => client.info("persistence")).toContain("rdb_last_bgsave_status:err");
      const values = valuesOf(await sandbox.ok(["metrics"], { env: { REDIS_URL: redis.url } }));
      expect(values.get('opsctl_up{engine="redis"}')).toBe(0);
      expect(values.get("opsctl_redis_rdb_last_save_success")).toBe(0);
    } finally {
      await client.config("SET", "save", "");
      client.disconnect();
    }
  });

  it("says nothing of the memory when no store of it answers, and what is queued", async () => {
    const env = { DATABASE_URL: `postgres://u:secret-word@127.0.0.1:${await freePort()}/d` };
    await sandbox.ok(["remember", "issue:queued", "waits"], { env });
    const { code, stdout, stderr } = await sandbox.run(["metrics"], { env });
    expect(code).toBe(0);
    const values = valuesOf(stdout);
    expect(values.has("opsctl_memory_fixes")).toBe(false);
    expect(values.has("dashboard_agents_total")).toBe(false);
    expect(values.get('opsctl_up{engine="postgres"}')).toBe(0);
    expect(values.get("opsctl_queue_waiting")).toBe(1);
    const { queue } = await sandbox.json("queue", ["queue"], { env });
    expect(values.get("opsctl_queue_oldest_timestamp_seconds")).toBe(queue[0].queued_at_ms / 1000);
    expect(stdout + stderr).not.toContain("secret-word");
  });

  it("is no JSON", async () => {
    const { code, stdout, stderr } = await sandbox.run(["metrics", "--json"]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(JSON.parse(stderr)).toMatchObject({
      code: "usage",
      hint: expect.stringContaining("stats --json"),
    });
  });
});

describe("opsctl metrics --textfile", () => {
  it("replaces the file, readable by everybody whatever the umask is, and leaves nothing beside it", async () => {
    const folder = join(sandbox.cwd, "collector");
    mkdirSync(folder);
    const path = join(folder, "opsctl.prom");
    writeFileSync(path, "old", { mode: 0o600 });
    const { code, stdout } = await sandbox.shell(`umask 077; opsctl metrics --textfile ${path} --json`);
    expect(code).toBe(0);
    const text = readFileSync(path, "utf8");
    expect(await metricsProblems(text)).toBe("");
    const written = JSON.parse(stdout);
    expect(written).toEqual({
      path,
      size_bytes: statSync(path).size,
      metrics: valuesOf(text).size,
      degraded: [],
    });
    expect(statSync(path).mode & 0o777).toBe(0o644);
    expect(readdirSync(folder)).toEqual(["opsctl.prom"]);
  });

  it("writes through a link", async () => {
    const [file, link] = [join(sandbox.cwd, "real.prom"), join(sandbox.cwd, "link.prom")];
    writeFileSync(file, "old");
    symlinkSync(file, link);
    expect((await sandbox.json("metrics --textfile", ["metrics", "--textfile", link])).path).toBe(file);
    expect(readFileSync(file, "utf8")).toContain("opsctl_up");
  });

  it("leaves the file as it was when it cannot be replaced", async () => {
    // the name for the time of writing is longer
    const path = sandbox.file(`${"n".repeat(245)}.prom`, "old");
    const { code, stderr } = await sandbox.run(["metrics", "--textfile", path]);
    expect(code).toBe(1);
    expect(stderr).toContain("cannot be written (ENAMETOOLONG)");
    expect(readFileSync(path, "utf8")).toBe("old");
  });

  it.each([
    ["a folder", ".", "is a folder"],
    ["a device", "/dev/null", "is no regular file"],
    ["a folder that is not there", "nowhere/opsctl.prom", "there is no folder"],
    ["a folder that is a file", "file/opsctl.prom", "there is no folder"],
    ["nothing", "", "--textfile is empty"],
  ])("refuses %s", async (_what, path, message) => {
    sandbox.file("file", "");
    const { code, stdout, stderr } = await sandbox.run(["metrics", "--textfile", path]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(message);
  });
});

describe("opsctl metrics --rules", () => {
  it("prints rules with the thresholds of the configuration, without asking anybody", async () => {
    const env = {
      OPSCTL_THRESHOLDS: "heap=77",
      NEO4J_URI: `bolt://127.0.0.1:${await freePort()}`,
      NEO4J_PASSWORD: "x",
    };
    const { code, stdout, stderr } = await sandbox.run(["metrics", "--rules"], { env });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain("opsctl_neo4j_heap_used_ratio >= 0.77");
    expect(await rulesProblems(stdout)).toBe("");
  });

  it("is not for a file of metrics", async () => {
    expect((await sandbox.run(["metrics", "--rules", "--textfile", "x.prom"])).code).toBe(2);
  });
});
