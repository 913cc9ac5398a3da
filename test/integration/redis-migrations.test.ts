import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { OpsError } from "../../src/errors.ts";
import { DEFAULT_LIMITS } from "../../src/migrate/runner.ts";
import { startProxy, type TestProxy } from "../support/proxy.ts";
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
});
afterAll(async () => {
  await closeRunners();
  await server?.stop();
});

describe("files", () => {
  const source = sourceOf([
    ["# one\nSET a 1\n\n-- two\nSET b 2\n// end\n", "DEL a b\n"],
    ["HSET h f v", "DEL h"],
    ["# nothing is to be done\n", "# nor undone\n"],
  ]);

  test("up in order, each recorded; again: nothing; down and up again", async () => {
    expect(await runner.history()).toEqual([]);
    expect(await runner.run(source)).toEqual([
      "V001-step-up.redis",
      "V002-step-up.redis",
      "V003-step-up.redis",
    ]);
    expect(await runner.send("MGET", "a", "b")).toEqual(["1", "2"]);
    const rows = await runner.history();
    expect(rows.map(({ version, state, seq }) => [version, state, seq])).toEqual([
      ["V001", "applied", 1],
      ["V002", "applied", 2],
      ["V003", "applied", 3],
    ]);
    expect(rows[0]).toMatchObject({
      set_name: "user",
      file: "V001-step-up.redis",
      checksum: source.migrations[0]!.up.checksum,
      statement_index: 0,
      applied_by: "tester@host",
    });
    expect(await runner.run(source)).toEqual([]);
    const back = await runner.run(source, "down", { extent: { to: "0" } });
    expect(back).toEqual(["V003-step-down.redis", "V002-step-down.redis", "V001-step-down.redis"]);
    expect(await runner.send("DBSIZE")).toBe(0);
    expect(await statesOf(runner)).toEqual(["V001 reverted", "V002 reverted", "V003 reverted"]);
    expect(await runner.run(source)).toHaveLength(3);
    expect(await runner.send("MGET", "a", "b")).toEqual(["1", "2"]);
  });

  test("words arrive byte by byte", async () => {
    const line = 'HSET "k \\x00\\xff" \'it\\\'s\' "a\\nb" größe 😀 x ""';
    await runner.run(sourceOf([[line]]));
    const [reply] = await runner.connection.batch(runner.call, [
      ["HGETALL", Buffer.from("k \0\u00ff", "latin1")],
    ]);
    expect((reply as Buffer[]).map(String)).toEqual(["it's", "a\nb", "größe", "😀", "x", ""]);
  });

  test("each database has a history of its own", async () => {
    const third = await runnerOf(server.url, { database: "3" });
    await runner.run(source);
    expect(await third.history()).toEqual([]);
    expect(await third.run(sourceOf([["SET a three"]]))).toEqual(["V001-step-up.redis"]);
    expect(await statesOf(third)).toEqual(["V001 applied"]);
    expect(await third.send("GET", "a")).toBe("three");
    expect(await runner.send("GET", "a")).toBe("1");
    expect(await statesOf(runner)).toHaveLength(3);
  });

  test("rows are written as they are, all of them; any text in them comes back", async () => {
    await runner.run(sourceOf([["PING"]]));
    const [row] = await runner.history();
    const rows = ["]==]", 'a"]\\"]]', "]=]\\u005d\\", "\n\u2028\0é😀"].map((description, index) => ({
      ...row!,
      version: `V1${index}`,
      seq: 10 + index,
      description,
    }));
    await runner.target.exclusively(runner.call, 0, () => runner.target.record(runner.call, rows));
    expect((await runner.history()).slice(1)).toEqual(rows);
  });
});

describe("a command that the server refuses", () => {
  const [first, wrong, last] = ["SET a 1", "\tLPUSH a 1", "SET b 2"];

  test("is shown with file, line, column and caret; the next run goes on with it", async () => {
    const error = await failureOf(runner.run(sourceOf([["PING"], [`# x\n${first}\n${wrong}\n${last}`]])));
    expect(error.code).toBe("failed");
    expect(error.message).toBe(
      `V002-step-up.redis:3:2: Redis at ${runner.connection.at} refuses LPUSH: ` +
        "WRONGTYPE Operation against a key holding the wrong kind of value\n" +
        "  3 |  LPUSH a 1\n    |  ^",
    );
    expect(error.hint).toContain("goes on with this statement");
    expect((await runner.history())[1]).toMatchObject({ state: "failed", statement_index: 1 });
    expect(await runner.send("EXISTS", "b")).toBe(0);
    await runner.send("SET", "a", "mine");
    expect(await runner.run(sourceOf([["PING"], [`${first}\nSET c 3\n${last}`]]))).toEqual([
      "V002-step-up.redis",
    ]);
    // the first statement was done and did not run again
    expect(await runner.send("MGET", "a", "b", "c")).toEqual(["mine", "2", "3"]);
    expect(await statesOf(runner)).toEqual(["V001 applied", "V002 applied"]);
  });

  test.each<[string, RegExp]>([
    ["SETT a 1", /does not know SETT: is it misspelt/],
    ["SET a", /refuses SET: wrong number of arguments/],
    ["FUNCTION NOPE", /does not know FUNCTION NOPE/],
    ["EVAL \"return redis.call('INCR', KEYS[1])\" 1 h", /refuses EVAL: WRONGTYPE/],
    ["CONFIG SET hz many", /refuses CONFIG SET: CONFIG SET failed/],
    ["CONFIG SET no-such-thing 1", /has no setting no-such-thing/],
  ])("%s", async (line, message) => {
    await runner.send("HSET", "h", "f", "v");
    const error = await failureOf(runner.run(sourceOf([[line]])));
    expect(error).toMatchObject({ code: "failed", message: expect.stringMatching(message) });
    expect(error.message).toContain("V001-step-up.redis:1:1: ");
    expect(await statesOf(runner)).toEqual(["V001 failed"]);
  });

  test("nothing runs when a later file holds what must not run", async () => {
    const error = await failureOf(runner.run(sourceOf([["SET a 1"], ["PING\nFLUSHALL"]])));
    expect(error).toMatchObject({
      code: "usage",
      message: expect.stringContaining("V002-step-up.redis:2:1"),
    });
    expect(await runner.send("DBSIZE")).toBe(0);
    expect(await runner.history()).toEqual([]);
  });
});

describe("an answer that is lost", () => {
  let proxy: TestProxy;
  beforeAll(async () => {
    proxy = await startProxy({ target: { host: "127.0.0.1", port: server.port } });
  });
  afterAll(() => proxy?.close());

  const lose = async (text: string, lost: string) => {
    proxy.dropReplies((chunk, from) => from === "client" && chunk.includes(lost), { close: true });
    const cut = await runnerOf(`redis://:${server.password}@127.0.0.1:${proxy.port}`);
    const error = await failureOf(cut.run(sourceOf([[text]])));
    await proxy.up();
    return error;
  };

  test("a counter is not counted twice: a person decides", async () => {
    const text = "SET a 1\nINCR n\nSET b 2";
    const error = await lose(text, "INCR");
    expect(error).toMatchObject({
      code: "unknown_outcome",
      message: expect.stringContaining("V001-step-up.redis:2:1"),
    });
    expect((await runner.history())[0]).toMatchObject({ state: "running", statement_index: 1 });
    const again = await failureOf(runner.run(sourceOf([[text]])));
    expect(again).toMatchObject({
      code: "unknown_outcome",
      message: expect.stringContaining("statement 2 of 3"),
    });
    expect(await runner.send("GET", "n")).toBe("1");
  });

  test("what has the same effect twice is simply repeated", async () => {
    const text = "SET a 1\nSADD s lost\nSET b 2";
    expect((await lose(text, "SADD")).code).toBe("unknown_outcome");
    expect(await runner.run(sourceOf([[text]]))).toEqual(["V001-step-up.redis"]);
    expect(await runner.send("SMEMBERS", "s")).toEqual(["lost"]);
    expect(await runner.send("GET", "b")).toBe("2");
  });

  test("an interruption between statements leaves a history that says where", async () => {
    const abort = new AbortController();
    const interrupted = new OpsError({ code: "interrupted", message: "interrupted" });
    const stopped = await runnerOf(server.url, {
      signal: abort.signal,
      progress({ unit, done }) {
        if (unit === "statements" && done === 1) abort.abort(interrupted);
      },
    });
    const source = sourceOf([["SET a 1\nINCR n"]]);
    expect(await failureOf(stopped.run(source))).toBe(interrupted);
    expect((await runner.history())[0]).toMatchObject({ state: "failed", statement_index: 1 });
    expect(await runner.run(source)).toHaveLength(1);
    expect(await runner.send("GET", "n")).toBe("1");
  });
});

describe("limits of time", () => {
  const slow = (ms: number) =>
    `EVAL "local t = redis.call('TIME'); local e = t[1] * 1000 + t[2] / 1000 + ${ms}; ` +
    `repeat t = redis.call('TIME') until t[1] * 1000 + t[2] / 1000 > e" 0`;

  test("a command may take longer than OPSCTL_QUERY_TIMEOUT", async () => {
    const patient = await runnerOf(server.url, { queryMs: 300 });
    expect(await patient.run(sourceOf([[`${slow(900)}\nSET a 1`]]))).toHaveLength(1);
    expect(await runner.send("GET", "a")).toBe("1");
  });

  test("--statement-timeout ends the wait, and nobody knows what the command did", async () => {
    const limits = { ...DEFAULT_LIMITS, statementTimeoutMs: 300 };
    const error = await failureOf(runner.run(sourceOf([[`SET a 1\n${slow(900)}`]]), "up", { limits }));
    expect(error).toMatchObject({
      code: "unknown_outcome",
      message: expect.stringContaining("within 300 ms"),
    });
    expect((await runner.history())[0]).toMatchObject({ state: "running", statement_index: 1 });
  });
});

describe("settings", () => {
  test("are read back and written to the server's file; a user who may not is told", async () => {
    const file = sourceOf([
      ["CONFIG SET maxmemory 64mb maxmemory-policy ALLKEYS-LRU\nCONFIG SET loglevel VERBOSE"],
    ]);
    expect(
      await runner.target.preview!(runner.call, runner.target.statements(file.migrations[0]!.up.text)[0]!),
    ).toBe("maxmemory 0 → 64mb; maxmemory-policy noeviction → allkeys-lru");
    await runner.run(file);
    expect(await runner.send("CONFIG", "GET", "maxmemory")).toEqual(["maxmemory", String(64 * 1024 ** 2)]);
    expect(runner.logged.filter(({ level }) => level === "WARNING")).toEqual([]);
    expect(runner.logged.map(({ message }) => message).join()).toMatch(
      /loglevel: written to the server's .*redis\.conf/,
    );

    await runner.send("ACL", "SETUSER", "setter", "on", "nopass", "~*", "&*", "+@all", "-config|rewrite");
    const setter = await runnerOf(`redis://setter:x@127.0.0.1:${server.port}`, { database: "5" });
    await setter.run(sourceOf([["CONFIG SET hz 20"]]));
    expect(setter.logged).toContainEqual({
      level: "WARNING",
      message: expect.stringContaining("hz: lasts until restart"),
    });
    await runner.send("CONFIG", "SET", "maxmemory", "0", "maxmemory-policy", "noeviction");
  });

  test("what a limit would delete is told before it does", async () => {
    await runner.send("EVAL", "for i=1,4000 do redis.call('SET','key:'..i,string.rep('x',1000)) end", "0");
    const source = sourceOf([["CONFIG SET maxmemory-policy allkeys-lru\nCONFIG SET maxmemory 3mb"]]);
    const [, limit] = runner.target.statements(source.migrations[0]!.up.text);
    await runner.send("CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
    expect(await runner.target.preview!(runner.call, limit!)).toMatch(
      /^maxmemory 0 → 3mb; .* would be deleted at once/,
    );
    expect(await runner.send("DBSIZE")).toBe(4000);
    await runner.run(source);
    expect(runner.logged).toContainEqual({
      level: "WARNING",
      message: expect.stringContaining("would be deleted"),
    });
    expect(await statesOf(runner)).toEqual(["V001 applied"]);
    await runner.send("CONFIG", "SET", "maxmemory", "0", "maxmemory-policy", "noeviction");
  });
});

describe("servers that cannot be migrated", () => {
  test("a node of a cluster is refused with the reason", async () => {
    const cluster = await ownRedis(["--cluster-enabled", "yes"]);
    try {
      const node = await runnerOf(cluster.url);
      expect(await node.target.unavailable(node.call, "namespaces")).toContain("node of a cluster");
      const error = await failureOf(node.run(sourceOf([["PING"]])));
      expect(error).toMatchObject({ code: "failed", message: expect.stringContaining("node of a cluster") });
    } finally {
      await cluster.stop();
    }
  });

  test("users without a permission are told which", async () => {
    const as = async (name: string, ...rules: string[]) => {
      await runner.send("ACL", "SETUSER", name, "on", "nopass", "~*", "&*", "+@all", ...rules);
      return runnerOf(`redis://${name}:x@127.0.0.1:${server.port}`);
    };
    const files = sourceOf([["SET a 1"]]);
    for (const [name, denied, hint] of [
      ["loader", "-function|load", "+function|load"],
      ["caller", "-fcall_ro", "+fcall_ro"],
      ["lister", "-client|list", "+client|list"],
      ["namer", "-client|setname", "+client|setname"],
    ] as const) {
      await runner.send("FUNCTION", "FLUSH");
      const error = await failureOf((await as(name, denied)).run(files));
      expect(error).toMatchObject({ code: "auth", hint: expect.stringContaining(hint) });
    }
    expect(await runner.send("EXISTS", "a")).toBe(0);
    // a runner needs no INFO, and a reader nothing but to read
    expect(await (await as("quiet", "-info", "-client|no-evict")).run(files)).toHaveLength(1);
    await runner.send("ACL", "SETUSER", "reader", "on", "nopass", "~*", "+@read", "+fcall_ro");
    const reader = await runnerOf(`redis://reader:x@127.0.0.1:${server.port}`);
    expect(await statesOf(reader)).toEqual(["V001 applied"]);
    expect((await failureOf(reader.run(sourceOf([["SET a 1"], ["SET b 1"]])))).code).toBe("auth");
  });
});
