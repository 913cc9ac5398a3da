/** The servers of the tests in which a backup fails, and what holds after every failure. */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, expect } from "vitest";
import { latest, listArchives } from "../../src/backup/archives.ts";
import {
  archivesIn,
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

/** Nobody waits long for a server that is silent. */
export const STALL = { OPSCTL_BACKUP_STALL: "2s" };

/** A PostgreSQL and a Redis, each behind a proxy, and a SQLite file beside them. */
export interface Scene {
  box: Sandbox;
  /** Of archives. */
  folder: string;
  /** A small SQLite file, which can always be saved. */
  file: string;
  postgres: TestDatabase;
  redis: OwnRedis;
  postgresProxy: TestProxy;
  redisProxy: TestProxy;
}

/** Starts the servers for all tests of a file, and a sandbox for each; what it returns is whole while a test runs. */
export function useScene(): Scene {
  const scene = {} as Scene;
  beforeAll(async () => {
    [scene.postgres, scene.redis] = await Promise.all([postgresDatabase(), bigRedis()]);
    await fillPostgres(scene.postgres.url, 6 * MIB);
    scene.postgresProxy = await before(scene.postgres.url);
    scene.redisProxy = await before(scene.redis.url);
  });
  beforeEach(() => {
    scene.box = new Sandbox({ shared: true });
    scene.folder = backupsOf(scene.box);
    scene.file = makeSqlite(join(scene.box.dir, "app.db"), 100_000);
  });
  afterEach(async () => {
    await Promise.all([scene.postgresProxy.up(), scene.redisProxy.up()]);
    scene.box.remove();
  });
  afterAll(async () => {
    await Promise.all([scene.postgresProxy?.close(), scene.redisProxy?.close()]);
    await Promise.all([scene.postgres?.drop(), scene.redis?.stop()]);
  });
  return scene;
}

/** A Redis with 8 MiB, which it sends as they are. */
export async function bigRedis(): Promise<OwnRedis> {
  const server = await ownRedis(["--repl-diskless-sync-delay", "0", "--rdbcompression", "no"]);
  const client = new Redis(server.url);
  for (let n = 0; n < 8; n += 1) await client.set(`large:${n}`, randomBytes(MIB / 2).toString("hex"));
  client.disconnect();
  return server;
}

/** A proxy before a server. */
export async function before(url: string): Promise<TestProxy> {
  const { hostname, port } = new URL(url);
  return startProxy({ target: { host: hostname, port: Number(port) } });
}

/** A URL with other parts. */
export function changed(url: string, parts: { host?: string; port?: number; password?: string }): string {
  const changed = new URL(url);
  if (parts.host !== undefined) changed.host = parts.host;
  if (parts.port !== undefined) changed.port = String(parts.port);
  if (parts.password !== undefined) changed.password = parts.password;
  return changed.href;
}

/** The two servers, through their proxies. */
export const urls = ({ postgres, postgresProxy, redis, redisProxy }: Scene) => ({
  DATABASE_URL: changed(postgres.url, { port: postgresProxy.port }),
  REDIS_URL: changed(redis.url, { port: redisProxy.port }),
});

/** What holds after every failure. */
async function checkFailed({ box, folder, postgres, redis }: Scene, ran: Ran): Promise<void> {
  expect(ran.stderr).not.toMatch(/\n\s+at /);
  for (const url of [postgres.url, redis.url])
    expect(ran.stderr + ran.stdout).not.toContain(new URL(url).password);
  expect(leftoversIn(folder)).toEqual([]);
  expect(await problemsIn(folder)).toEqual([]);
  await until("no process of the run is left", () => processesOf(box).length === 0);
}

/** Nothing was published, and the exit code tells why. */
export async function checkNothing(scene: Scene, ran: Ran, code: number): Promise<void> {
  expect(ran.code, ran.stderr).toBe(code);
  expect(ran.stderr).toMatch(/^Try: ./m);
  expect(publishedIn(scene.folder)).toEqual([]);
  await checkFailed(scene, ran);
}

/** The set has the other parts, names what failed, and stands for nothing. */
export async function checkIncomplete(
  scene: Scene,
  ran: Ran,
  engine: string,
  codes: readonly string[],
): Promise<void> {
  const { folder } = scene;
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
  await checkFailed(scene, ran);
}

/** Starts a backup with a SQLite file, slow enough to be met in its middle, and does something to it there. */
export async function inTheMiddle(
  scene: Scene,
  engine: "postgres" | "redis",
  act: () => unknown,
): Promise<Ran> {
  const { box, folder, file, postgresProxy, redisProxy } = scene;
  (engine === "postgres" ? postgresProxy : redisProxy).slicer(16_384);
  const args = ["backup", engine, "sqlite", "--sqlite", file];
  const ended = collect(box.start(args, { env: { ...urls(scene), ...STALL } }));
  let isOver = false;
  const watched = ended.finally(() => {
    isOver = true;
  });
  await until("the run is in the middle of the data", () => isOver || spooledIn(folder) > 400_000);
  expect(isOver, isOver ? (await ended).stderr : "").toBe(false);
  await act();
  return watched;
}
