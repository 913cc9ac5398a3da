import type { Redis } from "ioredis";
import * as v from "valibot";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { redisStats } from "../../src/contract/stats-redis.ts";
import { redisStatistics } from "../../src/engines/redis/statistics.ts";
import { testCall } from "../support/calls.ts";
import { type OwnRedis, ownRedis } from "../support/servers.ts";
import { infoOf, Opened, targetOf, userWith } from "./redis-sight-kit.ts";

const opened = new Opened();
let server: OwnRedis;
let admin: Redis;

beforeAll(async () => {
  server = await ownRedis([
    "--appendonly",
    "yes",
    "--maxmemory",
    "64mb",
    "--maxmemory-policy",
    "allkeys-lru",
  ]);
  admin = opened.client(server.url);
  const fill = admin.pipeline();
  for (let at = 0; at < 600; at++) fill.set(`session:${at}`, "x", "EX", 3600);
  for (let at = 0; at < 300; at++) fill.set(`cache:${at}`, "x");
  for (let at = 0; at < 100; at++) fill.set(`alone${at}`, "x");
  fill
    .set(Buffer.from([0xff, 0x3a, 0x31]), "x")
    .get("alone1")
    .get("alone2")
    .get("missing");
  await fill.exec();
  await admin.select(3);
  await admin.set("elsewhere", "x");
  await admin.select(0);
});
afterAll(async () => {
  await opened.close();
  await server?.stop();
});

async function read(url = server.url, options = { sampleKeys: 10_000, top: 10 }) {
  const stats = await redisStatistics(opened.connect(url), targetOf(url)).read(testCall(), options);
  return v.parse(redisStats, stats);
}

test("the figures are those of INFO", async () => {
  const stats = await read();
  const info = await infoOf(admin);
  const number = (name: string) => Number(info[name]);
  expect(stats).toMatchObject({
    version: info["redis_version"],
    role: "master",
    memory: {
      max_bytes: 64 * 1024 ** 2,
      policy: "allkeys-lru",
      system_bytes: number("total_system_memory"),
    },
    evicted_keys: number("evicted_keys"),
    expired_keys: number("expired_keys"),
    rejected_connections: number("rejected_connections"),
    hits: number("keyspace_hits"),
    misses: number("keyspace_misses"),
    hit_rate: number("keyspace_hits") / (number("keyspace_hits") + number("keyspace_misses")),
    persistence: {
      loading: false,
      aof_enabled: true,
      aof_last_write_ok: true,
      aof_last_rewrite_ok: true,
      aof_size_bytes: number("aof_current_size"),
      aof_base_size_bytes: number("aof_base_size"),
      aof_pending_fsyncs: number("aof_pending_bio_fsync"),
      aof_delayed_fsyncs: number("aof_delayed_fsync"),
      rdb_enabled: false,
      rdb_last_save_ok: true,
      rdb_last_save: new Date(number("rdb_last_save_time") * 1000).toISOString(),
      changes_since_save: number("rdb_changes_since_last_save"),
    },
    replication: { connected_replicas: 0, lag_bytes: null, master_link: null },
    clients: { max: number("maxclients"), blocked: 0 },
    unknown: [],
  });
  expect(stats.hits).toBe(2);
  expect(stats.misses).toBe(1);
  // these move with every command
  const near = (a: number | null, field: string) => {
    expect(Math.abs(a! - number(field)) / number(field)).toBeLessThan(0.25);
  };
  near(stats.memory.used_bytes, "used_memory");
  near(stats.memory.peak_bytes, "used_memory_peak");
  near(stats.memory.rss_bytes, "used_memory_rss");
  expect(stats.memory.used_ratio).toBe(stats.memory.used_bytes! / (64 * 1024 ** 2));
  expect(stats.commands_processed).toBeLessThan(number("total_commands_processed"));
});

test("keys by namespace, counted", async () => {
  const { keys } = await read();
  expect(keys).toEqual({
    total: 1_002,
    expiring: 600,
    databases: [
      { db: 0, keys: 1_001, expiring: 600 },
      { db: 3, keys: 1, expiring: 0 },
    ],
    namespaces: [
      { name: "session", keys: 600, share: 600 / 1001, expiring_share: null },
      { name: "cache", keys: 300, share: 300 / 1001, expiring_share: null },
      { name: "(none)", keys: 100, share: 100 / 1001, expiring_share: null },
      { name: '"\\xff"', keys: 1, share: 1 / 1001, expiring_share: null },
    ],
    sampled: false,
    scanned: 1_001,
  });
});

test("of a larger keyspace a sample, scaled by the number of keys, and said so", async () => {
  const { keys } = await read(server.url, { sampleKeys: 200, top: 2 });
  expect(keys).toMatchObject({ sampled: true, scanned: 200 });
  expect(keys.namespaces.map(({ name }) => name)).toEqual(["session", "cache", "(other)"]);
  const sum = keys.namespaces.reduce((all, { keys }) => all + keys, 0);
  expect(Math.abs(sum - 1_001)).toBeLessThanOrEqual(2);
  expect(Math.abs(keys.namespaces[0]!.keys - 600)).toBeLessThan(150);
});

test("of another database its own keys", async () => {
  const { keys } = await read(`${server.url}/3`);
  expect(keys.namespaces).toEqual([{ name: "(none)", keys: 1, share: 1, expiring_share: 0 }]);
  expect((await read(`${server.url}/5`)).keys).toMatchObject({ namespaces: [], scanned: 0, sampled: false });
});

test("looking is not counted as use", async () => {
  await admin.config("RESETSTAT");
  const { hits, misses } = await read();
  expect([hits, misses]).toEqual([0, 0]);
  expect(await read()).toMatchObject({ hits: 0, misses: 0 });
  const sent = await admin.info("commandstats");
  expect(sent).toContain("cmdstat_scan:");
  expect(sent).not.toContain("cmdstat_keys:");
});

describe("a user who may not see all", () => {
  test("without CONFIG: one figure is unknown, and what would make it known is said", async () => {
    const url = await userWith(admin, server.port, "noconfig", "+@all", "-config");
    const stats = await read(url);
    expect(stats.persistence.rdb_enabled).toBeNull();
    expect(stats.keys.scanned).toBe(1_001);
    expect(stats.unknown).toEqual([
      {
        what: "whether snapshots are on",
        reason: expect.stringContaining("does not permit"),
        hint: expect.stringContaining("ACL SETUSER noconfig +config|get"),
      },
    ]);
  });

  test("with PING alone: nothing is known, nothing fails", async () => {
    const stats = await read(await userWith(admin, server.port, "pinger", "+ping"));
    expect(stats).toMatchObject({
      version: "unknown",
      role: "unknown",
      hits: null,
      memory: { used_bytes: null },
    });
    expect(stats.keys).toMatchObject({ total: null, namespaces: [] });
    expect(stats.unknown.map(({ hint }) => hint?.split(" ").at(-1))).toEqual([
      "+info",
      "+config|get",
      "+scan",
    ]);
  });

  test("with SCAN and no INFO: the number of keys comes from DBSIZE", async () => {
    const url = await userWith(admin, server.port, "scanner", "+scan", "+dbsize");
    const { keys, unknown } = await read(url, { sampleKeys: 100, top: 10 });
    const sum = keys.namespaces.reduce((all, { keys }) => all + keys, 0);
    expect(Math.abs(sum - 1_001)).toBeLessThanOrEqual(keys.namespaces.length);
    expect(keys.namespaces[0]!.expiring_share).toBeNull();
    expect(unknown.map(({ what }) => what)).toEqual(["all figures of INFO", "whether snapshots are on"]);
  });
});
