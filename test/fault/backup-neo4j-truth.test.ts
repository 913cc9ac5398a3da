/** Writers hammer all four engines while they are backed up. */
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { askPostgres, backupsOf, leftoversIn, makeSqlite, unpack } from "../support/backup.ts";
import { collect, Sandbox, until } from "../support/cli.ts";
import {
  neo4jServer,
  type OwnRedis,
  ownRedis,
  postgresDatabase,
  type TestDatabase,
} from "../support/servers.ts";
import { checkWritten, READERS, startWriters, WRITTEN } from "./backup-writers.ts";

describe("a backup of four engines beside writers", () => {
  const neo4j = neo4jServer();
  let box: Sandbox;
  let postgres: TestDatabase;
  let redis: OwnRedis;
  let file: string;
  let targets: Record<"neo4j" | "postgres" | "redis" | "sqlite", string>;
  let env: Record<string, string>;

  beforeAll(async () => {
    box = new Sandbox({ shared: true });
    await neo4j.wipe();
    [postgres, redis] = await Promise.all([
      postgresDatabase(),
      ownRedis(["--repl-diskless-sync-delay", "0"]),
    ]);
    await askPostgres(postgres.url, WRITTEN);
    file = makeSqlite(join(box.dir, "app.db"), 1_000_000);
    const database = new Database(file);
    database.exec(WRITTEN);
    database.close();
    const graph = new URL(neo4j.uri);
    graph.username = neo4j.username;
    graph.password = neo4j.password;
    targets = { neo4j: graph.href, postgres: postgres.url, redis: redis.url, sqlite: file };
    env = { NEO4J_URI: targets.neo4j, DATABASE_URL: postgres.url, REDIS_URL: redis.url };
  });
  afterAll(async () => {
    await Promise.all([postgres?.drop(), redis?.stop(), neo4j.wipe()]);
    box.remove();
  });

  const engines = ["neo4j", "postgres", "redis", "sqlite"] as const;
  const startAll = () => Promise.all(engines.map((engine) => startWriters(box, engine, targets[engine], 1)));

  async function backup(...flags: string[]) {
    const writers = await startAll();
    const ran = await box.run(["backup", ...engines, "--sqlite", file, ...flags], { env });
    const acknowledged = await Promise.all(writers.map(({ stop }) => stop()));
    return { ran, acknowledged };
  }

  it("holds every write that was acknowledged before, without a gap, when writers of the graph wait", async () => {
    const { ran, acknowledged } = await backup("--name", "set", "--freeze", "always");
    expect(ran.code, ran.stderr).toBe(0);
    const set = await unpack(join(backupsOf(box), "set.tar.gz"), join(box.dir, "frozen"));
    expect(set.metadata.parts.map(({ engine, reason }) => `${engine}: ${reason}`)).toEqual(
      set.metadata.parts.map(({ engine }) => `${engine}: null`),
    );
    expect(set.metadata).toMatchObject({ state: "complete", consistency: "consistent" });
    for (const [n, engine] of engines.entries())
      checkWritten(set.metadata, engine, await READERS[engine](set, box), acknowledged[n]!);
  });

  it("says that it is fuzzy when they go on, and still holds what was acknowledged before", async () => {
    const { ran, acknowledged } = await backup("--name", "fuzzy", "--require-consistent");
    const set = await unpack(join(backupsOf(box), "fuzzy.tar.gz"), join(box.dir, "fuzzy"));
    const part = set.metadata.parts.find(({ engine }) => engine === "neo4j")!;
    // a graph this small may be read between two writes
    if (part.consistency === "consistent") expect(ran.code, ran.stderr).toBe(0);
    else {
      expect(ran.code, ran.stderr).toBe(3);
      expect(part.reason).toMatch(/./);
      expect(set.metadata.consistency).toBe("fuzzy");
    }
    checkWritten(set.metadata, "neo4j", await READERS.neo4j(set, box), acknowledged[0]!);
  });

  it("leaves no writer waiting when it is killed while it holds them", async () => {
    const child = box.start(["backup", "neo4j", "--freeze", "always", "--name", "killed"], { env });
    const ended = collect(child);
    await until("the run is at work", () => leftoversIn(backupsOf(box)).length > 0);
    child.kill("SIGKILL");
    await ended;
    const writers = await startWriters(box, "neo4j", targets.neo4j);
    const acknowledged = await writers.stop();
    for (const acks of acknowledged.values()) expect(acks.length).toBeGreaterThan(10);
  });
});
