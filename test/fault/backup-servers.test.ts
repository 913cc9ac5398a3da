/** Servers and programs that fail a backup: before it, and in the middle of their data. */
import { randomBytes } from "node:crypto";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Redis } from "ioredis";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { latest, listArchives } from "../../src/backup/archives.ts";
import {
  archivesIn,
  askPostgres,
  backupsOf,
  fillPostgres,
  lastArchive,
  leftoversIn,
  makeSqlite,
  problemsIn,
  processesOf,
  publishedIn,
  sidecarOf,
  spooledIn,
} from "../support/backup.ts";
import { collect, type Ran, Sandbox, until } from "../support/cli.ts";
import { startProxy, type TestProxy } from "../support/proxy.ts";
import { type OwnRedis, ownRedis, postgresDatabase, type TestDatabase } from "../support/servers.ts";

const MIB = 1024 * 1024;
const NOBODY = "127.0.0.1:1";

let box: Sandbox;
let folder: string;
let postgres: TestDatabase;
let postgresProxy: TestProxy;
let redis: OwnRedis;
let redisProxy: TestProxy;
let file: string;

beforeAll(async () => {
  [postgres, redis] = await Promise.all([
    postgresDatabase(),
    ownRedis(["--repl-diskless-sync-delay", "0", "--rdbcompression", "no"]),
  ]);
  await Promise.all([fillPostgres(postgres.url, 16 * MIB), fillRedis(redis.url)]);
  [postgresProxy, redisProxy] = await Promise.all([before(postgres.url), before(redis.url)]);
});
afterAll(async () => {
  await Promise.all([postgresProxy?.close(), redisProxy?.close()]);
  await Promise.all([postgres?.drop(), redis?.stop()]);
});
beforeEach(() => {
  box = new Sandbox();
  folder = backupsOf(box);
  file = makeSqlite(join(box.dir, "app.db"), 100_000);
});
afterEach(async () => {
  await Promise.all([postgresProxy.up(), redisProxy.up()]);
  box.remove();
});

async function fillRedis(url: string): Promise<void> {
  const client = new Redis(url);
  for (let n = 0; n < 24; n += 1) await client.set(`large:${n}`, randomBytes(MIB / 2).toString("hex"));
  client.disconnect();
}

async function before(url: string): Promise<TestProxy> {
  const { hostname, port } = new URL(url);
  return startProxy({ target: { host: hostname, port: Number(port) } });
}

/** A URL with other parts. */
function changed(url: string, parts: { host?: string; port?: number; password?: string }): string {
  const changed = new URL(url);
  if (parts.host !== undefined) changed.host = parts.host;
  if (parts.port !== undefined) changed.port = String(parts.port);
  if (parts.password !== undefined) changed.password = parts.password;
  return changed.href;
}

const urls = () => ({
  DATABASE_URL: changed(postgres.url, { port: postgresProxy.port }),
  REDIS_URL: changed(redis.url, { port: redisProxy.port }),
});

/** What holds after every failure. */
async function checkFailed(ran: Ran): Promise<void> {
  expect(ran.stderr).not.toMatch(/\n\s+at /);
  for (const url of [postgres.url, redis.url])
    expect(ran.stderr + ran.stdout).not.toContain(new URL(url).password);
  expect(leftoversIn(folder)).toEqual([]);
  expect(await problemsIn(folder)).toEqual([]);
  await until("no process of the run is left", () => processesOf(box).length === 0);
}

async function checkNothing(ran: Ran, codes: number[]): Promise<void> {
  expect(codes, ran.stderr).toContain(ran.code);
  expect(ran.stderr).toMatch(/^Try: ./m);
  expect(publishedIn(folder)).toEqual([]);
  await checkFailed(ran);
}

/** The set has the other parts, names what failed, and stands for nothing. */
async function checkIncomplete(ran: Ran, engine: string, codes: string[]): Promise<void> {
  expect(ran.code, ran.stderr).toBe(3);
  expect(ran.stderr).toContain(engine);
  expect(archivesIn(folder)).toHaveLength(1);
  const { metadata } = sidecarOf(lastArchive(folder));
  expect(metadata.state).toBe("incomplete");
  const failed = metadata.parts.filter(({ state }) => state === "failed");
  expect(new Set(failed.map((part) => part.engine))).toEqual(new Set([engine]));
  for (const { error, files } of failed) {
    expect(codes, error?.message).toContain(error?.code);
    expect(files).toEqual([]);
  }
  expect(metadata.parts.filter(({ state }) => state === "complete").length).toBeGreaterThan(0);
  expect(latest(await listArchives(folder))).toBeUndefined();
  await checkFailed(ran);
}

describe("a server that does not answer", () => {
  const BAD: Record<
    string,
    { engine: string; env: () => Record<string, string>; code: number; says: string }
  > = {
    "a closed port of PostgreSQL": {
      engine: "postgres",
      env: () => ({ DATABASE_URL: changed(postgres.url, { host: NOBODY }) }),
      code: 20,
      says: "unreachable",
    },
    "a closed port of Redis": {
      engine: "redis",
      env: () => ({ REDIS_URL: changed(redis.url, { host: NOBODY }) }),
      code: 20,
      says: "unreachable",
    },
    "a closed port of Neo4j": {
      engine: "neo4j",
      env: () => ({ NEO4J_URI: `bolt://neo4j:secret@${NOBODY}` }),
      code: 20,
      says: "unreachable",
    },
    "a wrong password of PostgreSQL": {
      engine: "postgres",
      env: () => ({ DATABASE_URL: changed(postgres.url, { password: "wrong" }) }),
      code: 21,
      says: "auth",
    },
    "a wrong password of Redis": {
      engine: "redis",
      env: () => ({ REDIS_URL: changed(redis.url, { password: "wrong" }) }),
      code: 21,
      says: "auth",
    },
    "a silent PostgreSQL": {
      engine: "postgres",
      env: () => {
        postgresProxy.timeout();
        return { DATABASE_URL: urls().DATABASE_URL };
      },
      code: 20,
      says: "unreachable",
    },
  };
  const SHORT = { OPSCTL_CONNECT_TIMEOUT: "1s", OPSCTL_BACKUP_STALL: "2s" };

  it.each(Object.entries(BAD))("%s, alone: nothing is published", async (_, { engine, env, code }) => {
    const ran = await box.run(["backup", engine], { env: { ...SHORT, ...env() } });
    await checkNothing(ran, [code]);
  });

  const BESIDE = ["a closed port of Neo4j", "a wrong password of Redis", "a silent PostgreSQL"].map(
    (name) => [name, BAD[name]!] as const,
  );
  it.each(BESIDE)("%s, beside another engine: incomplete", async (_, { engine, env, says }) => {
    const args = ["backup", engine, "sqlite", "--sqlite", file];
    await checkIncomplete(await box.run(args, { env: { ...SHORT, ...env() } }), engine, [says]);
  });

  it("none of two answers: nothing is published", async () => {
    const env = {
      ...SHORT,
      ...BAD["a closed port of PostgreSQL"]!.env(),
      ...BAD["a closed port of Redis"]!.env(),
    };
    await checkNothing(await box.run(["backup", "postgres", "redis"], { env }), [20]);
  });

  it("a stopped Redis counts as one that is away", async () => {
    process.kill(redis.pid, "SIGSTOP");
    try {
      const env = { ...SHORT, REDIS_URL: redis.url };
      await checkNothing(await box.run(["backup", "redis"], { env }), [20]);
    } finally {
      process.kill(redis.pid, "SIGCONT");
    }
  });
});

describe("in the middle of the data", () => {
  const STALL = { OPSCTL_BACKUP_STALL: "2s" };

  /** Starts a backup with a SQLite file, slow enough to be met in its middle, and does something to it there. */
  async function inTheMiddle(engine: "postgres" | "redis", act: () => unknown): Promise<Ran> {
    const proxy = engine === "postgres" ? postgresProxy : redisProxy;
    proxy.slicer(16_384);
    const args = ["backup", engine, "sqlite", "--sqlite", file];
    const ended = collect(box.start(args, { env: { ...urls(), ...STALL } }));
    let isOver = false;
    const watched = ended.finally(() => {
      isOver = true;
    });
    await until("the run is in the middle of the data", () => isOver || spooledIn(folder) > 400_000);
    expect(isOver, isOver ? (await ended).stderr : "").toBe(false);
    await act();
    return watched;
  }

  const proxyOf = { postgres: () => postgresProxy, redis: () => redisProxy };
  const LOST = ["unreachable", "failed"];

  it.each(["postgres", "redis"] as const)("%s: the connection is cut", async (engine) => {
    await checkIncomplete(await inTheMiddle(engine, () => proxyOf[engine]().down()), engine, LOST);
  });

  it.each(["postgres", "redis"] as const)("%s: not a byte comes any more", async (engine) => {
    await checkIncomplete(await inTheMiddle(engine, () => proxyOf[engine]().timeout()), engine, LOST);
  });

  it("postgres: its program is killed", async () => {
    const ran = await inTheMiddle("postgres", () => {
      const dump = processesOf(box).find(({ command }) => /pg_dump\b(?!all)/.test(command));
      process.kill(dump!.pid, "SIGKILL");
    });
    await checkIncomplete(ran, "postgres", ["failed"]);
    expect(ran.stderr).toMatch(/pg_dump .*SIGKILL/);
  });

  it("postgres: its program is frozen, and ended by the watchdog", async () => {
    const ran = await inTheMiddle("postgres", () => {
      const dump = processesOf(box).find(({ command }) => /pg_dump\b(?!all)/.test(command));
      process.kill(dump!.pid, "SIGSTOP");
    });
    await checkIncomplete(ran, "postgres", LOST);
  });

  it("postgres: its program never writes a byte, and is ended by the watchdog", async () => {
    // answers what its version is, and then stops
    const script = '#!/bin/sh\ncase "$*" in *--version*) exec REAL --version ;; esac\nkill -STOP $$\n';
    const { stdout: real } = await box.shell("command -v pg_dump");
    writeFileSync(join(box.cwd, "pg_dump"), script.replace("REAL", real.trim()));
    chmodSync(join(box.cwd, "pg_dump"), 0o755);
    const env = { ...urls(), ...STALL, PATH: `${box.cwd}:${process.env["PATH"]}` };
    const ran = await box.run(["backup", "postgres", "sqlite", "--sqlite", file], { env });
    await checkIncomplete(ran, "postgres", LOST);
  });

  it("postgres: a table that is locked for longer than that is waited for", async () => {
    const client = new pg.Client({ connectionString: postgres.url });
    client.on("error", () => {});
    await client.connect();
    await client.query("BEGIN; LOCK TABLE data IN ACCESS EXCLUSIVE MODE");
    const args = ["backup", "postgres", "--name", "patient"];
    const ended = collect(box.start(args, { env: { ...urls(), ...STALL } }));
    const waiting =
      "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND clock_timestamp() - query_start > '4 seconds'";
    await until(
      "pg_dump waits for the table",
      async () => (await askPostgres(postgres.url, waiting)).length > 0,
    );
    await client.query("COMMIT");
    await client.end();
    const ran = await ended;
    expect(ran.code, ran.stderr).toBe(0);
  });

  it("the time limit of the command passes: nothing is published", async () => {
    postgresProxy.slicer(4_096);
    const args = ["backup", "postgres", "sqlite", "--sqlite", file, "--timeout", "2s"];
    const ran = await box.run(args, { env: urls() });
    await checkNothing(ran, [1]);
    expect(ran.stderr).toContain("time limit");
  });

  it("redis: its server is frozen", async () => {
    try {
      const ran = await inTheMiddle("redis", () => process.kill(redis.pid, "SIGSTOP"));
      await checkIncomplete(ran, "redis", LOST);
    } finally {
      process.kill(redis.pid, "SIGCONT");
    }
  });

  it("redis: its server is killed", async () => {
    const server = await ownRedis(["--repl-diskless-sync-delay", "0", "--rdbcompression", "no"]);
    const proxy = await before(server.url);
    const [mine, others] = [redisProxy, redis];
    try {
      await fillRedis(server.url);
      [redisProxy, redis] = [proxy, server];
      const ran = await inTheMiddle("redis", () => process.kill(server.pid, "SIGKILL"));
      await checkIncomplete(ran, "redis", LOST);
    } finally {
      [redisProxy, redis] = [mine, others];
      await proxy.close();
      await server.stop();
    }
  });
});
