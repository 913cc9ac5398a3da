import type { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { redisProbe } from "../../src/engines/redis/probe.ts";
import { redisQuery } from "../../src/engines/redis/query.ts";
import { redisShell } from "../../src/engines/redis/shell.ts";
import { testCall } from "../support/calls.ts";
import { type OwnRedis, ownRedis } from "../support/servers.ts";
import { Opened, targetOf, userWith } from "./redis-sight-kit.ts";

const opened = new Opened();
let server: OwnRedis;
let admin: Redis;

beforeAll(async () => {
  server = await ownRedis();
  admin = opened.client(server.url);
  await admin
    .pipeline()
    .set("text", "läuft")
    .hset("hash", { a: "1", b: "two words" })
    .rpush("list", "x", "y", "z")
    .zadd("board", 2, "b", 1, "a")
    .set("bytes", Buffer.from([0x80, 0x61, 0x22]))
    .xadd("stream", "1-1", "f", "v")
    .exec();
});
afterAll(async () => {
  await opened.close();
  await server?.stop();
});

const ask = (text: string, { write = false, explain = false, limit = 100, url = server.url } = {}) =>
  redisQuery(opened.connect(url)).query(testCall(), text, { write, explain, limit });

const VALUE = ["value"];

describe("replies as rows", () => {
  test.each([
    ["GET text", VALUE, [["läuft"]]],
    ["get missing", VALUE, [[null]]],
    ["STRLEN text", VALUE, [[6]]],
    ["LRANGE list 0 -1", VALUE, [["x"], ["y"], ["z"]]],
    [
      "HGETALL hash",
      ["field", "value"],
      [
        ["a", "1"],
        ["b", "two words"],
      ],
    ],
    [
      "ZRANGE board 0 -1 WITHSCORES",
      ["member", "score"],
      [
        ["a", "1"],
        ["b", "2"],
      ],
    ],
    ["ZRANGE board 0 -1", VALUE, [["a"], ["b"]]],
    ["CONFIG GET timeout", ["setting", "value"], [["timeout", "0"]]],
    ["XRANGE stream - +", VALUE, [[["1-1", ["f", "v"]]]]],
    ["GET bytes", VALUE, [['"\\x80a\\""']]],
    ["MGET text missing", VALUE, [["läuft"], [null]]],
    ['ECHO "a b\\x41\\""', VALUE, [['a bA"']]],
    ["ECHO 'it''s'", null, null],
    ["SMEMBERS nothing", VALUE, []],
  ])("%s", async (text, columns, rows) => {
    if (columns === null) {
      await expect(ask(text)).rejects.toMatchObject({
        code: "usage",
        message: expect.stringContaining("blank"),
      });
      return;
    }
    expect(await ask(text)).toEqual({ columns, rows, truncated: false, changed: null });
  });

  test("more elements than asked for", async () => {
    expect(await ask("LRANGE list 0 -1", { limit: 2 })).toMatchObject({
      rows: [["x"], ["y"]],
      truncated: true,
    });
    expect(await ask("LRANGE list 0 -1", { limit: 3 })).toMatchObject({ truncated: false });
    expect(await ask("HGETALL hash", { limit: 1 })).toMatchObject({ rows: [["a", "1"]], truncated: true });
  });

  test("the texts of INFO and CLIENT LIST are rows", async () => {
    const info = await ask("INFO server", { limit: 1_000 });
    expect(info.columns).toEqual(["field", "value"]);
    expect(info.rows).toContainEqual(["tcp_port", String(server.port)]);
    const clients = await ask("CLIENT LIST");
    expect(clients.columns).toEqual(["value"]);
    expect(clients.rows.every(([line]) => /^id=\d+ addr=\S+ [^\n]*$/.test(String(line)))).toBe(true);
  });

  test("bytes come back as what a query takes", async () => {
    const { rows } = await ask("GET bytes");
    await ask(`SET copy ${rows[0]![0]}`, { write: true });
    expect(await admin.getBuffer("copy")).toEqual(Buffer.from([0x80, 0x61, 0x22]));
  });

  test("passwords of the configuration are not shown", async () => {
    const { rows } = await ask("CONFIG GET *", { limit: 1000 });
    expect(rows.find(([name]) => name === "requirepass")).toEqual(["requirepass", "***"]);
    expect(JSON.stringify(rows)).not.toContain(server.password);
  });
});

describe("without --write", () => {
  test.each([
    "SET text x",
    "DEL text",
    "EVAL \"return redis.call('del','text')\" 0",
    "GETDEL text",
    "CONFIG SET timeout 1",
    "FLUSHALL",
    "EXPIRE text 1",
    "SORT list STORE l2",
    "PUBLISH c m",
    "ACL SETUSER x",
    "ACL LOG RESET",
    "SCRIPT FLUSH",
    "FUNCTION FLUSH",
    "CLIENT KILL TYPE normal",
    "SLOWLOG RESET",
    "LATENCY RESET",
    "DEBUG SLEEP 0",
    "SHUTDOWN NOSAVE",
    "MEMORY PURGE",
    "BGSAVE",
    "CONFIG RESETSTAT",
    "XGROUP CREATE stream g $",
    "GETEX text EX 1",
    "SPOP list",
    "MODULE LOAD /x",
    "CLUSTER RESET",
    "REPLICAOF NO ONE",
    "FAILOVER",
    "SWAPDB 0 1",
  ])("%s is refused and changes nothing", async (text) => {
    await expect(ask(text)).rejects.toMatchObject({
      code: "usage",
      hint: expect.stringMatching(/write|_RO/),
    });
    expect(await admin.get("text")).toBe("läuft");
  });

  test.each([
    "PING",
    "INFO memory",
    "DBSIZE",
    "SLOWLOG GET",
    "MEMORY DOCTOR",
    "MEMORY USAGE text",
    "CLIENT LIST",
    "ACL WHOAMI",
    "ACL LIST",
    "ACL LOG",
    "OBJECT ENCODING text",
    "XINFO STREAM stream",
    "LATENCY LATEST",
    "LATENCY DOCTOR",
    "TTL text",
    "EVAL_RO \"return redis.call('get','text')\" 0",
    "SCAN 0",
    "SORT_RO list ALPHA",
    "TYPE text",
    "COMMAND COUNT",
    "ROLE",
    "CONFIG HELP",
    "object freq text",
  ])("%s is answered", async (text) => {
    const answer = await ask(text).catch((error) => error.message as string);
    if (text === "object freq text") expect(answer).toContain("An LFU maxmemory policy is not selected");
    else expect(answer).toMatchObject({ changed: null });
  });

  test("a script that only reads may not write", async () => {
    await expect(ask("EVAL_RO \"return redis.call('del','text')\" 0")).rejects.toThrow(
      /not allowed from read-only/,
    );
  });
});

describe("refused always", () => {
  test.each([
    ["KEYS *", "SCAN"],
    ["MONITOR", "shell"],
    ["SUBSCRIBE c", "shell"],
    ["BLPOP list 0", "LPOP"],
    ["WAIT 1 0", "LPOP"],
    ["MULTI", "shell"],
    ["SELECT 1", "REDIS_DB"],
    ["AUTH x", "shell"],
    ["HELLO 3", "shell"],
    ["CLIENT REPLY OFF", "shell"],
    ["XREAD BLOCK 0 STREAMS stream $", "BLOCK"],
    ["SYNC", "shell"],
    ["QUIT", "shell"],
    ["", "HGETALL"],
    ["GET a\nGET b", "one"],
    ['GET "a', "quotes"],
  ])("%s", async (text, hint) => {
    await expect(ask(text, { write: true })).rejects.toMatchObject({
      code: "usage",
      hint: expect.stringContaining(hint),
    });
  });

  test("a plan", async () => {
    await expect(ask("GET a", { explain: true })).rejects.toMatchObject({ code: "usage" });
  });

  test("a reply out of all proportion, unless a part is asked for", async () => {
    const fill = "for i=1,100001 do redis.call('RPUSH',KEYS[1],i) end";
    await admin.eval(fill, 1, "huge");
    await expect(ask("LRANGE huge 0 -1")).rejects.toMatchObject({
      code: "usage",
      message: expect.stringContaining("100,001 elements"),
    });
    expect(await ask("LRANGE huge -3 -1")).toMatchObject({ rows: [["99999"], ["100000"], ["100001"]] });
    await admin.unlink("huge");
  });
});

describe("with --write", () => {
  test("it is done, and counted where the server counts", async () => {
    expect(await ask('SET w "a b"', { write: true })).toMatchObject({ rows: [["OK"]], changed: null });
    expect(await admin.get("w")).toBe("a b");
    expect(await ask("DEL w missing", { write: true })).toMatchObject({ rows: [[1]], changed: 1 });
  });

  test("numbers beyond 2^53 are exact, as text", async () => {
    const most = "9223372036854775807";
    expect(await ask(`INCRBY n ${most}`, { write: true })).toMatchObject({ rows: [[most]] });
    expect(await ask("DECRBY n 9223372036854775800", { write: true })).toMatchObject({ rows: [[7]] });
  });

  test.each([
    ["LPUSH text x", "WRONGTYPE"],
    ["SET w", "wrong number of arguments"],
    ["NOSUCH w", "does not know NOSUCH"],
  ])("%s: the server's own words", async (text, words) => {
    await expect(ask(text, { write: true })).rejects.toThrow(words);
  });

  test("what may be a password is not repeated", async () => {
    const error = await ask("ACL SETUSER x canary-Pa55", { write: true }).catch((thrown) => thrown);
    expect(error).toMatchObject({ code: "failed" });
    expect(`${error.message} ${error.hint}`).not.toContain("canary");
  });
});

test("a user who may do little", async () => {
  const url = await userWith(admin, server.port, "reader", "+get");
  await expect(ask("GET text", { url })).rejects.toMatchObject({
    code: "auth",
    hint: expect.stringContaining("+command|info"),
  });
  await admin.call("ACL", "SETUSER", "reader", "+command|info");
  expect(await ask("GET text", { url })).toMatchObject({ rows: [["läuft"]] });
  await expect(ask("HGETALL hash", { url })).rejects.toMatchObject({ code: "auth", message: /NOPERM/ });
  await expect(ask("CONFIG GET *", { url })).rejects.toThrow("NOPERM");
});

describe("the write test", () => {
  const selfTest = (url: string) => redisProbe(opened.connect(url)).selfTest(testCall());

  test("leaves nothing", async () => {
    const before = await admin.dbsize();
    await selfTest(server.url);
    expect(await admin.dbsize()).toBe(before);
  });

  test.each([
    ["SET", "-set"],
    ["GET", "-get"],
    ["DEL", "-del"],
  ])("a user who may not %s: the step is named", async (step, rule) => {
    const url = await userWith(admin, server.port, "tester", "+@all", rule);
    await expect(selfTest(url)).rejects.toMatchObject({
      code: "failed",
      message: expect.stringContaining(`stopped at ${step}: `),
    });
    const left = (await admin.keys("opsctl:health:*")).length;
    expect(left).toBe(step === "DEL" ? 1 : 0);
    await admin.call("ACL", "DELUSER", "tester");
  });

  test("a full server", async () => {
    await admin.config("SET", "maxmemory", "1mb");
    await expect(selfTest(server.url)).rejects.toThrow(/stopped at SET: .*maxmemory/);
    await admin.config("SET", "maxmemory", "0");
    await selfTest(server.url);
  });
});

describe("the shell", () => {
  test.each([
    ["redis://127.0.0.1:7000", undefined, "redis-cli", ["-h", "127.0.0.1", "-p", "7000"], {}],
    [
      "rediss://me:a%20b@cache.example/3",
      "docker exec -i c redis-cli",
      "docker",
      [
        "exec",
        "-i",
        "c",
        "redis-cli",
        "-h",
        "cache.example",
        "-p",
        "6379",
        "-n",
        "3",
        "--user",
        "me",
        "--tls",
        "--sni",
        "cache.example",
      ],
      { REDISCLI_AUTH: "a b" },
    ],
  ])("%s", (url, program, file, args, env) => {
    expect(redisShell(targetOf(url), program)).toEqual({ file, args, env });
  });
});
