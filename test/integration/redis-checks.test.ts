import { connect, type Socket } from "node:net";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { DEFAULT_THRESHOLDS, type Thresholds } from "../../src/config/thresholds.ts";
import { redisChecks } from "../../src/engines/redis/checks/index.ts";
import { isOutdated } from "../../src/engines/redis/checks/version.ts";
import type { Severity } from "../../src/health/doctor/check.ts";
import { testCall } from "../support/calls.ts";
import { Sandbox } from "../support/cli.ts";
import { mend } from "../support/doctor.ts";
import { type OwnRedis, ownRedis } from "../support/servers.ts";
import { look } from "./redis-checks-kit.ts";
import { LIMITS, Opened, targetOf, userWith } from "./redis-sight-kit.ts";

const opened = new Opened();
const sandbox = new Sandbox();
let server: OwnRedis;
let admin: Redis;

beforeAll(async () => {
  server = await ownRedis(["--enable-debug-command", "yes"]);
  admin = opened.client(server.url);
  await sandbox.ok(["init", "redis"], { env: { REDIS_URL: server.url } });
});
afterAll(async () => {
  await opened.close();
  await server?.stop();
  sandbox.remove();
});

const MB = 1024 ** 2;

test("a freshly initialised server: nothing above info", async () => {
  const found = (await Promise.all(redisChecks.map(({ id }) => look(opened, server.url, id)))).flat();
  expect(found.filter(({ severity }) => severity !== "info")).toEqual([]);
  expect(found.map(({ subject }) => subject)).not.toContain(`settings of 127.0.0.1:${server.port}`);
});

/** Strings of 1,000 bytes under `name:…`. */
async function fill(name: string, count: number, seconds?: number): Promise<void> {
  const end = seconds === undefined ? "" : `,'EX',${seconds}`;
  const script = `for i=1,${count} do redis.call('SET',KEYS[1]..':'..i,string.rep('x',1000)${end}) end`;
  await admin.eval(script, 1, name);
}

const set = (...pairs: (string | number)[]) => admin.config("SET", ...(pairs as [string, string]));

interface Case {
  check: string;
  what: string;
  plant(): Promise<unknown>;
  severity: Severity;
  evidence: RegExp;
  thresholds?: Partial<Thresholds>;
  /** What a person does as the advice says, where no command is named. */
  byHand?(): Promise<unknown>;
}

let reader: Socket;

const CASES: Case[] = [
  {
    check: "redis-memory-limit",
    what: "nearly reached, and no cache",
    plant: async () => {
      await fill("session", 5_000, 60);
      await set("maxmemory", 6 * MB, "maxmemory-policy", "volatile-lru");
    },
    thresholds: { redis_memory: 80 },
    severity: "warning",
    evidence: /of 6\.0 MiB \(\d+\.\d %\) are used, policy volatile-lru/,
  },
  {
    check: "redis-memory-limit",
    what: "above what the machine has",
    plant: () => set("maxmemory", 1024 ** 5),
    severity: "warning",
    evidence: /limit is 1024\.0 TiB, the machine has/,
    byHand: () => set("maxmemory", 512 * MB),
  },
  {
    check: "redis-eviction-policy",
    what: "noeviction at the limit",
    plant: async () => {
      await fill("a", 5_000);
      await set("maxmemory", 2 * MB, "maxmemory-policy", "noeviction");
    },
    severity: "error",
    evidence: /policy noeviction/,
  },
  {
    check: "redis-eviction-policy",
    what: "volatile where nothing expires",
    plant: async () => {
      await fill("a", 1_000);
      await fill("b", 10, 60);
      await set("maxmemory-policy", "volatile-lru");
    },
    severity: "warning",
    evidence: /10 of 1,010 keys expire/,
    // what is left then is that these keys look like primary data, or nothing where some expire
  },
  {
    check: "redis-eviction-policy",
    what: "primary data under a policy that drops any key",
    plant: () => fill("a", 1_000),
    severity: "info",
    evidence: /policy allkeys-lru, 0 of 1,000 keys expire/,
    byHand: () => set("maxmemory-policy", "noeviction"),
  },
  {
    check: "redis-evictions",
    what: "keys went",
    plant: async () => {
      await fill("a", 3_000);
      await set("maxmemory", 2 * MB);
      await expect.poll(async () => /evicted_keys:([1-9])/.test(await admin.info("stats"))).toBe(true);
    },
    severity: "info",
    evidence: /keys evicted in .* policy allkeys-lru/,
    byHand: async () => {
      await set("maxmemory", 512 * MB);
      await admin.config("RESETSTAT");
    },
  },
  {
    check: "redis-hit-rate",
    what: "keys that nobody wrote",
    plant: () => admin.eval("for i=1,10000 do redis.call('GET','no'..i) end", 0),
    severity: "info",
    evidence: /0\.0 % of 10,0\d\d lookups hit; 0 keys were evicted/,
    byHand: async () => {
      await admin.set("there", 1);
      await admin.eval("for i=1,11000 do redis.call('GET','there') end", 0);
    },
  },
  {
    check: "redis-persistence-off",
    what: "neither file",
    plant: () => set("appendonly", "no", "maxmemory", 0),
    severity: "warning",
    evidence: /appendonly no, save ""/,
  },
  {
    check: "redis-persistence-off",
    what: "neither file, of a cache: nothing is offered, it may be right",
    plant: () => set("appendonly", "no"),
    severity: "info",
    evidence: /appendonly no/,
    byHand: () => set("appendonly", "yes"),
  },
  {
    check: "redis-persistence-off",
    what: "neither file, of a replica: the primary may have them",
    plant: async () => {
      await set("appendonly", "no", "maxmemory", 0);
      await admin.replicaof("127.0.0.1", 1);
    },
    severity: "info",
    evidence: /appendonly no/,
    byHand: () => set("appendonly", "yes"),
  },
  {
    check: "redis-settings",
    what: "no limit",
    plant: () => set("maxmemory", 0, "timeout", 0),
    severity: "info",
    evidence: /maxmemory is 0, the guides say 512mb; timeout is 0, the guides say 300/,
  },
  {
    check: "redis-no-password",
    what: "the default user",
    plant: () => set("requirepass", ""),
    severity: "warning",
    evidence: /on with nopass; bind "127\.0\.0\.1", protected-mode yes/,
    byHand: () => set("requirepass", server.password),
  },
  {
    check: "redis-no-password",
    what: "another user, reachable from outside",
    plant: async () => {
      await admin.call("ACL", "SETUSER", "app", "on", "nopass", "~*", "+@all");
      await set("bind", "*");
    },
    severity: "error",
    evidence: /bind "\*"/,
    byHand: () => admin.call("ACL", "SETUSER", "app", "resetpass", ">a-long-password-of-the-app"),
  },
  {
    check: "redis-exposed",
    what: "all addresses",
    plant: () => set("bind", "* -::*"),
    severity: "warning",
    evidence: /bind "\* -::\*", protected-mode yes/,
  },
  {
    check: "redis-dangerous-commands",
    what: "on the loopback interface",
    plant: async () => {},
    severity: "info",
    evidence: /it may run FLUSHALL, FLUSHDB, KEYS/,
  },
  {
    check: "redis-dangerous-commands",
    what: "beyond",
    plant: () => set("bind", "*"),
    severity: "warning",
    evidence: /it may run FLUSHALL/,
  },
  {
    check: "redis-clients",
    what: "a limit nearly reached",
    plant: async () => {
      const { length } = String(await admin.client("LIST"))
        .trim()
        .split("\n");
      await set("maxclients", length + 2);
    },
    severity: "warning",
    evidence: /\d+ of \d+ connections are in use/,
  },
  {
    check: "redis-client-buffers",
    what: "a client that does not read",
    plant: async () => {
      await admin.set("big", Buffer.alloc(MB));
      reader = connect(server.port, "127.0.0.1");
      reader.on("error", () => {});
      reader.pause().write(`AUTH ${server.password}\r\n${"GET big\r\n".repeat(20)}`);
      const waiting = async () => /omem=\d{8}/.test(String(await admin.client("LIST")));
      await expect.poll(waiting, { timeout: 20_000 }).toBe(true);
    },
    severity: "warning",
    evidence: /MiB of answers wait for it; last command get/,
  },
  {
    check: "redis-slowlog",
    what: "a slow command",
    plant: () => admin.call("DEBUG", "SLEEP", "0.12"),
    severity: "info",
    evidence: /^1 took 100 ms or more in the last day \(1 × DEBUG\); the longest 1\d\d ms/,
    byHand: () => admin.slowlog("RESET"),
  },
  {
    check: "redis-latency",
    what: "a spike",
    plant: async () => {
      await set("latency-monitor-threshold", 100);
      await admin.call("DEBUG", "SLEEP", "0.12");
    },
    severity: "info",
    evidence: /command: last 1\d\d ms/,
    byHand: () => admin.latency("RESET"),
  },
  {
    check: "redis-fragmentation",
    what: "most keys are gone",
    plant: async () => {
      await set("jemalloc-bg-thread", "no");
      await fill("kept", 6_000);
      await fill("gone", 40_000);
      await admin.eval("for i=1,40000 do redis.call('DEL','gone:'..i) end", 0);
    },
    thresholds: { large: 24 * MB },
    severity: "info",
    evidence: /MiB are resident for .* in use \(ratio/,
  },
  {
    check: "redis-replica-link",
    what: "no primary",
    plant: () => admin.replicaof("127.0.0.1", 1),
    severity: "error",
    evidence: /no link to 127\.0\.0\.1:1/,
    byHand: () => admin.replicaof("NO", "ONE"),
  },
  {
    check: "redis-keys-without-ttl",
    what: "sessions",
    plant: async () => {
      await fill("session", 30);
      await fill("other", 300);
      await set("maxmemory-policy", "noeviction");
    },
    severity: "warning",
    evidence: /^30 of 30 that were looked at have no time to live/,
    byHand: () => admin.eval("for i=1,30 do redis.call('EXPIRE','session:'..i,3600) end", 0),
  },
];

describe("planted, found, mended, gone", () => {
  beforeEach(async () => {
    reader?.destroy();
    await admin.replicaof("NO", "ONE");
    await set("maxmemory", 512 * MB, "maxmemory-policy", "allkeys-lru", "timeout", 300, "maxclients", 1_000);
    await set("requirepass", server.password, "bind", "127.0.0.1", "appendonly", "yes");
    await admin.call("ACL", "SETUSER", "default", "+@all");
    await admin.call("ACL", "DELUSER", "app");
    await admin.flushall();
    await admin.config("RESETSTAT");
    await admin.slowlog("RESET");
    await admin.latency("RESET");
  });

  test.each(CASES)("$check: $what", async ({ check, plant, severity, evidence, thresholds, byHand }) => {
    const again = () => look(opened, server.url, check, { thresholds });
    await plant();
    const [found, ...more] = await again();
    expect(more).toEqual([]);
    expect(found).toMatchObject({ severity, evidence: expect.stringMatching(evidence) });
    expect(JSON.stringify(found)).not.toContain(server.password);
    // a setting stays, and CONFIG REWRITE keeps all others with it: a person decides
    const lasting = found!.remedies.filter(({ argv }) => /CONFIG|ACL/.test(argv.join(" ")));
    expect(lasting.filter(({ safe }) => safe)).toEqual([]);
    if (byHand) {
      expect(found!.remedies).toEqual([]);
      expect(found!.advice).toBeTruthy();
      await byHand();
    } else {
      await mend(sandbox, { REDIS_URL: server.url }, found!);
    }
    await expect.poll(async () => (await again()).map(({ evidence }) => evidence)).toEqual([]);
  });
});

test("a server that hides its settings: an open user is found all the same", async () => {
  const url = await userWith(admin, server.port, "noconfig", "+@all", "-config");
  await admin.call("ACL", "SETUSER", "app", "on", "nopass", "~*", "+@all");
  expect(await look(opened, url, "redis-no-password")).toMatchObject([
    {
      severity: "warning",
      subject: expect.stringContaining("user app of"),
      evidence: expect.stringContaining('bind "unknown"'),
    },
  ]);
  await admin.call("ACL", "DELUSER", "app");
  expect(await look(opened, url, "redis-no-password")).toEqual([]);
  await expect(look(opened, url, "redis-exposed")).rejects.toMatchObject({ name: "Unknowable" });
});

test("a user who may only say PING: what each check would need is said, none fails", async () => {
  const url = await userWith(admin, server.port, "pinger", "+ping");
  for (const { id } of redisChecks) {
    const error = await look(opened, url, id).catch((thrown) => thrown);
    // on a host without that file there is nothing to ask the server for
    if (Array.isArray(error) && /hugepages/.test(id)) continue;
    expect(error, id).toMatchObject({
      name: "Unknowable",
      hint: expect.stringMatching(/ACL SETUSER pinger \+[a-z|]+/),
    });
  }
});

test.each([
  ["5.0.14", true],
  ["6.0.20", true],
  ["6.2.14", false],
  ["7.0.15", false],
  ["10.1.0", false],
])("version %s is outdated: %s", (version, expected) => {
  expect(isOutdated(version)).toBe(expected);
});

test("a server of a version without maintenance: it says which, and what to do", async () => {
  const answer = "# Server\r\nredis_version:5.0.14\r\nredis_mode:standalone\r\n";
  const connection = Object.assign(opened.connect(server.url), { run: async () => answer });
  const check = redisChecks.find(({ id }) => id === "redis-version")!;
  const scope = { connection, target: targetOf(server.url), limits: LIMITS, root: "/" };
  const found = await check.run(testCall(), { ...scope, thresholds: DEFAULT_THRESHOLDS });
  expect(found).toMatchObject([
    {
      severity: "info",
      subject: `Redis 5.0.14 at ${connection.at}`,
      evidence: "it is older than 6.2",
      remedies: [],
      advice: expect.stringMatching(/^opsctl backup redis, then install Redis 7/),
    },
  ]);
});
