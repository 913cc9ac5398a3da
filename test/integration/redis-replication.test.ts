import type { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import { redisProbe } from "../../src/engines/redis/probe.ts";
import { redisStatistics } from "../../src/engines/redis/statistics.ts";
import { testCall } from "../support/calls.ts";
import { until } from "../support/cli.ts";
import { type OwnRedis, ownRedis } from "../support/servers.ts";
import { look } from "./redis-checks-kit.ts";
import { Opened, targetOf } from "./redis-sight-kit.ts";

const opened = new Opened();
let primary: OwnRedis;
let replica: OwnRedis;
let admin: Redis;

beforeAll(async () => {
  primary = await ownRedis(["--repl-diskless-sync-delay", "0"]);
  admin = opened.client(primary.url);
  await admin.set("k", 1);
  const of = ["--replicaof", "127.0.0.1", String(primary.port), "--masterauth", primary.password];
  replica = await ownRedis(of);
  await until("the replica is online", async () =>
    /slave0:.*state=online/.test(await admin.info("replication")),
  );
});
afterAll(async () => {
  await opened.close();
  await replica?.stop();
  await primary?.stop();
});

const MB = 1024 ** 2;

async function statisticsOf(url: string) {
  const statistics = redisStatistics(opened.connect(url), targetOf(url));
  return statistics.read(testCall(), { sampleKeys: 100, top: 10 });
}

test("each says its role, and the primary how far the other is behind", async () => {
  expect(await statisticsOf(replica.url)).toMatchObject({
    role: "slave",
    keys: { total: 1 },
    replication: { master_link: "up", connected_replicas: 0, lag_bytes: null },
  });
  expect(await statisticsOf(primary.url)).toMatchObject({
    role: "master",
    replication: { master_link: null, connected_replicas: 1 },
  });
  const lag = async () => (await statisticsOf(primary.url)).replication.lag_bytes;
  await expect.poll(lag, { timeout: 30_000 }).toBe(0);
});

test("redis-replication-lag", async () => {
  const behind = () => look(opened, primary.url, "redis-replication-lag", { thresholds: { large: MB } });
  expect(await behind()).toEqual([]);
  process.kill(replica.pid, "SIGSTOP");
  try {
    const fill = "for i=1,3000 do redis.call('SET','late'..i,string.rep('x',1000)) end";
    await admin.eval(fill, 0);
    expect(await behind()).toMatchObject([
      { severity: "warning", evidence: expect.stringMatching(/^it is [23]\.\d MiB behind \(state online/) },
    ]);
    expect((await statisticsOf(primary.url)).replication.lag_bytes).toBeGreaterThan(MB);
  } finally {
    process.kill(replica.pid, "SIGCONT");
  }
  await expect.poll(behind, { timeout: 30_000 }).toEqual([]);
});

test("a replica refuses the write test, and says why", async () => {
  const probe = redisProbe(opened.connect(replica.url));
  await expect(probe.selfTest(testCall())).rejects.toMatchObject({
    code: "failed",
    message: expect.stringMatching(/stopped at SET: .* is a read-only replica/),
    hint: "use the address of the primary",
  });
});
