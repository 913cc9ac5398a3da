/** Writers hammer PostgreSQL, Redis and SQLite while they are backed up. */
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  askDump,
  askPlainDump,
  askPostgres,
  backupsOf,
  fillPostgres,
  lastArchive,
  makeSqlite,
  unpack,
} from "../support/backup.ts";
import { Sandbox } from "../support/cli.ts";
import { type OwnRedis, ownRedis, postgresDatabase, type TestDatabase } from "../support/servers.ts";
import { checkWritten, READERS, ROWS, startWriters, WRITTEN } from "./backup-writers.ts";

const MIB = 1024 * 1024;

describe("a backup beside writers", () => {
  let box: Sandbox;
  let postgres: TestDatabase;
  let redis: OwnRedis;
  let files: { wal: string; rollback: string };

  beforeAll(async () => {
    box = new Sandbox({ shared: true });
    [postgres, redis] = await Promise.all([
      postgresDatabase(),
      ownRedis(["--repl-diskless-sync-delay", "0"]),
    ]);
    await fillPostgres(postgres.url, 2 * MIB);
    await askPostgres(postgres.url, WRITTEN);
    files = { wal: makeSqlite(join(box.dir, "wal.db"), 2 * MIB), rollback: join(box.dir, "rollback.db") };
    for (const path of Object.values(files)) {
      const database = new Database(path);
      database.exec(WRITTEN);
      database.close();
    }
  });
  afterAll(async () => {
    await Promise.all([postgres?.drop(), redis?.stop()]);
    box.remove();
  });

  it("holds every write that was acknowledged before its snapshot, and no gap", async () => {
    const env = { DATABASE_URL: postgres.url, REDIS_URL: redis.url };
    const writers = await Promise.all([
      startWriters(box, "postgres", postgres.url),
      startWriters(box, "redis", redis.url),
      startWriters(box, "sqlite", files.wal),
    ]);
    const args = ["backup", "postgres", "redis", "sqlite", "--sqlite", files.wal];
    const ran = await box.run(args, { env });
    const acknowledged = await Promise.all(writers.map(({ stop }) => stop()));
    expect(ran.code, ran.stderr).toBe(0);

    const set = await unpack(lastArchive(backupsOf(box)), join(box.dir, "beside-writers"));
    expect(set.metadata).toMatchObject({ state: "complete", consistency: "consistent" });
    expect(set.metadata.skew_ms).toBeLessThan(10_000);
    for (const [n, { engine }] of writers.entries())
      checkWritten(set.metadata, engine, await READERS[engine](set, box), acknowledged[n]!);
    // the plain file is of the same snapshot
    const plain = await askPlainDump(set.find(/^postgres\/.*(?<!globals)\.sql$/), ROWS);
    expect(plain).toEqual(await askDump(set.find(/\.dump$/), ROWS));
  });

  it("takes a SQLite file in rollback mode without a gap, and its writers go on afterwards", async () => {
    const { stop } = await startWriters(box, "sqlite", files.rollback);
    const ran = await box.run(["backup", "sqlite", "--sqlite", files.rollback, "--name", "rollback"]);
    const acknowledged = await stop();
    expect(ran.code, ran.stderr).toBe(0);
    const set = await unpack(lastArchive(backupsOf(box)), join(box.dir, "rollback"));
    checkWritten(set.metadata, "sqlite", await READERS.sqlite(set, box), acknowledged);
  });
});
