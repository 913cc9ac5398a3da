import { chmodSync, copyFileSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, delimiter, dirname, join } from "node:path";
import { generateIdentity, identityToRecipient } from "age-encryption";
import type Database from "better-sqlite3";
import type { Driver } from "neo4j-driver";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type PostgresServer, startPostgres } from "../../scripts/services/postgres.ts";
import { startRedis } from "../../scripts/services/redis.ts";
import { archivesIn, askPostgres } from "../support/backup.ts";
import { ROOT, Sandbox } from "../support/cli.ts";
import {
  type DeepDigest,
  neo4jDigest,
  postgresDigest,
  redisDigest,
  sqliteDigest,
} from "../support/deep-digest.ts";
import { neo4jServer, ownRedis } from "../support/servers.ts";
import { openDriver } from "./graph-kit.ts";
import { ageFolder, commandsOf, fillNeo4j, fillPostgres, fillRedis, openSqlite, shell } from "./stock-kit.ts";

const box = new Sandbox({ shared: true });
const graph = neo4jServer();
const app = join(box.cwd, "app.db");
const keyFile = join(box.dir, "key.txt");
const digests: Record<"postgres" | "redis" | "sqlite" | "neo4j", DeepDigest> = {
  postgres: {},
  redis: {},
  sqlite: {},
  neo4j: {},
};
let driver: Driver;
let postgres: PostgresServer;
let database: Database.Database;
/** Of the commands: what an operator has, and nothing that leads opsctl anywhere. */
let tools: Record<string, string>;
/** The folder of the unpacked set. */
let set: string;

beforeAll(async () => {
  driver = openDriver(graph);
  // PostgreSQL runs as a user of its own when root starts it
  chmodSync(box.dir, 0o711);
  const [redis] = await Promise.all([
    ownRedis(["--repl-diskless-sync-delay", "0"]),
    // its own: roles come back, too
    startPostgres({ dir: join(box.dir, "postgres"), database: "app", fsync: false }).then((server) => {
      postgres = server;
    }),
    graph.wipe(),
  ]);
  database = openSqlite(app);
  // what `npm install neo4j-driver` brings
  symlinkSync(join(ROOT, "node_modules"), join(box.cwd, "node_modules"));
  await Promise.all([fillPostgres(postgres.url), fillRedis(redis.url), fillNeo4j(driver)]);
  [digests.postgres, digests.redis, digests.neo4j] = await Promise.all([
    postgresDigest(postgres.url),
    redisDigest(redis.url),
    neo4jDigest(graph),
  ]);
  digests.sqlite = sqliteDigest(app);
  const identity = await generateIdentity();
  writeFileSync(keyFile, identity);
  const { hostname, port, password } = new URL(postgres.url);
  const path = [
    dirname(process.execPath),
    postgres.bin,
    ageFolder(join(box.dir, "age")),
    process.env["PATH"],
  ];
  tools = {
    PATH: path.join(delimiter),
    PGHOST: hostname,
    PGPORT: port,
    PGUSER: "postgres",
    PGPASSWORD: password,
    NEO4J_URI: graph.uri,
    NEO4J_USERNAME: graph.username,
    NEO4J_PASSWORD: graph.password,
    DB: "app",
    SQLITE: app,
  };
  const servers = { DATABASE_URL: postgres.url, REDIS_URL: redis.url, OPSCTL_BACKUP_SQLITE: app };
  const backup = (folder: string, ...words: string[]) =>
    box.ok(["backup", ...words], { env: { ...tools, ...servers, OPSCTL_BACKUPS: join(box.cwd, folder) } });
  await backup("whole");
  await backup("zst", "redis", "--format", "tar.zst");
  await backup("age", "redis", "--encrypt-to", await identityToRecipient(identity));
  await redis.stop();
});

afterAll(async () => {
  database?.close();
  await driver?.close();
  await graph.wipe();
  await postgres?.stop();
  box.remove();
});

/** Names of archives begin with a digit. */
function archiveOf(folder: string): string {
  const [name = ""] = archivesIn(folder).filter((file) => /^\d+_\d+\./.test(file));
  return join(folder, name);
}

/** Unpacks the archive of a folder as the README says. */
async function unpackedBy(way: string, folder: string): Promise<string> {
  const [name = ""] = basename(archiveOf(folder)).split(".");
  copyFileSync(keyFile, join(folder, "key.txt"));
  await shell(folder, commandsOf("unpack", way), { ...tools, NAME: name });
  return join(folder, name);
}

describe("an archive, without opsctl", () => {
  it("is unpacked from tar.gz by tar, and compared by sha256sum", async () => {
    set = await unpackedBy("tar.gz", join(box.cwd, "whole"));
    expect(JSON.parse(readFileSync(join(set, "metadata.json"), "utf8"))).toMatchObject({ state: "complete" });
  });

  it("is unpacked from tar.zst by tar and zstd", async () => {
    const folder = await unpackedBy("tar.zst", join(box.cwd, "zst"));
    expect(
      readFileSync(join(folder, "redis", "dump.rdb"))
        .subarray(0, 5)
        .toString(),
    ).toBe("REDIS");
  });

  it("is decrypted by age", async () => {
    const folder = await unpackedBy("encrypted", join(box.cwd, "age"));
    expect(
      readFileSync(join(folder, "redis", "dump.rdb"))
        .subarray(0, 5)
        .toString(),
    ).toBe("REDIS");
  });

  it("that is damaged is found by sha256sum", async () => {
    const folder = join(box.cwd, "zst");
    const bytes = readFileSync(archiveOf(folder));
    bytes.fill(0, 100, 104);
    writeFileSync(archiveOf(folder), bytes);
    await expect(unpackedBy("tar.zst", folder)).rejects.toThrow("did NOT match");
  });
});

describe("PostgreSQL, without opsctl", () => {
  /** Another database of the server. */
  const elsewhere = () => postgres.url.replace(/app$/, "postgres");

  it("comes back with pg_restore, roles, rights and settings", async () => {
    await askPostgres(elsewhere(), "DROP DATABASE IF EXISTS app WITH (FORCE)");
    await askPostgres(elsewhere(), "DROP ROLE IF EXISTS reader, writer");
    await shell(set, commandsOf("postgres", "custom"), tools);
    expect(await postgresDigest(postgres.url)).toEqual(digests.postgres);
  });

  it("comes back with psql and the plain dump, all but what belongs to the database itself", async () => {
    await askPostgres(elsewhere(), "DROP DATABASE IF EXISTS app WITH (FORCE)");
    await shell(set, commandsOf("postgres", "plain"), tools);
    const content = ({ database: _, "database settings": __, ...rest }: DeepDigest) => rest;
    expect(content(await postgresDigest(postgres.url))).toEqual(content(digests.postgres));
  });
});

it("SQLite comes back with sqlite3 into a file that is open", async () => {
  database.exec("DELETE FROM notes; DROP TABLE words; PRAGMA user_version = 8");
  await shell(set, commandsOf("sqlite"), tools);
  expect(sqliteDigest(app)).toEqual(digests.sqlite);
  expect(database.pragma("integrity_check", { simple: true })).toBe("ok");
});

describe("Redis, without opsctl", () => {
  it.each([
    ["appendonly no", ["--appendonly", "no"]],
    ["appendonly yes", ["--appendonly", "yes"]],
  ])("comes back with redis-server, %s", async (way, args) => {
    const dir = join(box.dir, way);
    // a server that has other data
    const before = await startRedis({ dir, args });
    await before.stop();
    await shell(set, commandsOf("redis", way), { ...tools, REDIS_DIR: join(dir, "data") });
    const server = await startRedis({ dir, args });
    try {
      expect(await redisDigest(server.url)).toEqual(digests.redis);
    } finally {
      await server.stop();
    }
  });
});

it("Neo4j comes back with the driver and the program in examples", async () => {
  await graph.wipe();
  copyFileSync(join(ROOT, "examples", "load-graph.mjs"), join(set, "load-graph.mjs"));
  await shell(set, commandsOf("neo4j"), tools);
  expect(await neo4jDigest(graph)).toEqual(digests.neo4j);
});
