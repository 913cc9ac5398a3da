import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { runLoop } from "../../src/engines/redis/migration-loop-run.ts";
import { countNamespaces } from "../../src/engines/redis/migration-verify.ts";
import { markVersion } from "../../src/migrate/repair.ts";
import { DEFAULT_LIMITS } from "../../src/migrate/runner.ts";
import { type OwnRedis, ownRedis } from "../support/servers.ts";
import {
  closeRunners,
  failureOf,
  runnerOf,
  sourceOf,
  statesOf,
  type TestRunner,
} from "./redis-migrations-kit.ts";

let server: OwnRedis;
let runner: TestRunner;

beforeAll(async () => {
  server = await ownRedis();
});
beforeEach(async () => {
  runner = await runnerOf(server.url);
  await runner.send("FLUSHALL");
  await runner.send("FUNCTION", "FLUSH");
  await runner.send("CONFIG", "RESETSTAT");
});
afterAll(async () => {
  await closeRunners();
  await server?.stop();
});

/** `SET prefix1 1`, …, without a round trip each. */
const fill = (prefix: string, keys: number) =>
  runner.send("EVAL", `for i = 1, ${keys} do redis.call('SET', ARGV[1] .. i, i) end`, "0", prefix);

/** How often the server ran a command since the test began. */
async function calls(command: string): Promise<number> {
  const stats = String(await runner.send("INFO", "commandstats"));
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
}

const previewOf = (line: string) => {
  const [statement] = runner.target.statements(line);
  return runner.target.preview!(runner.call, statement!);
};

describe("a loop", () => {
  test("reaches every key of its pattern and no other; a dry run counts them and changes nothing", async () => {
    await fill("session:", 3_210);
    await fill("user:", 500);
    const line = "FOR EACH KEY MATCHING session:* DO EXPIRE {key} 3600";
    expect(await previewOf(line)).toBe("would reach 3,210 keys");
    expect(await previewOf("FOR EACH KEY MATCHING session:7 DO DEL {key}")).toBe("would reach 1 key");
    expect(await previewOf("SET a 1")).toBeNull();
    expect(await runner.send("TTL", "session:1")).toBe(-1);
    await runner.run(sourceOf([[line, "FOR EACH KEY MATCHING session:* DO PERSIST {key}"]]));
    expect(String(await runner.send("INFO", "keyspace"))).toContain("keys=3710,expires=3210");
    expect(runner.logged).toContainEqual({
      level: "INFO",
      message: "V001-step-up.redis: 3,210 keys reached",
    });
    await runner.run(sourceOf([[line, "FOR EACH KEY MATCHING session:* DO PERSIST {key}"]]), "down");
    expect(String(await runner.send("INFO", "keyspace"))).toContain("keys=3710,expires=0");
  });

  test("takes keys of any bytes, and those of one type only when asked to", async () => {
    const keys = [
      Buffer.from([0x6b, 0x3a, 0x00, 0xff, 0xfe]),
      Buffer.from('k:"{key} \n'),
      Buffer.from("k:ü"),
    ];
    for (const key of keys) await runner.send("SET", key, "1");
    await runner.send("HSET", "k:hash", "f", "v");
    await runner.run(
      sourceOf([
        [
          "FOR EACH KEY MATCHING k:* TYPE string DO SADD seen {key}\nFOR EACH KEY MATCHING k:* TYPE hash DO HSET {key} g {key}",
        ],
        ["FOR EACH KEY MATCHING k:* TYPE string DO RENAMENX {key} n:{rest}"],
      ]),
    );
    const [seen, now] = await runner.connection.batch(runner.call, [
      ["SMEMBERS", "seen"],
      ["KEYS", "n:*"],
    ]);
    const hex = (values: unknown) => (values as Buffer[]).map((value) => value.toString("hex")).sort();
    expect(hex(seen)).toEqual(hex(keys));
    expect(hex(now)).toEqual(hex(keys.map((key) => Buffer.concat([Buffer.from("n:"), key.subarray(2)]))));
    expect(await runner.send("HGET", "k:hash", "g")).toBe("k:hash");
  });

  test("that renames meets no key again", async () => {
    await fill("old:", 5_000);
    await runner.run(sourceOf([["FOR EACH KEY MATCHING old:* DO RENAME {key} new:{rest}"]]));
    expect(await runner.send("DBSIZE")).toBe(5_000);
    expect(await previewOf("FOR EACH KEY MATCHING old:* DO DEL {key}")).toBe("would reach 0 keys");
    expect(await runner.send("GET", "new:4711")).toBe("4711");
  });

  test("passes over keys that have gone since they were listed", async () => {
    await fill("old:", 100);
    // each key of the page is answered with a rename of the same one: from the second on it has gone
    const parts = [[Buffer.from("old:7")], [Buffer.from("new:"), "{key}" as const]];
    const loop = { pattern: Buffer.from("old:*"), type: null, name: "RENAME", args: parts, prefixBytes: 4 };
    const session = await runner.connection.runner(runner.call);
    const keys = await runLoop(runner.call, session, loop, {
      from: undefined,
      timeoutMs: null,
      onPage: async () => {},
    });
    session.close();
    expect(keys).toBe(100);
    expect(await runner.send("DBSIZE")).toBe(100);
  });

  test("stops at a key of the wrong type, names it, and goes on from its checkpoint", async () => {
    const KEYS = 30_000;
    await fill("k:", KEYS);
    const late = await lateKey();
    await runner.send("DEL", late);
    await runner.send("RPUSH", late, "x");
    const source = sourceOf([["SET first 1\nFOR EACH KEY MATCHING k:* DO SETRANGE {key} 0 x"]]);
    const error = await failureOf(runner.run(source));
    expect(error.message).toContain("V001-step-up.redis:2:1: ");
    expect(error.message).toContain(
      `WRONGTYPE Operation against a key holding the wrong kind of value (key "${late}")`,
    );
    expect(error.hint).toContain("TYPE <type>");
    expect(await statesOf(runner)).toEqual(["V001 failed"]);
    const before = await calls("setrange");
    expect(before).toBeGreaterThan(KEYS * 0.8);
    await runner.send("DEL", late);
    await runner.send("SET", late, "1");
    await runner.run(source);
    expect((await calls("setrange")) - before).toBeLessThan(KEYS * 0.2);
    const bare =
      "local n = 0 for _, k in ipairs(redis.call('KEYS', 'k:*')) do if redis.call('GETRANGE', k, 0, 0) ~= 'x' then n = n + 1 end end return n";
    expect(await runner.send("EVAL", bare, "0")).toBe(0);
    expect(
      JSON.parse(String(await runner.send("FCALL_RO", "opsctl_migrations_0", "0"))).checkpoint,
    ).toBeNull();
  });

  test("begins again when its line was edited, or the checkpoint is of another server process", async () => {
    const KEYS = 2_000;
    await fill("k:", KEYS);
    const late = await lateKey();
    await runner.send("DEL", late);
    await runner.send("RPUSH", late, "x");
    const fail = async (digit: number) => {
      const source = sourceOf([[`FOR EACH KEY MATCHING k:* DO SETRANGE {key} 0 ${digit}`]]);
      expect(await failureOf(runner.run(source))).toMatchObject({ code: "failed" });
    };
    await fail(1);
    const first = await calls("setrange");
    expect(first).toBeGreaterThan(KEYS * 0.6);
    await fail(1);
    const second = await calls("setrange");
    // the page of the wrong key only
    expect(second - first).toBeLessThan(700);
    await fail(2);
    expect((await calls("setrange")) - second).toBeGreaterThanOrEqual(first - 10);
    const third = await calls("setrange");
    const stored = JSON.parse(String(await runner.send("FCALL_RO", "opsctl_migrations_0", "0")));
    expect(stored.checkpoint.keys).toBeGreaterThan(KEYS * 0.5);
    stored.checkpoint.run_id = "0".repeat(40);
    await runner.send("FUNCTION", "LOAD", "REPLACE", libraryOf(stored));
    await fail(2);
    expect((await calls("setrange")) - third).toBeGreaterThanOrEqual(first - 10);
  });

  test("begins again when a person has said that nothing of the file is there", async () => {
    const KEYS = 2_000;
    await fill("k:", KEYS);
    const late = await lateKey();
    await runner.send("DEL", late);
    await runner.send("RPUSH", late, "x");
    const source = sourceOf([["FOR EACH KEY MATCHING k:* DO SETRANGE {key} 0 x"]]);
    await failureOf(runner.run(source));
    await markVersion(runner.call, runner.target, source, "reverted", { lockWaitMs: 0 });
    const before = await calls("setrange");
    await runner.send("DEL", late);
    await runner.run(source);
    expect((await calls("setrange")) - before).toBeGreaterThanOrEqual(KEYS - 1);
  });

  test("has its time: --statement-timeout ends it between two pages", async () => {
    await fill("k:", 20_000);
    const limits = { ...DEFAULT_LIMITS, statementTimeoutMs: 1 };
    const source = sourceOf([["FOR EACH KEY MATCHING k:* DO SETRANGE {key} 0 x"]]);
    const error = await failureOf(runner.run(source, "up", { limits }));
    expect(["failed", "unknown_outcome"]).toContain(error.code);
    expect(await runner.run(source)).toEqual(["V001-step-up.redis"]);
  });

  /** A key that SCAN returns near the end: the order stays as long as no key comes or goes. */
  async function lateKey(): Promise<string> {
    let cursor = "0";
    const keys: string[] = [];
    do {
      const [next, page] = (await runner.send("SCAN", cursor, "MATCH", "k:*", "COUNT", "500")) as [
        string,
        string[],
      ];
      cursor = next;
      keys.push(...page);
    } while (cursor !== "0");
    return keys[Math.floor(keys.length * 0.9)]!;
  }
});

function libraryOf(stored: unknown): string {
  return (
    `#!lua name=opsctl_migrations_0\nlocal history = [==[${JSON.stringify(stored)}]==]\n` +
    "redis.register_function{function_name='opsctl_migrations_0', callback=function() return history end, flags={'no-writes'}}"
  );
}

describe("the namespaces of the guides", () => {
  test("are counted, with keys of another type and sessions that never expire", async () => {
    await runner.send("SETEX", "session:a", "60", "{}");
    await runner.send("SET", "session:b:c", "{}");
    await runner.send("HSET", "session:hash", "f", "v");
    await runner.send("SADD", "session:set", "x");
    await runner.send("SET", "session:a:ttl", "1700000000");
    await runner.send("RPUSH", "session:b:ttl", "1");
    await runner.send("SADD", "user:u1:sessions", "a");
    await runner.send("SET", "user:u2:sessions", "a");
    await runner.send("SET", "user:u3", "1");
    await runner.send("HSET", "cache:any", "f", "v");
    await runner.send("SET", "lock:r", "1");
    await runner.send("SETEX", "translate:en:fr:hello", "60", "bonjour");
    await runner.send("SET", "opsctl:migrations:9", "1");
    await runner.send("SET", Buffer.from([0xff, 0x00]), "1");
    expect(await runner.target.verify(runner.call, "namespaces")).toEqual({
      keys: 14,
      session: 4,
      session_ttl: 2,
      user_sessions: 2,
      cache: 1,
      lock: 1,
      translate: 1,
      other: 2,
      mistyped: 3,
      without_ttl: 3,
    });
    expect(runner.logged).toEqual([]);
  });

  test("of many keys a sample is looked at, and the log says so", async () => {
    await fill("session:", 12_000);
    const counts = await countNamespaces(runner.call, runner.connection, 5_000);
    expect(counts).toMatchObject({
      keys: 12_000,
      session: counts["sampled"],
      without_ttl: counts["sampled"],
    });
    expect(counts["sampled"]).toBeGreaterThanOrEqual(5_000);
    expect(counts["sampled"]).toBeLessThan(8_000);
    expect(runner.logged).toContainEqual({
      level: "WARNING",
      message: expect.stringContaining("holds 12,000 keys"),
    });
  });
});
