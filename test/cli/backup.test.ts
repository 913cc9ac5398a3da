/** `backup` as a user meets it: what it makes in each format is read with the system's own programs. */
import { existsSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import Database from "better-sqlite3";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  archivesIn,
  askDump,
  askPlainDump,
  askPostgres,
  askRdb,
  backupsOf,
  digest,
  makeSqlite,
  sidecarOf,
  sqlite3,
  unpack,
} from "../support/backup.ts";
import { Sandbox } from "../support/cli.ts";
import { type OwnRedis, ownRedis, postgresDatabase, type TestDatabase } from "../support/servers.ts";

const box = new Sandbox({ shared: true });
let postgres: TestDatabase;
let redis: OwnRedis;
let file: string;
let env: Record<string, string>;

beforeAll(async () => {
  [postgres, redis] = await Promise.all([postgresDatabase(), ownRedis(["--repl-diskless-sync-delay", "0"])]);
  const values = `SELECT n, 'tab\there, line\nbreak, back\\slash, ünï ' || n FROM generate_series(1, 1000) n`;
  await askPostgres(
    postgres.url,
    `CREATE TABLE notes (id int PRIMARY KEY, note text); INSERT INTO notes ${values}`,
  );
  const client = new Redis(redis.url);
  await client.mset(Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`key:${n}`, `value ${n}`])));
  await client.expire("key:7", 86_400);
  client.disconnect();
  file = makeSqlite(join(box.dir, "app.db"), 300_000);
  env = { DATABASE_URL: postgres.url, REDIS_URL: redis.url, OPSCTL_BACKUP_SQLITE: file };
});
afterAll(async () => {
  await Promise.all([postgres?.drop(), redis?.stop()]);
  box.remove();
});

const NOTES = "SELECT count(*)::int AS rows, md5(string_agg(id || note, '' ORDER BY id)) AS sum FROM notes";

/** What is in the three files of a set, or in single files. */
async function checkPostgres(dump: string | undefined, plain: string | undefined): Promise<void> {
  const live = await askPostgres(postgres.url, NOTES);
  if (dump) expect(await askDump(dump, NOTES)).toEqual(live);
  if (plain) expect(await askPlainDump(plain, NOTES)).toEqual(live);
}

async function checkRedis(rdb: string): Promise<void> {
  await askRdb(rdb, box, async (client) => {
    expect(await client.dbsize()).toBe(500);
    expect(await client.get("key:499")).toBe("value 499");
    expect(await client.ttl("key:7")).toBeGreaterThan(80_000);
  });
}

async function checkSqlite(copy: string): Promise<void> {
  expect(await sqlite3(copy, "PRAGMA integrity_check")).toEqual(["ok"]);
  const all = "SELECT id, hex(content) FROM data";
  expect(await sqlite3(copy, all)).toEqual(await sqlite3(file, all));
}

describe.each(["tar.gz", "tar.zst", "dir"])("a set as %s", (format) => {
  const name = `set-${format.replace(".", "-")}`;

  test("has everything, as the metadata says, for tar, pg_restore, psql, redis-server and sqlite3", async () => {
    const made = await box.json("backup", ["backup", "--format", format, "--name", name], { env });
    expect(made).toMatchObject({ name, container: format, state: "complete", consistency: "consistent" });
    expect(made["verified"]).toMatchObject({ level: "checksums" });
    const { metadata, find } = await unpack(made["path"], join(box.dir, format));
    await checkSqlite(find(/app\.db$/));
    // one container is enough for the slow programs: `unpack` has compared the digests of all files
    if (format === "tar.gz") {
      await checkPostgres(find(/\.dump$/), find(/^postgres\/(?!globals).*\.sql$/));
      await checkRedis(find(/\.rdb$/));
    }
    const counts = Object.fromEntries(
      metadata.parts.map((part) => [`${part.engine} ${part.name}`, part.counts]),
    );
    const database = new URL(postgres.url).pathname.slice(1);
    expect(counts[`postgres ${database}`]).toMatchObject({ tables: 1, rows: 1_000 });
    expect(counts["redis all"]).toMatchObject({ keys: 500, expires: 1 });
    expect(counts["sqlite app.db"]).toMatchObject({ tables: 1 });
    // the inner metadata and that of the sidecar are the same
    expect(sidecarOf(made["path"]).metadata).toEqual(metadata);
  });

  test("is verified to its last row, listed and shown", async () => {
    const verified = await box.json("backup verify", ["backup", "verify", name, "--level", "parse"]);
    expect(JSON.stringify(verified)).toContain(name);
    const { backups } = await box.json("backup list", ["backup", "list"]);
    const listed = backups.find((one: { name: string }) => one.name === name);
    expect(listed).toMatchObject({ state: "complete", verified: { level: "parse" } });
    expect(await box.ok(["backup", "show", name])).toContain("app.db");
  });
});

test("without a name it is the time in UTC, one valid gzip file whose last entry is the metadata", async () => {
  await box.ok(["backup", "sqlite"], { env: { OPSCTL_BACKUP_SQLITE: file } });
  const archive = archivesIn(backupsOf(box)).find((name) => /^\d{8}_\d{6}\.tar\.gz$/.test(name))!;
  const named = archive.replace(".tar.gz", "");
  const { code, stdout } = await box.shell(`gzip -t backups/${archive} && tar -tzf backups/${archive}`);
  expect(code).toBe(0);
  expect(stdout.trim().split("\n")).toEqual([
    `${named}/`,
    `${named}/sqlite/app.db`,
    `${named}/metadata.json`,
  ]);
  const { sha256, metadata } = sidecarOf(join(backupsOf(box), archive));
  expect(await digest(join(backupsOf(box), archive))).toBe(sha256);
  expect(metadata.started_at.replaceAll(/[-:]|\..*/g, "").replace("T", "_")).toBe(named);
});

test("one line for a log, and nothing on stderr", async () => {
  const ran = await box.run(["backup", "--name", "one-line"], { env });
  expect(ran).toMatchObject({ code: 0, stderr: "" });
  expect(ran.stdout).toMatch(
    /^\S+one-line\.tar\.gz: complete, consistent, [^\n]*verified \(checksums\)[^\n]*\n$/,
  );
});

describe("one engine's own file", () => {
  const FILES: Record<string, { engine: string; check: (path: string) => Promise<void> }> = {
    "latest.dump": { engine: "postgres", check: (path) => checkPostgres(path, undefined) },
    "latest.sql": { engine: "postgres", check: (path) => checkPostgres(undefined, path) },
    "latest.rdb": { engine: "redis", check: checkRedis },
    "opsbrain_backup_20250115.db": { engine: "sqlite", check: checkSqlite },
  };
  test.each(Object.entries(FILES))("%s", async (name, { engine, check }) => {
    const flags = engine === "sqlite" ? ["--sqlite", file] : [];
    const own = { ...env, OPSCTL_BACKUP_SQLITE: "" };
    const path = join(box.cwd, name);
    await box.ok(["backup", engine, ...flags, "--output", name], { env: own });
    await check(path);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(sidecarOf(path)).toMatchObject({ file: basename(path), sha256: await digest(path) });
    expect(await box.run(["backup", "verify", name, "--level", "parse"])).toMatchObject({ code: 0 });
  });
});

test("a slow snapshot is waited for: the others are taken after it, and nobody is given up meanwhile", async () => {
  // longer than the watchdog's patience with a server that is silent in the middle of its data
  const slow = await ownRedis(["--repl-diskless-sync-delay", "4"]);
  try {
    const patience = { OPSCTL_BACKUP_STALL: "2s" };
    await box.ok(["backup", "--name", "slow"], { env: { ...env, ...patience, REDIS_URL: slow.url } });
    const { parts } = sidecarOf(join(backupsOf(box), "slow.tar.gz")).metadata;
    const at = (engine: string) =>
      parts.filter((part) => part.engine === engine).map((part) => Date.parse(part.snapshot_at!));
    const [redisAt] = at("redis");
    for (const other of [...at("postgres"), ...at("sqlite")]) expect(other).toBeGreaterThanOrEqual(redisAt!);
  } finally {
    await slow.stop();
  }
});

test("a part that is fuzzy is told, and --require-consistent makes it 3", async () => {
  const args = ["backup", "redis", "--redis-method", "scan", "--require-consistent"];
  const client = new Redis(redis.url);
  let isOver = false;
  const writing = (async () => {
    while (!isOver) await client.set("changing", Math.random());
  })();
  const ran = await box.run([...args, "--name", "fuzzy"], { env });
  isOver = true;
  await writing;
  await client.del("changing");
  client.disconnect();
  expect(ran.code, ran.stderr).toBe(3);
  expect(ran.stderr).toMatch(/not consistent: redis: .+\nTry: /s);
  const { metadata } = sidecarOf(join(backupsOf(box), "fuzzy.tar.gz"));
  expect(metadata).toMatchObject({ state: "complete", consistency: "fuzzy" });
  expect(metadata.parts[0]!.reason).toMatch(/./);
});

test("the embedded file is part of it when it is there", async () => {
  await box.ok(["remember", "issue:a", "restarted"]);
  await box.ok(["backup", "sqlite", "--name", "embedded"]);
  const { find } = await unpack(join(backupsOf(box), "embedded.tar.gz"), join(box.dir, "embedded"));
  const database = new Database(find(/data\.db$/), { readonly: true });
  expect(database.prepare("SELECT count(*) FROM memori_events").pluck().get()).toBe(1);
  database.close();
  expect(existsSync(box.db)).toBe(true);
});
