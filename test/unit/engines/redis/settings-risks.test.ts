import { describe, expect, test } from "vitest";
import { keyspaceOf, parseInfo } from "../../../../src/engines/redis/info.ts";
import { inSafeOrder } from "../../../../src/engines/redis/settings.ts";
import { dataRisks } from "../../../../src/engines/redis/settings-risks.ts";
import type { Change } from "../../../../src/migrate/port.ts";

const MIB = 1024 ** 2;

interface Server {
  usedMib?: number;
  limitMib?: number;
  policy?: string;
  keys?: number;
  expiring?: number;
}

function risks(server: Server, ...changes: [string, string, string][]): string[] {
  const { usedMib = 11, limitMib = 0, policy = "noeviction", keys = 1000, expiring = 100 } = server;
  return dataRisks({
    memory: {
      used_memory: String(usedMib * MIB),
      used_memory_startup: String(MIB),
      mem_not_counted_for_evict: "0",
      maxmemory: String(limitMib * MIB),
      maxmemory_policy: policy,
    },
    keyspace: keys === 0 ? {} : { db0: `keys=${keys},expires=${expiring},avg_ttl=0` },
    changes: changes.map(([name, before, after]) => ({ name, before, after })),
  });
}

const LIMIT_5: [string, string, string] = ["maxmemory", "0", "5mb"];

describe("risks", () => {
  test("an empty server has none", () => {
    expect(risks({ keys: 0 }, LIMIT_5, ["appendonly", "yes", "no"])).toEqual([]);
  });

  test("settings that touch no data have none", () => {
    expect(risks({}, ["timeout", "0", "300"], ["appendonly", "no", "yes"])).toEqual([]);
  });

  test("keys above the limit, in proportion to their memory", () => {
    const policy: [string, string, string] = ["maxmemory-policy", "noeviction", "allkeys-lru"];
    expect(risks({}, LIMIT_5, policy)).toEqual([
      "maxmemory 0 → 5mb, maxmemory-policy noeviction → allkeys-lru: 11.0 MiB in 1,000 keys are used, 6.0 MiB more " +
        "than 5mb: about 600 keys would be deleted at once, for good",
    ]);
  });

  test("never more keys than there are", () => {
    expect(risks({ policy: "allkeys-lru" }, ["maxmemory", "0", "1kb"])[0]).toContain("about 1,000 keys");
  });

  test("volatile policies have only the keys with a time to live", () => {
    const [sentence] = risks({ policy: "volatile-ttl" }, LIMIT_5);
    expect(sentence).toContain("about 100 keys");
    expect(sentence).toContain("writes are refused even then");
    expect(risks({ policy: "volatile-ttl", expiring: 0 }, LIMIT_5)[0]).toContain(
      "all writes are refused at once",
    );
  });

  test("a policy change on a full server counts against the present limit", () => {
    const change: [string, string, string] = ["maxmemory-policy", "noeviction", "allkeys-lru"];
    expect(risks({ limitMib: 5 }, change)[0]).toContain("about 600 keys");
    expect(risks({ limitMib: 0 }, change)).toEqual([]);
  });

  test("keys that become evictable, though nothing goes now", () => {
    const change: [string, string, string] = ["maxmemory-policy", "volatile-lru", "allkeys-lru"];
    expect(risks({ limitMib: 100, policy: "volatile-lru" }, change)[0]).toContain("900 keys");
    expect(risks({ policy: "allkeys-lru" }, ["maxmemory", "0", "100mb"])[0]).toContain("1,000 keys");
  });

  test("a lower limit with room left; a higher one is harmless", () => {
    const full = { limitMib: 1024, policy: "allkeys-lru" };
    expect(risks(full, ["maxmemory", "1gb", "512mb"])[0]).toContain("evicted sooner");
    expect(risks({ limitMib: 1024 }, ["maxmemory", "1gb", "512mb"])[0]).toContain("refused sooner");
    expect(risks(full, ["maxmemory", "1gb", "2gb"])).toEqual([]);
    expect(risks(full, ["maxmemory", "1gb", "0"])).toEqual([]);
  });

  test("less evicting is harmless", () => {
    expect(
      risks({ limitMib: 100, policy: "allkeys-lru" }, ["maxmemory-policy", "allkeys-lru", "noeviction"]),
    ).toEqual([]);
  });
});

describe("order", () => {
  const order = (...names: [string, string, string][]) =>
    inSafeOrder(names.map(([name, before, after]): Change => ({ name, before, after }))).map(
      ({ name }) => name,
    );
  const POLICY: [string, string, string] = ["maxmemory-policy", "noeviction", "allkeys-lru"];

  test("a limit rises before the policy and falls after it; appendonly is last", () => {
    const append: [string, string, string] = ["appendonly", "no", "yes"];
    const sync: [string, string, string] = ["appendfsync", "no", "everysec"];
    expect(order(append, POLICY, ["maxmemory", "256mb", "512mb"], sync)).toEqual([
      "maxmemory",
      "maxmemory-policy",
      "appendfsync",
      "appendonly",
    ]);
    expect(order(append, ["maxmemory", "1gb", "512mb"], POLICY)).toEqual([
      "maxmemory-policy",
      "maxmemory",
      "appendonly",
    ]);
    expect(order(["maxmemory", "0", "512mb"], POLICY)).toEqual(["maxmemory-policy", "maxmemory"]);
  });
});

describe("INFO", () => {
  test("fields, and keys over all databases", () => {
    const info = parseInfo(
      "# Keyspace\r\ndb0:keys=3,expires=1,avg_ttl=0\r\ndb12:keys=40,expires=0,avg_ttl=0,subexpiry=0\r\n",
    );
    expect(keyspaceOf(info)).toEqual({ keys: 43, expiring: 1 });
    expect(parseInfo("# Server\r\nconfig_file:/etc/a:b.conf\r\nempty:\r\n")).toEqual({
      config_file: "/etc/a:b.conf",
      empty: "",
    });
  });
});
