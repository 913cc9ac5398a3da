import { linkSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startRedis } from "../../scripts/services/redis.ts";
import { readHead } from "../../src/engines/redis/restore-entries.ts";
import { until } from "../support/cli.ts";
import { type OwnRedis, ownRedis } from "../support/servers.ts";
import { backUp, client, contents, fill, type Made, QUICK, workFolder } from "./redis-backup-kit.ts";
import { failureOf, restored, restoreOf, withPart } from "./redis-restore-kit.ts";

const work = workFolder();
let source: OwnRedis;
let target: OwnRedis;
let made: Made;
let whole: Awaited<ReturnType<typeof contents>>;

beforeAll(async () => {
  // with this policy the file says how long each key was not used
  source = await ownRedis([...QUICK, "--maxmemory-policy", "allkeys-lru"]);
  target = await ownRedis([...QUICK, "--maxmemory", "500mb", "--maxmemory-policy", "allkeys-lru"]);
  await fill(source.url, 5_000);
  // names that a file does not hold as they are: integers of each size, and packed ones
  const names = ["1", "-300", "70000", "-2147483648", "99999999999", "ab".repeat(500), "\u0000".repeat(90)];
  await client(source.url, (client) => client.mset(Object.fromEntries(names.map((name) => [name, name]))));
  made = await backUp(source.url, "psync", work.fresh());
  whole = await contents(source.url);
});
afterAll(async () => {
  await source?.stop();
  await target?.stop();
  work.remove();
});

/** What a restore changes for a while. */
async function settingsOf(url: string) {
  return client(url, async (client) => {
    const names = ["repl-diskless-load", "masterauth", "maxmemory-policy", "appendonly", "replicaof"];
    const replication = await client.info("replication");
    return {
      settings: await Promise.all(names.map((name) => client.config("GET", name))),
      role: /^role:(\w+)/m.exec(replication)?.[1],
    };
  });
}

/** Other data than those of the file. */
function fillOther(url: string) {
  return client(url, async (client) => {
    await client.call("FLUSHALL");
    await client.call("FUNCTION", "FLUSH");
    await client.mset("expires", "another", "old", "1");
    await client.call(
      "FUNCTION",
      "LOAD",
      "#!lua name=old\nredis.register_function('o', function() return 1 end)",
    );
  });
}

describe.each(["replica", "commands"] as const)("by %s", (method) => {
  test("every type, database, expiry and function comes back, and nothing else", async () => {
    await fillOther(target.url);
    const before = await settingsOf(target.url);
    const { plan, swapped, found } = await restored(target.url, work.fresh(), {
      made,
      path: made.path,
      method,
    });
    expect(plan).toMatchObject({
      overwrites: "2 keys in 1 database, 1 library of functions",
      undo: "safety",
    });
    expect(swapped.how).toContain(method === "replica" ? "REPLICAOF" : "RESTORE");
    expect(found.problems).toEqual([]);
    expect(found.counts).toMatchObject({ keys: made.copied.counts["keys"], functions: 2, databases: 3 });
    expect(await contents(target.url)).toEqual(whole);
    expect(await settingsOf(target.url)).toEqual(before);
  });

  test("it survives kill -9 of a server with an append-only file", async () => {
    const dir = work.fresh();
    const args = [...QUICK, "--appendonly", "yes"];
    let server = await startRedis({ dir, args });
    try {
      await client(server.url, (client) => client.set("old", "1"));
      await restored(server.url, work.fresh(), { made, path: made.path, method });
      // also what is written afterwards
      await client(server.url, (client) => client.set("later", "1"));
      await client(server.url, (client) => client.del("later"));
      process.kill(server.pid, "SIGKILL");
      await server.stop();
      server = await startRedis({ dir, args });
      expect(await contents(server.url)).toEqual(whole);
    } finally {
      await server.stop();
    }
  });
});

test("it survives kill -9 of a server that keeps snapshots only", async () => {
  const dir = work.fresh();
  const args = [...QUICK, "--save", "3600 1000000"];
  let server = await startRedis({ dir, args });
  try {
    await restored(server.url, work.fresh(), { made, path: made.path });
    process.kill(server.pid, "SIGKILL");
    await server.stop();
    server = await startRedis({ dir, args });
    expect(await contents(server.url)).toEqual(whole);
  } finally {
    await server.stop();
  }
});

test("a user who may not make it a replica restores by commands, and is told so", async () => {
  await fillOther(target.url);
  const url = await client(target.url, async (client) => {
    await client.call(
      "ACL",
      "SETUSER",
      "few",
      "reset",
      "on",
      ">word",
      "~*",
      "+@all",
      "-replicaof",
      "-slaveof",
    );
    return `redis://few:word@127.0.0.1:${target.port}`;
  });
  const { plan, swapped } = await restored(url, work.fresh(), { made, path: made.path });
  expect(plan.how).toMatch(/RESTORE .* because .*REPLICAOF/);
  expect(swapped.how).toMatch(/RESTORE .* because .*REPLICAOF/);
  expect(await contents(target.url)).toEqual(whole);
  const refused = failureOf(restored(url, work.fresh(), { made, path: made.path, method: "replica" }));
  expect(await refused).toMatchObject({ message: expect.stringContaining("REPLICAOF") });
});

test("a user who may not RESTORE changes nothing", async () => {
  await fillOther(target.url);
  const before = await contents(target.url);
  const url = await client(target.url, async (client) => {
    await client.call("ACL", "SETUSER", "fewer", "reset", "on", ">word", "~*", "+@all", "-restore");
    return `redis://fewer:word@127.0.0.1:${target.port}`;
  });
  const error = await failureOf(restored(url, work.fresh(), { made, path: made.path, method: "commands" }));
  expect(error).toMatchObject({ code: "auth", message: expect.stringContaining("RESTORE") });
  expect(await contents(target.url)).toEqual(before);
});

test("a word that the server has for its master is asked for, and kept", async () => {
  await client(target.url, (client) => client.config("SET", "masterauth", "pässword"));
  try {
    await restored(target.url, work.fresh(), { made, path: made.path, method: "replica" });
    expect(await client(target.url, (client) => client.config("GET", "masterauth"))).toEqual([
      "masterauth",
      "pässword",
    ]);
  } finally {
    await client(target.url, (client) => client.config("SET", "masterauth", ""));
  }
});

test("going back to nothing removes what came, and leaves what others wrote", async () => {
  await client(target.url, (client) => client.multi().call("FLUSHALL").call("FUNCTION", "FLUSH").exec());
  const restore = restoreOf(target.url, work.fresh(), { made, path: made.path });
  await withPart(restore, async (part, call) => {
    expect((await part.plan(call)).undo).toBe("empty");
    await part.prepare(call);
    await part.requireWayBack(call);
    await part.rollback(call);
    expect(part.isTouched).toBe(false);
    await part.swap(call);
  });
  await client(target.url, (client) => client.multi().set("theirs", "1").select(3).set("theirs", "2").exec());
  await withPart(restore, async (part, call) => {
    // another process checks the file again
    await part.prepare(call);
    expect(part.isTouched).toBe(true);
    await part.requireWayBack(call);
    await part.rollback(call);
    expect(part.isTouched).toBe(false);
    await part.rollback(call);
  });
  await client(target.url, async (client) => {
    expect((await client.info("keyspace")).match(/^db.*keys=\d+/gm)).toEqual(["db0:keys=1", "db3:keys=1"]);
    expect(await client.call("FUNCTION", "LIST")).toEqual([]);
  });
});

test("without the file there is no way back to nothing", async () => {
  await client(target.url, (client) => client.multi().call("FLUSHALL").call("FUNCTION", "FLUSH").exec());
  const folder = work.fresh();
  await withPart(restoreOf(target.url, folder, { made, path: made.path }), async (part, call) => {
    await part.prepare(call);
    await part.swap(call);
    const copy = join(folder, "work", "dump.rdb");
    rmSync(copy);
    const gone = { code: "failed", message: expect.stringContaining(copy) };
    expect(await failureOf(part.requireWayBack(call))).toMatchObject(gone);
    expect(await failureOf(part.rollback(call))).toMatchObject(gone);
  });
  expect(await contents(target.url)).toEqual(whole);
});

describe("by commands into less memory than the data take", () => {
  let small: OwnRedis;
  let loader: string;

  beforeAll(async () => {
    const { facts } = await readHead(made.path);
    const limit = String(Number(facts["used-mem"]) >> 1);
    small = await ownRedis([...QUICK, "--maxmemory", limit, "--maxmemory-policy", "allkeys-random"]);
    await client(small.url, (client) =>
      client.call("ACL", "SETUSER", "loader", "reset", "on", ">word", "~*", "+@all", "-config"),
    );
    loader = `redis://loader:word@127.0.0.1:${small.port}`;
  });
  afterAll(() => small?.stop());

  /** Without a plan, which would refuse it. */
  async function swapInto(url: string) {
    return withPart(
      restoreOf(url, work.fresh(), { made, path: made.path, method: "commands" }),
      async (part, call) => {
        await part.prepare(call);
        await part.swap(call);
        // whatever comes later does not make up for it
        await client(small.url, (client) => client.set("later", "1"));
        return part.verify(call);
      },
    );
  }

  test("the server refuses rather than drops keys, and has its policy again", async () => {
    expect(await failureOf(swapInto(small.url))).toMatchObject({ code: "failed" });
    expect((await settingsOf(small.url)).settings).toContainEqual(["maxmemory-policy", "allkeys-random"]);
  });

  test("keys that were dropped all the same are missed", async () => {
    const { problems } = await swapInto(loader);
    expect(problems).toEqual([expect.stringContaining("right after the load: db")]);
  });
});

test("a user who may not FLUSHALL changes nothing, and nothing has to be brought back", async () => {
  const url = await client(target.url, async (client) => {
    await client.call("ACL", "SETUSER", "filler", "reset", "on", ">word", "~*", "+@all", "-flushall");
    return `redis://filler:word@127.0.0.1:${target.port}`;
  });
  const restore = restoreOf(url, work.fresh(), { made, path: made.path, method: "commands" });
  await withPart(restore, async (part, call) => {
    await part.prepare(call);
    expect(await failureOf(part.swap(call))).toMatchObject({ code: "auth" });
    expect(part.isTouched).toBe(false);
  });
});

test("a port that is in use is refused before anything is done", async () => {
  const restore = restoreOf(target.url, work.fresh(), {
    made,
    path: made.path,
    listen: `127.0.0.1:${target.port}`,
  });
  await withPart(restore, async (part, call) => {
    const taken = { code: "failed", message: expect.stringContaining("EADDRINUSE") };
    expect(await failureOf(part.plan(call))).toMatchObject(taken);
    expect(await failureOf(part.prepare(call))).toMatchObject(taken);
  });
});

test("what others write after a load by commands is no loss", async () => {
  const restore = restoreOf(target.url, work.fresh(), { made, path: made.path, method: "commands" });
  await withPart(restore, async (part, call) => {
    await part.prepare(call);
    await part.swap(call);
    await client(target.url, (client) => client.del("99999999999", "70000"));
    expect(await part.verify(call)).toMatchObject({
      problems: [],
      notes: [expect.stringContaining("others wrote since")],
    });
  });
});

test("what came into an empty server meanwhile is not overwritten", async () => {
  await client(target.url, (client) => client.multi().call("FLUSHALL").call("FUNCTION", "FLUSH").exec());
  const restore = restoreOf(target.url, work.fresh(), { made, path: made.path });
  await withPart(restore, async (part, call) => {
    await part.prepare(call);
    await client(target.url, (client) => client.set("theirs", "1"));
    expect(await failureOf(part.swap(call))).toMatchObject({
      code: "failed",
      message: expect.stringContaining("was empty when the restore began, and now holds 1 key"),
    });
  });
  expect(await client(target.url, (client) => client.get("theirs"))).toBe("1");
});

test("keys that expired are missed by nobody, others are", async () => {
  const few = await ownRedis(QUICK);
  try {
    await client(few.url, (client) =>
      client.pipeline().set("stays", "1").set("goes", "1", "PX", 1).set("goes too", "1", "PX", 1).exec(),
    );
    // what has expired is in the file all the same: a master sends it
    await client(few.url, (client) => client.call("DEBUG", "SET-ACTIVE-EXPIRE", "0"));
    await client(few.url, (client) =>
      client.pipeline().set("goes", "1", "PX", 300).set("goes too", "1", "PX", 300).exec(),
    );
    const soon = await backUp(few.url, "psync", work.fresh());
    expect(soon.copied.counts).toMatchObject({ keys: 3, expires: 2 });
    await client(target.url, (client) => client.call("FLUSHALL"));
    const restore = restoreOf(target.url, work.fresh(), { made: soon, path: soon.path });
    await withPart(restore, async (part, call) => {
      await part.prepare(call);
      await part.swap(call);
      await until("expired", () => client(target.url, async (client) => (await client.dbsize()) === 1));
      expect(await part.verify(call)).toMatchObject({
        counts: { keys: 1, expires: 0 },
        problems: [],
        notes: [expect.stringContaining("expired")],
      });
      await client(target.url, (client) => client.del("stays"));
      expect((await part.verify(call)).notes.join()).toContain("db0: the server holds 0, and the file 3");
    });
  } finally {
    await few.stop();
  }
});

describe("refused before anything is touched", () => {
  /** The file, as if a server of another release had written it. */
  function asVersion(version: string): string {
    const path = join(work.fresh(), "dump.rdb");
    const bytes = readFileSync(made.path);
    bytes.write(version, 5, "latin1");
    writeFileSync(path, bytes);
    return path;
  }

  async function planOf(url: string, path = made.path) {
    return withPart(restoreOf(url, work.fresh(), { made, path }), (part, call) => part.plan(call));
  }

  test("a file of a newer release", async () => {
    expect(await failureOf(planOf(target.url, asVersion("0012")))).toMatchObject({
      code: "failed",
      message: expect.stringMatching(
        /is 7\.0\.\d+ and reads RDB files up to version 10; .* version 12, of Redis 7\.4/,
      ),
    });
  });

  test("a replica, whose master is named", async () => {
    const replica = await ownRedis(["--replicaof", `127.0.0.1 ${source.port}`]);
    try {
      expect(await failureOf(planOf(replica.url))).toMatchObject({
        message: expect.stringContaining(`is a replica of 127.0.0.1:${source.port}`),
      });
    } finally {
      await replica.stop();
    }
  });

  test("a node of a cluster", async () => {
    const node = await ownRedis(["--cluster-enabled", "yes"]);
    try {
      expect(await failureOf(planOf(node.url))).toMatchObject({
        message: expect.stringContaining("cluster"),
      });
    } finally {
      await node.stop();
    }
  });

  test("less memory than the data take, and fewer databases than they are in", async () => {
    const small = await ownRedis([
      ...["--maxmemory", "100kb", "--maxmemory-policy", "allkeys-lru"],
      ...["--databases", "4"],
    ]);
    try {
      expect(await failureOf(planOf(small.url))).toMatchObject({
        message: expect.stringMatching(/maxmemory of 0\.1 MiB.*evict/),
      });
      await client(small.url, (client) => client.config("SET", "maxmemory", "0"));
      expect(await failureOf(planOf(small.url))).toMatchObject({
        message: expect.stringContaining("database 15"),
      });
    } finally {
      await small.stop();
    }
  });

  test("a file that is not what the metadata say", async () => {
    const path = join(work.fresh(), "dump.rdb");
    linkSync(made.path, path);
    const others = { copied: { ...made.copied, counts: { ...made.copied.counts, keys: 1 } } };
    const restore = restoreOf(target.url, work.fresh(), { made: others, path });
    const error = await failureOf(withPart(restore, (part, call) => part.prepare(call)));
    expect(error).toMatchObject({ code: "integrity", message: expect.stringContaining("keys: it holds") });
  });
});
