import type { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import { redisChecks } from "../../src/engines/redis/checks/index.ts";
import { redisStatistics } from "../../src/engines/redis/statistics.ts";
import { look } from "../integration/redis-checks-kit.ts";
import { Opened, targetOf } from "../integration/redis-sight-kit.ts";
import { testCall } from "../support/calls.ts";
import { type OwnRedis, ownRedis } from "../support/servers.ts";

const KEYS = 2_000_000;
const SAMPLE = 10_000;
/** What a walk over all keys would send is 2,000 SCANs of 1,000. */
const MOST_SCANS = 60;

const opened = new Opened();
let server: OwnRedis;
let admin: Redis;

beforeAll(async () => {
  server = await ownRedis(["--enable-debug-command", "yes"]);
  admin = opened.client(server.url);
  await admin.call("DEBUG", "POPULATE", String(KEYS / 2), "session", "10");
  await admin.call("DEBUG", "POPULATE", String(KEYS / 2), "cache", "10");
  await admin.config("RESETSTAT");
});
afterAll(async () => {
  await opened.close();
  await server?.stop();
});

const calls = async (command: string) =>
  Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(await admin.info("commandstats"))?.[1] ?? 0);

test("two million keys: figures and checks look at a sample of them", async () => {
  const statistics = redisStatistics(opened.connect(server.url), targetOf(server.url));
  const { keys } = await statistics.read(testCall(), { sampleKeys: SAMPLE, top: 10 });
  expect(keys).toMatchObject({ total: KEYS, sampled: true });
  expect(keys.scanned).toBeLessThanOrEqual(SAMPLE);
  for (const { name, keys: estimate } of keys.namespaces) {
    expect(["session", "cache"]).toContain(name);
    expect(Math.abs(estimate - KEYS / 2)).toBeLessThan(KEYS / 20);
  }
  for (const { id } of redisChecks) await look(opened, server.url, id);
  expect(await calls("keys")).toBe(0);
  expect(await calls("scan")).toBeLessThan(MOST_SCANS);
});
