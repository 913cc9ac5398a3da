/** What a benchmark of restores does between two of them: empties databases, compares what came back, keeps the data of a kept folder. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { Redis } from "ioredis";
import neo4j from "neo4j-driver";
import type { EngineName } from "../../src/errors.ts";
import {
  type DeepDigest,
  neo4jDigest,
  postgresDigest,
  redisDigest,
  sqliteDigest,
} from "../../test/support/deep-digest.ts";
import { mustRun } from "../services/shell.ts";
import type { Stack } from "./backup-stack.ts";
import { execute } from "./lib/servers.ts";

export type Digests = Partial<Record<EngineName, DeepDigest>>;

/** Of everything that these engines hold. */
export async function digestsOf(stack: Stack, engines: readonly EngineName[]): Promise<Digests> {
  const { postgres, redis, neo4j, sqlite } = stack;
  const make: Record<EngineName, () => DeepDigest | Promise<DeepDigest>> = {
    postgres: () => postgresDigest(postgres.url),
    redis: () => redisDigest(redis.url),
    sqlite: () => sqliteDigest(sqlite),
    neo4j: () => neo4jDigest(neo4j),
  };
  const digests: Digests = {};
  for (const engine of engines) digests[engine] = await make[engine]();
  return digests;
}

/** Throws when an engine does not hold what it held, naming what differs. */
export function compare(found: Digests, expected: Digests): void {
  for (const [engine, digest] of Object.entries(found)) {
    const before = expected[engine as EngineName] ?? {};
    const names = new Set([...Object.keys(digest), ...Object.keys(before)]);
    const changed = [...names].filter((name) => digest[name] !== before[name]);
    if (changed.length > 0) throw new Error(`${engine} did not come back: ${changed.join(", ")}`);
  }
}

/** Leaves empty databases, as after a loss. */
export async function wipe(stack: Stack, engines: readonly EngineName[]): Promise<void> {
  const empty: Record<EngineName, () => Promise<void>> = {
    postgres: () => wipePostgres(stack.postgres.url),
    redis: () => wipeRedis(stack.redis.url),
    sqlite: async () => wipeSqlite(stack.sqlite),
    neo4j: () => wipeNeo4j(stack.neo4j),
  };
  for (const engine of engines) await empty[engine]();
}

async function wipePostgres(url: string): Promise<void> {
  const name = new URL(url).pathname.slice(1);
  const elsewhere = new URL(url);
  elsewhere.pathname = "/postgres";
  await execute(elsewhere.href, `DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`);
  await execute(elsewhere.href, `CREATE DATABASE "${name}"`);
  await execute(elsewhere.href, "CHECKPOINT");
}

async function wipeRedis(url: string): Promise<void> {
  const client = new Redis(url, { maxRetriesPerRequest: 1 });
  client.on("error", () => {});
  try {
    await client.flushall();
    await client.call("FUNCTION", "FLUSH");
  } finally {
    client.disconnect();
  }
}

function wipeSqlite(path: string): void {
  const database = new Database(path);
  try {
    database.pragma("foreign_keys = OFF");
    const tables = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").pluck().all();
    for (const name of tables) database.exec(`DROP TABLE "${String(name)}"`);
    database.exec("VACUUM");
    database.pragma("wal_checkpoint(TRUNCATE)");
  } finally {
    database.close();
  }
}

async function wipeNeo4j({ uri, username, password }: Stack["neo4j"]): Promise<void> {
  const driver = neo4j.driver(uri, neo4j.auth.basic(username, password));
  const session = driver.session({ database: "neo4j" });
  try {
    await session.run("MATCH ()-[r]->() CALL (r) { DELETE r } IN TRANSACTIONS OF 10000 ROWS");
    await session.run("MATCH (n) CALL (n) { DELETE n } IN TRANSACTIONS OF 10000 ROWS");
    const rules = {
      CONSTRAINT: "SHOW CONSTRAINTS YIELD name",
      INDEX: "SHOW INDEXES YIELD name, type WHERE type <> 'LOOKUP'",
    };
    for (const [kind, listing] of Object.entries(rules)) {
      const { records } = await session.run(listing);
      for (const record of records) await session.run(`DROP ${kind} \`${String(record.get("name"))}\``);
    }
  } finally {
    await session.close();
    await driver.close();
  }
}

/**
 * Kept data is gone while a benchmark of restores runs: a run that is cut off must not pass for a folder with data.
 * @returns what says that it is there again
 */
export function lendKept(folder: string): () => void {
  const path = join(folder, "data.json");
  const kept = readFileSync(path, "utf8");
  writeFileSync(path, JSON.stringify({ ...(JSON.parse(kept) as object), filled: [] }), { mode: 0o600 });
  return () => writeFileSync(path, kept, { mode: 0o600 });
}

/** A set that opsctl made, and its files in a folder, as the tools want them. */
export interface MadeSet {
  /** Folder of the archive, which is the only one there. */
  archives: string;
  path: string;
  name: string;
  unpacked: string;
}

/** Makes a set of engines with the built program. */
export async function makeSet(
  folder: string,
  engines: readonly EngineName[],
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<MadeSet> {
  const archives = join(folder, "sets", engines.join("-"));
  const unpacked = join(archives, "unpacked");
  rmSync(archives, { recursive: true, force: true });
  mkdirSync(unpacked, { recursive: true });
  const words = [
    join(import.meta.dirname, "../../bin/opsctl.js"),
    "backup",
    ...engines,
    "--format",
    "tar.zst",
  ];
  await mustRun(process.execPath, words, { env: { ...env, OPSCTL_BACKUPS: archives }, cwd: folder, signal });
  const file = readdirSync(archives).find((name) => name.endsWith(".tar.zst"));
  if (!file) throw new Error("opsctl backup left no archive");
  const path = join(archives, file);
  await mustRun("tar", ["--zstd", "-xf", path, "-C", unpacked, "--strip-components=1"], { signal });
  return { archives, path, name: file.replace(".tar.zst", ""), unpacked };
}
