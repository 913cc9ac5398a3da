import { mkdirSync, mkdtempSync, renameSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { endProcess, spawnServer, waitReady } from "../../scripts/services/process.ts";
import { findTools } from "../../scripts/services/tools.ts";
import type { Target } from "../../src/config/targets.ts";
import type { RedisConnection } from "../../src/engines/redis/connect.ts";
import { redis } from "../../src/engines/redis/engine.ts";
import { redisSettings } from "../../src/engines/redis/settings.ts";
import { waitForAppendOnlyFile } from "../../src/engines/redis/settings-last.ts";
import { OpsError } from "../../src/errors.ts";
import { DEFAULT_REDIS_SETTINGS, parseRedisSettings } from "../../src/migrate/redis-settings.ts";
import { testCall } from "../support/calls.ts";
import { freePort, type OwnRedis, ownRedis } from "../support/servers.ts";

const LIMITS = { connectMs: 2_000, queryMs: 10_000, poolSize: 1 };
const CANARY = "canary-Pa55-word";
const WRITES = { writes: true };

function target(url: string): Target {
  return { engine: "redis", url, database: "0", shown: "redis://***", identity: "redis:test" };
}

const opened: RedisConnection[] = [];

async function connect(url: string): Promise<RedisConnection> {
  const connection = await redis.connect(target(url), LIMITS);
  opened.push(connection);
  return connection;
}

async function infoField(connection: RedisConnection, field: string): Promise<string | undefined> {
  const text = String(await connection.run(testCall(), ["INFO"]));
  return new RegExp(`^${field}:(.*)\r$`, "m").exec(text)?.[1];
}

async function configFile(connection: RedisConnection): Promise<string> {
  const file = await infoField(connection, "config_file");
  expect(file).toBeTruthy();
  return file!;
}

async function get(connection: RedisConnection, name: string): Promise<string> {
  return ((await connection.run(testCall(), ["CONFIG", "GET", name])) as string[])[1]!;
}

async function refusalOf(work: () => Promise<unknown>): Promise<OpsError> {
  const error = await work().then(
    () => undefined,
    (thrown) => thrown,
  );
  expect(error).toBeInstanceOf(OpsError);
  expect(inspect(error, { depth: 10, showHidden: true })).not.toContain(CANARY);
  return error as OpsError;
}

afterAll(() => Promise.all(opened.map((connection) => connection.close())));

describe("a fresh server with a config file", () => {
  let server: OwnRedis;
  let connection: RedisConnection;

  beforeAll(async () => {
    server = await ownRedis();
    connection = await connect(server.url);
  });
  afterAll(() => server?.stop());

  test("differences are applied, read back and written to the file; the second run changes nothing", async () => {
    const settings = await redis.capabilities.settings!(connection);
    const changes = await settings.compare(testCall(), DEFAULT_REDIS_SETTINGS);
    expect(changes).toEqual([
      { name: "maxmemory", before: "0", after: "512mb" },
      { name: "maxmemory-policy", before: "noeviction", after: "allkeys-lru" },
      { name: "appendonly", before: "no", after: "yes" },
      { name: "timeout", before: "0", after: "300" },
    ]);
    expect(await settings.risks(testCall(), changes)).toEqual([]);
    const notes = await settings.apply(testCall(), changes);
    expect(notes).toEqual([`written to the server's ${await configFile(connection)}`]);
    expect(await get(connection, "maxmemory")).toBe(String(512 * 1024 ** 2));
    expect(await get(connection, "maxmemory-policy")).toBe("allkeys-lru");
    expect(await get(connection, "appendonly")).toBe("yes");
    expect(await get(connection, "appendfsync")).toBe("everysec");
    expect(await get(connection, "timeout")).toBe("300");
    expect(await infoField(connection, "aof_enabled")).toBe("1");
    expect(await infoField(connection, "aof_rewrite_in_progress")).toBe("0");
    expect(await settings.compare(testCall(), DEFAULT_REDIS_SETTINGS)).toEqual([]);
    expect(await settings.apply(testCall(), [])).toEqual([]);
  });

  test("values are compared in the server's units and shown side by side", async () => {
    const settings = redisSettings(connection);
    await connection.run(testCall(), ["CONFIG", "SET", "maxmemory", "512mb"], WRITES);
    expect(await settings.compare(testCall(), [{ name: "maxmemory", value: "536870912" }])).toEqual([]);
    expect(await settings.compare(testCall(), [{ name: "maxmemory", value: "0.5gb" }])).toHaveLength(1);
    const changes = await settings.compare(testCall(), parseRedisSettings(["maxmemory=1GB", "hz=20"]));
    expect(changes).toContainEqual({ name: "maxmemory", before: "512mb", after: "1GB" });
    expect(changes).toContainEqual({ name: "hz", before: "10", after: "20" });
    await settings.apply(testCall(), changes);
    expect(await get(connection, "maxmemory")).toBe(String(1024 ** 3));
    expect(await get(connection, "hz")).toBe("20");
  });

  test("a value or name that the server does not take fails with its reason", async () => {
    const settings = redisSettings(connection);
    const value = await refusalOf(() =>
      settings.apply(testCall(), [{ name: "hz", before: "10", after: "many" }]),
    );
    expect(value).toMatchObject({ code: "failed", message: expect.stringContaining("hz") });
    const name = await refusalOf(() => settings.compare(testCall(), [{ name: "no-such-thing", value: "1" }]));
    expect(name).toMatchObject({ code: "failed", message: expect.stringContaining("no-such-thing") });
    const fixed = [{ name: "databases", before: "16", after: "17" }];
    const immutable = await refusalOf(() => settings.apply(testCall(), fixed));
    expect(immutable.hint).toContain("databases 17");
  });

  test("a config file that cannot be written is a note, and the settings hold", async () => {
    // a folder in the place of the file: root may write any file
    const file = await configFile(connection);
    renameSync(file, `${file}.away`);
    mkdirSync(file);
    try {
      const notes = await redisSettings(connection).apply(testCall(), [
        { name: "hz", before: "20", after: "30" },
      ]);
      expect(notes.join()).toMatch(/lasts until restart: .* was not rewritten \(Rewriting config file: /);
      expect(await get(connection, "hz")).toBe("30");
    } finally {
      rmdirSync(file);
      renameSync(`${file}.away`, file);
    }
  });

  test("an append-only file that cannot be made is a failure", async () => {
    const blocked = await ownRedis(["--appenddirname", "blocked"]);
    try {
      const own = await connect(blocked.url);
      writeFileSync(join(await get(own, "dir"), "blocked"), "");
      const change = { name: "appendonly", before: "no", after: "yes" };
      const error = await refusalOf(() => redisSettings(own).apply(testCall(), [change]));
      expect(error.code).toBe("failed");
    } finally {
      await blocked.stop();
    }
  });
});

describe("a server without a config file", () => {
  test("takes the settings until its restart, and the note says so", async () => {
    const dir = mkdtempSync(join(tmpdir(), "opsctl-redis-bare-"));
    const port = await freePort();
    const { redisServer } = await findTools();
    const args = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--dir", dir];
    const logFile = join(dir, "redis.log");
    const server = await spawnServer({ command: redisServer!, args, cwd: dir, logFile });
    try {
      const connection = await connect(`redis://127.0.0.1:${port}`);
      const probe = () => connection.run(testCall(), ["PING"]);
      await waitReady({ name: "redis-server", server, logFile, timeoutMs: 20_000, probe });
      const settings = redisSettings(connection);
      const notes = await settings.apply(
        testCall(),
        await settings.compare(testCall(), DEFAULT_REDIS_SETTINGS),
      );
      expect(notes).toEqual(["lasts until restart: the server was started without a config file"]);
      expect(await settings.compare(testCall(), DEFAULT_REDIS_SETTINGS)).toEqual([]);
    } finally {
      await endProcess(server.id, "SIGTERM");
      rmSync(dir, { recursive: true, force: true });
    }
  });
});

describe("a server that holds keys", () => {
  let server: OwnRedis;
  let connection: RedisConnection;
  const KEYS = 5_000;

  beforeAll(async () => {
    server = await ownRedis();
    connection = await connect(server.url);
  });
  beforeEach(async () => {
    await connection.run(testCall(), ["CONFIG", "SET", "maxmemory", "0"], WRITES);
    await connection.run(testCall(), ["CONFIG", "SET", "maxmemory-policy", "noeviction"], WRITES);
    await connection.run(testCall(), ["FLUSHALL"], WRITES);
    const fill = `for i=1,${KEYS} do redis.call('SET','key:'..i,string.rep('x',1000)) end`;
    await connection.run(testCall(), ["EVAL", fill, "0"], WRITES);
  });
  afterAll(() => server?.stop());

  const planned = async (overrides: string[]) => {
    const settings = redisSettings(connection);
    const changes = await settings.compare(testCall(), parseRedisSettings(overrides));
    return { settings, changes, risks: await settings.risks(testCall(), changes) };
  };
  const keys = () => connection.run(testCall(), ["DBSIZE"]);

  test("a limit below the used memory: the figures are told, nothing goes, and the estimate is right", async () => {
    const { settings, changes, risks } = await planned(["maxmemory=3mb"]);
    expect(risks).toHaveLength(1);
    expect(risks[0]).toMatch(/^maxmemory 0 → 3mb, maxmemory-policy noeviction → allkeys-lru: /);
    expect(risks[0]).toContain("5,000 keys");
    const estimate = Number(/about ([\d,]+) keys/.exec(risks[0]!)![1]!.replaceAll(",", ""));
    expect(await keys()).toBe(KEYS);
    await settings.apply(testCall(), changes);
    // the server evicts in slices of time, some of them after its answer
    const used = async () => Number(await infoField(connection, "used_memory"));
    await expect.poll(used, { timeout: 10_000 }).toBeLessThan(3 * 1024 ** 2 + 64 * 1024);
    const gone = KEYS - Number(await keys());
    expect(gone).toBeGreaterThan(1_000);
    expect(Math.abs(gone - estimate) / gone).toBeLessThan(0.35);
  });

  test("an evicting policy with room enough is told too, and evicts nothing", async () => {
    const { settings, changes, risks } = await planned([]);
    expect(risks).toHaveLength(1);
    expect(risks[0]).toContain("nothing goes now");
    expect(risks[0]).toContain("5,000 keys");
    await settings.apply(testCall(), changes);
    expect(await keys()).toBe(KEYS);
    expect((await planned([])).risks).toEqual([]);
    expect((await planned(["maxmemory=1gb"])).risks).toEqual([]);
    expect((await planned(["maxmemory=256mb"])).risks[0]).toContain("sooner than before");
    expect((await planned(["appendonly=no"])).risks[0]).toContain("restart");
  });

  test("without an evicting policy a limit that is too low stops writes", async () => {
    const { risks } = await planned(["maxmemory=2mb", "maxmemory-policy=noeviction"]);
    expect(risks[0]).toContain("all writes are refused");
    expect((await planned(["maxmemory=2mb", "maxmemory-policy=volatile-lru"])).risks[0]).toContain("refused");
  });

  test("no intermediate state evicts: the limit falls after the policy, and rises before it", async () => {
    await connection.run(testCall(), ["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"], WRITES);
    const down = await planned(["maxmemory=2mb", "maxmemory-policy=noeviction"]);
    await down.settings.apply(testCall(), down.changes);
    expect(await keys()).toBe(KEYS);
    const up = await planned([]);
    await up.settings.apply(testCall(), up.changes);
    expect(await keys()).toBe(KEYS);
  });
});

describe("the append-only file", () => {
  test("is waited for, and when time is over first a note says so", async () => {
    const server = await ownRedis(["--rdb-key-save-delay", "2000", "--aof-use-rdb-preamble", "yes"]);
    try {
      const connection = await connect(server.url);
      const fill = "for i=1,500 do redis.call('SET','key:'..i,'x') end";
      await connection.run(testCall(), ["EVAL", fill, "0"], WRITES);
      await connection.run(testCall(), ["CONFIG", "SET", "appendonly", "yes"], WRITES);
      expect((await waitForAppendOnlyFile(testCall(), connection, 100)).join()).toContain("still writing");
      expect(await waitForAppendOnlyFile(testCall(), connection)).toEqual([]);
      expect(await infoField(connection, "aof_rewrite_in_progress")).toBe("0");
    } finally {
      await server.stop();
    }
  });
});

describe("servers that refuse", () => {
  let server: OwnRedis;
  let admin: RedisConnection;

  beforeAll(async () => {
    server = await ownRedis();
    admin = await connect(server.url);
  });
  afterAll(() => server?.stop());

  const asUser = async (name: string, ...rules: string[]) => {
    await admin.run(testCall(), ["ACL", "SETUSER", name, "on", `>${CANARY}`, "~*", ...rules], WRITES);
    return connect(`redis://${name}:${CANARY}@127.0.0.1:${server.port}`);
  };

  test("a user without CONFIG: auth, and what to set by hand", async () => {
    const settings = redisSettings(await asUser("app", "+@all", "-config"));
    const error = await refusalOf(() => settings.compare(testCall(), DEFAULT_REDIS_SETTINGS));
    expect(error).toMatchObject({
      code: "auth",
      engine: "redis",
      message: expect.stringContaining("CONFIG GET"),
    });
    for (const { name, value } of DEFAULT_REDIS_SETTINGS) expect(error.hint).toContain(`${name} ${value}`);
    expect(error.hint).toContain("--skip-config");
  });

  test("a user that may read but not set: only what is left is listed", async () => {
    const settings = redisSettings(await asUser("reader", "+@all", "-config|set"));
    const changes = await settings.compare(testCall(), [
      { name: "timeout", value: "300" },
      { name: "appendfsync", value: "everysec" },
    ]);
    expect(changes).toHaveLength(1);
    const error = await refusalOf(() => settings.apply(testCall(), changes));
    expect(error).toMatchObject({ code: "auth", message: expect.stringContaining("CONFIG SET") });
    expect(error.hint).toContain("timeout 300;");
    expect(await get(admin, "timeout")).toBe("0");
  });

  test("a user without CONFIG REWRITE sets, with a note", async () => {
    const settings = redisSettings(await asUser("setter", "+@all", "-config|rewrite"));
    const notes = await settings.apply(testCall(), [{ name: "hz", before: "10", after: "11" }]);
    expect(notes.join()).toContain("lasts until restart");
  });

  test("CONFIG is renamed: failed, and what to set by hand", async () => {
    const managed = await ownRedis(["--rename-command", "CONFIG", ""]);
    try {
      const settings = redisSettings(await connect(managed.url));
      const error = await refusalOf(() => settings.compare(testCall(), DEFAULT_REDIS_SETTINGS));
      expect(error.code).toBe("failed");
      expect(error.hint).toContain("maxmemory 512mb");
      expect(error.hint).toContain("--skip-config");
    } finally {
      await managed.stop();
    }
  });

  test("a wrong password changes nothing and stays secret", async () => {
    const settings = redisSettings(await connect(`redis://:${CANARY}@127.0.0.1:${server.port}`));
    const error = await refusalOf(() => settings.compare(testCall(), DEFAULT_REDIS_SETTINGS));
    expect(error.code).toBe("auth");
    expect(error.hint).not.toContain("--skip-config");
  });
});
