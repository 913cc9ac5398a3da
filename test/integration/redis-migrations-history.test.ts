import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { endProcess } from "../../scripts/services/process.ts";
import { type RedisServer, startRedis } from "../../scripts/services/redis.ts";
import { ownRedis } from "../support/servers.ts";
import {
  closeRunners,
  failureOf,
  runnerOf,
  sourceOf,
  statesOf,
  type TestRunner,
} from "./redis-migrations-kit.ts";

const FILES = sourceOf([
  ["SET a 1", "DEL a"],
  ["SET b 2", "DEL b"],
]);
const FIRST = sourceOf([["SET a 1", "DEL a"]]);
const KEY = "opsctl:migrations:0";

let dir: string;
let server: RedisServer | undefined;

/** Starts the server, or starts it again on the same data. */
async function start(...args: string[]): Promise<TestRunner> {
  const { port, password } = server ?? {};
  server = await startRedis({ dir, port, password, args: ["--appendonly", "yes", ...args] });
  return runnerOf(server.url);
}

async function kill(): Promise<void> {
  await endProcess(server!.process, "SIGKILL");
}

const FORBIDDEN = ["--rename-command", "FUNCTION", ""];
/** Nothing older than Redis 7 is there to test with: a server whose commands for functions are renamed away answers as one. */
const OLD = [...FORBIDDEN, "--rename-command", "FCALL_RO", ""];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "opsctl-redis-"));
});
afterEach(async () => {
  await closeRunners();
  await server?.stop();
  server = undefined;
  rmSync(dir, { recursive: true, force: true });
});
afterAll(closeRunners);

describe("the library", () => {
  test("survives FLUSHALL, eviction of all that can be evicted, kill -9 and restart", async () => {
    const runner = await start("--maxmemory-policy", "allkeys-lru");
    await runner.run(FILES);
    const before = await runner.history();
    expect(before).toHaveLength(2);
    await runner.send("FLUSHALL");
    expect(await runner.history()).toEqual(before);
    const fill = "for i=1,20000 do redis.call('SET','fill:'..i,string.rep('x',1000)) end";
    await runner.send("EVAL", fill, "0");
    await runner.send("CONFIG", "SET", "maxmemory", "2mb");
    await expect.poll(() => runner.send("DBSIZE"), { timeout: 10_000 }).toBeLessThan(1_000);
    expect(await runner.history()).toEqual(before);
    await kill();
    const again = await start();
    expect(await again.history()).toEqual(before);
    expect(await again.run(FILES)).toEqual([]);
  });

  test("replicates: a replica knows the history, and refuses to write it", async () => {
    const runner = await start("--repl-diskless-sync-delay", "0");
    await runner.run(FIRST);
    const { port, password } = server!;
    const replica = await ownRedis(["--replicaof", `127.0.0.1 ${port}`, "--masterauth", password]);
    try {
      const reader = await runnerOf(replica.url);
      await expect.poll(() => statesOf(reader), { timeout: 20_000 }).toEqual(["V001 applied"]);
      const error = await failureOf(reader.run(FILES));
      expect(error).toMatchObject({ code: "failed", message: expect.stringContaining("read-only replica") });
      expect(await statesOf(runner)).toEqual(["V001 applied"]);
    } finally {
      await replica.stop();
    }
  });

  test("a server that is full and evicts nothing is told before anything runs", async () => {
    const runner = await start();
    await runner.run(FIRST);
    await runner.send("CONFIG", "SET", "maxmemory", "1");
    const error = await failureOf(runner.run(sourceOf([["SET a 1", "DEL a"], ["DEL a"]])));
    expect(error).toMatchObject({
      code: "failed",
      message: expect.stringContaining("maxmemory and refuses FUNCTION LOAD"),
    });
    expect(error.hint).toContain("raise maxmemory");
    expect(await runner.send("GET", "a")).toBe("1");
    expect(await statesOf(runner)).toEqual(["V001 applied"]);
  });

  test("something else under its name is not taken for a history", async () => {
    const runner = await start();
    const library = (code: string) =>
      runner.send(
        "FUNCTION",
        "LOAD",
        "REPLACE",
        `#!lua name=opsctl_migrations_0\nredis.register_function{function_name='opsctl_migrations_0', callback=function() return ${code} end, flags={'no-writes'}}`,
      );
    for (const code of ["'no json'", "'{}'", "'{\"rows\":[1]}'", "7", "{1}"]) {
      await library(code);
      expect(await failureOf(runner.history())).toMatchObject({ code: "integrity" });
    }
    await runner.send("FUNCTION", "FLUSH");
    await runner.send("SET", KEY, "x");
    expect(await failureOf(runner.history())).toMatchObject({
      code: "failed",
      message: expect.stringContaining("WRONGTYPE"),
    });
    await runner.send("DEL", KEY);
    await runner.send("HSET", KEY, "user:V001", "{");
    expect(await failureOf(runner.history())).toMatchObject({ code: "integrity" });
  });
});

describe("a server without function libraries", () => {
  test("keeps the history in a key, with a warning when it may be evicted", async () => {
    const runner = await start(...OLD);
    await runner.run(FIRST);
    expect(runner.logged).toEqual([]);
    await runner.send("CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
    await runner.run(FILES);
    expect(runner.logged).toEqual([
      {
        level: "WARNING",
        message: expect.stringMatching(/the key opsctl:migrations:0, which allkeys-lru may evict/),
      },
    ]);
    expect(await statesOf(runner)).toEqual(["V001 applied", "V002 applied"]);
    expect(await runner.run(FILES, "down")).toEqual(["V002-step-down.redis"]);
    expect(await statesOf(runner)).toEqual(["V001 applied", "V002 reverted"]);
    const third = await runnerOf(server!.url, { database: "3" });
    expect(await third.history()).toEqual([]);
    await kill();
    const again = await start(...OLD);
    expect(await statesOf(again)).toEqual(["V001 applied", "V002 reverted"]);
  });

  test("no loop reaches the key, nor does a command", async () => {
    const runner = await start(...OLD);
    await runner.send("SET", "opsctl:mine", "1");
    await runner.run(sourceOf([["SET a 1"], ["FOR EACH KEY MATCHING * DO UNLINK {key}"]]));
    expect(await runner.send("KEYS", "*")).toEqual([KEY]);
    expect(await statesOf(runner)).toHaveLength(2);
  });

  test("when it is upgraded, the next write moves the history into the library", async () => {
    const old = await start(...OLD);
    await old.run(FIRST);
    await old.send("SAVE");
    await kill();
    const runner = await start();
    expect(await statesOf(runner)).toEqual(["V001 applied"]);
    await runner.send("SET", "a", "mine");
    expect(await runner.run(FILES)).toEqual(["V002-step-up.redis"]);
    expect(await runner.send("GET", "a")).toBe("mine");
    expect(await runner.send("EXISTS", KEY)).toBe(0);
    await runner.send("FLUSHALL");
    expect(await statesOf(runner)).toEqual(["V001 applied", "V002 applied"]);
  });

  test("where both are found, the library has the last word about a version", async () => {
    const runner = await start();
    await runner.run(FIRST);
    const [row] = await runner.history();
    const field = (version: string, state: string) =>
      runner.send(
        "HSET",
        KEY,
        `user:${version}`,
        JSON.stringify({ ...row, version, seq: Number(version.slice(1)), state }),
      );
    await field("V001", "reverted");
    await field("V002", "applied");
    expect(await statesOf(runner)).toEqual(["V001 applied", "V002 applied"]);
    expect(await runner.run(FILES, "down", { extent: { only: "V001" } })).toEqual(["V001-step-down.redis"]);
    expect(await statesOf(runner)).toEqual(["V001 reverted", "V002 applied"]);
    expect(await runner.send("EXISTS", KEY)).toBe(0);
  });

  test("a library that can no longer be changed is not left behind", async () => {
    const before = await start();
    await before.run(FIRST);
    // an append-only file that holds a command which was renamed away cannot be read: a snapshot takes its place
    await before.send("BGREWRITEAOF");
    const persistence = async () => String(await before.send("INFO", "persistence"));
    await expect.poll(persistence).toMatch(/aof_rewrite_in_progress:0\r\naof_rewrite_scheduled:0/);
    await kill();
    const runner = await start(...FORBIDDEN);
    expect(await statesOf(runner)).toEqual(["V001 applied"]);
    const error = await failureOf(runner.run(FILES));
    expect(error).toMatchObject({
      code: "failed",
      message: expect.stringContaining("no longer knows FUNCTION"),
    });
    expect(await runner.send("EXISTS", "b", KEY)).toBe(0);
  });

  test("uses the key as well where only one of the commands is missing", async () => {
    for (const args of [FORBIDDEN, ["--rename-command", "FCALL_RO", ""]]) {
      const runner = await start(...args);
      await runner.send("FLUSHALL");
      await runner.run(FILES);
      expect(await statesOf(runner)).toEqual(["V001 applied", "V002 applied"]);
      expect(await runner.send("HLEN", KEY)).toBe(3);
      await kill();
    }
  });
});

test("a server that is killed and comes back in the middle of a run: the run ends, the next one completes it", async () => {
  const runner = await start();
  const source = sourceOf([["SET a 1"], ["SADD s x\nSADD s y"], ["SET c 3"]]);
  const onDone = async () => kill();
  const error = await failureOf(runner.run(source, "up", { onDone }));
  expect(["unreachable", "unknown_outcome"]).toContain(error.code);
  const again = await start();
  expect((await statesOf(again))[0]).toBe("V001 applied");
  expect((await again.run(source)).at(-1)).toBe("V003-step-up.redis");
  expect((await again.send("SMEMBERS", "s")) as string[]).toHaveLength(2);
});
