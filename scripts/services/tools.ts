/** Looks for the programs that the services need. Nothing is installed or changed here. */
import { existsSync, readdirSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { cacheDir, isExecutable, onPath, run } from "./shell.ts";

export const NEO4J_VERSION = "5.26.30";

export interface PostgresTools {
  /** Folder with initdb, postgres, psql and pg_dump. */
  bin: string;
  major: number;
  /** Whether the extension "vector" can be created. */
  pgvector: boolean;
}

export interface Tools {
  postgres?: PostgresTools;
  redisServer?: string;
  java?: string;
  /** Folder of the Neo4j jars. */
  neo4jLib?: string;
  sqlite3?: string;
  jq?: string;
  pgbouncer?: string;
  promtool?: string;
}

/** What is there, undefined for what is not or is too old. Takes about 0.2 s. */
export async function findTools(): Promise<Tools> {
  const [postgres, redisServer, java] = await Promise.all([findPostgres(), findRedis(), findJava()]);
  const neo4jLib = existsSync(neo4jLibDir()) ? neo4jLibDir() : undefined;
  const [sqlite3, jq, pgbouncer] = ["sqlite3", "jq", "pgbouncer"].map(onPath);
  return { postgres, redisServer, java, neo4jLib, sqlite3, jq, pgbouncer, promtool: findPromtool() };
}

/** promtool on PATH, else the one that was downloaded. */
export function findPromtool(): string | undefined {
  return onPath("promtool") ?? [promtoolFile()].find(isExecutable);
}

/** Where promtool is or will be downloaded to. */
export function promtoolFile(): string {
  return join(cacheDir(), "promtool");
}

/** Where the Neo4j jars are or will be. */
export function neo4jLibDir(): string {
  return join(cacheDir(), `neo4j-${NEO4J_VERSION}`, "lib");
}

/** PostgreSQL 15 or newer, from PATH or the folders of the packages; one with pgvector is preferred. */
export async function findPostgres(): Promise<PostgresTools | undefined> {
  const initdb = onPath("initdb");
  const packaged = [...subfolders("/usr/lib/postgresql"), ...subfolders("/usr", /^pgsql-/)];
  const folders = [initdb && dirname(realpathSync(initdb)), ...packaged.map((folder) => join(folder, "bin"))];
  const candidates = [...new Set(folders.filter((folder) => folder !== undefined))].filter((folder) =>
    ["initdb", "postgres", "psql", "pg_dump", "pg_config"].every((name) => isExecutable(join(folder, name))),
  );
  const found = (await Promise.all(candidates.map(describePostgres))).filter((tools) => tools.major >= 15);
  return found.find((tools) => tools.pgvector) ?? found[0];
}

async function describePostgres(bin: string): Promise<PostgresTools> {
  const [version, share] = await Promise.all([
    run(join(bin, "postgres"), ["--version"]),
    run(join(bin, "pg_config"), ["--sharedir"]),
  ]);
  const major = Number(/PostgreSQL\) (\d+)/.exec(version.stdout)?.[1] ?? 0);
  return { bin, major, pgvector: existsSync(join(share.stdout.trim(), "extension", "vector.control")) };
}

async function findRedis(): Promise<string | undefined> {
  const path = onPath("redis-server");
  if (!path) return undefined;
  const { stdout } = await run(path, ["--version"]);
  return Number(/v=(\d+)/.exec(stdout)?.[1] ?? 0) >= 7 ? path : undefined;
}

/** A Java that Neo4j 5 supports (17 or 21) before any newer one. */
export async function findJava(): Promise<string | undefined> {
  const homes = [process.env.JAVA_HOME, ...subfolders("/usr/lib/jvm")].filter((home) => home !== undefined);
  const paths = [onPath("java"), ...homes.map((home) => join(home, "bin", "java"))].filter(
    (path) => path !== undefined,
  );
  const candidates = [...new Set(paths.filter(isExecutable).map((path) => realpathSync(path)))];
  const versions = await Promise.all(candidates.map(javaVersion));
  const best = versions.findIndex((version) => version === 17 || version === 21);
  return candidates[best >= 0 ? best : versions.findIndex((version) => version > 17)];
}

async function javaVersion(path: string): Promise<number> {
  const { stderr } = await run(path, ["-version"]);
  return Number(/version "(\d+)/.exec(stderr)?.[1] ?? 0);
}

/** Folders inside `parent`, those with the highest number first. */
function subfolders(parent: string, pattern = /./): string[] {
  try {
    const names = readdirSync(parent).filter((name) => pattern.test(name));
    return names
      .sort((a, b) => b.localeCompare(a, "en", { numeric: true }))
      .map((name) => join(parent, name));
  } catch {
    return [];
  }
}
