/** What a backup left behind, looked at with the system's own tools: tar, sqlite3, pg_restore, redis-server. */
import { createHash } from "node:crypto";
import {
  cpSync,
  createReadStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import Database from "better-sqlite3";
import { execa } from "execa";
import { Redis } from "ioredis";
import pg from "pg";
import { startRedis } from "../../scripts/services/redis.ts";
import { sidecarPath } from "../../src/backup/archives.ts";
import { type Metadata, parseMetadata, parseSidecar, type Sidecar } from "../../src/backup/metadata.ts";
import type { Sandbox } from "./cli.ts";
import { postgresDatabase } from "./servers.ts";

/** The default destination of a sandbox. */
export const backupsOf = (box: Sandbox): string => join(box.cwd, "backups");

/** What stands for something in a folder: archives and sidecars. A folder that is missing has none. */
export function publishedIn(folder: string): string[] {
  return names(folder).filter((name) => !isUnpublished(name));
}

/** Archives by name, without sidecars. */
export function archivesIn(folder: string): string[] {
  return publishedIn(folder).filter((name) => !name.endsWith(".json"));
}

/** What a run should have swept: hidden names, but for the lock of the folder. */
export function leftoversIn(folder: string): string[] {
  return names(folder).filter((name) => isUnpublished(name) && !/lock/.test(name));
}

/** Bytes that runs have spooled beside the archives. */
export function spooledIn(folder: string): number {
  const sizes = leftoversIn(folder).flatMap((work) => {
    try {
      const files = readdirSync(join(folder, work), { recursive: true, withFileTypes: true });
      return files.map((file) => statSync(join(file.parentPath, file.name)).size);
    } catch {
      // it went away meanwhile
      return [];
    }
  });
  return sizes.reduce((sum, size) => sum + size, 0);
}

function isUnpublished(name: string): boolean {
  return name.startsWith(".") || name.endsWith(".partial");
}

function names(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder).toSorted() : [];
}

export function sidecarOf(archive: string): Sidecar {
  const path = sidecarPath(archive);
  return parseSidecar(readFileSync(path, "utf8"), path);
}

/** The last archive of a folder by name. Throws when there is none. */
export function lastArchive(folder: string): string {
  const name = archivesIn(folder).at(-1);
  if (name === undefined) throw new Error(`${folder} has no archive`);
  return join(folder, name);
}

export interface Unpacked {
  /** The set's folder, with its files. */
  folder: string;
  metadata: Metadata;
  /** Path of a file of the set, by a pattern of its path in it. */
  find(pattern: RegExp): string;
}

/**
 * Unpacks an archive with the system's tar and compares every file with the digest that the metadata has of it.
 * @param into a folder that is made
 */
export async function unpack(archive: string, into: string): Promise<Unpacked> {
  mkdirSync(into, { recursive: true });
  if (statSync(archive).isDirectory()) cpSync(archive, join(into, basename(archive)), { recursive: true });
  else await execa("tar", ["-xf", archive, archive.endsWith(".zst") ? "--zstd" : "-z", "-C", into]);
  const inside = names(into);
  if (inside.length !== 1) throw new Error(`${archive} holds ${inside.join(", ")}, not one folder`);
  const folder = join(into, inside[0]!);
  const metadata = parseMetadata(readFileSync(join(folder, "metadata.json"), "utf8"), archive);
  for (const { path, sha256, size_bytes } of metadata.files) {
    const file = join(folder, path);
    if (statSync(file).size !== size_bytes || (await digest(file)) !== sha256)
      throw new Error(`${path} of ${archive} is not what the metadata says`);
  }
  const find = (pattern: RegExp) => {
    const found = metadata.files.filter(({ path }) => pattern.test(path));
    if (found.length !== 1) throw new Error(`${found.length} files of ${archive} match ${pattern}`);
    return join(folder, found[0]!.path);
  };
  return { folder, metadata, find };
}

export async function digest(file: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  return hash.digest("hex");
}

/**
 * What is wrong with the archives of a folder, for whoever reads the names only: nothing but whole archives may lie there.
 * @param known names that were looked at before
 */
export async function problemsIn(folder: string, known: readonly string[] = []): Promise<string[]> {
  const problems: string[] = [];
  for (const name of publishedIn(folder).filter((name) => !known.includes(name))) {
    const path = join(folder, name);
    if (!name.endsWith(".json")) {
      const scratch = mkdtempSync(join(dirname(folder), "unpacked-"));
      await unpack(path, scratch).catch((error: Error) => problems.push(error.message));
      rmSync(scratch, { recursive: true });
      continue;
    }
    const sidecar = parseSidecar(readFileSync(path, "utf8"), path);
    const archive = join(folder, sidecar.file);
    if (!existsSync(archive)) problems.push(`${name} is without its archive`);
    else if (sidecar.container !== "dir" && (await digest(archive)) !== sidecar.sha256)
      problems.push(`${sidecar.file} has not the digest of its sidecar`);
  }
  return problems;
}

/** Rows of a query against a SQLite file, as its stock program prints them. */
export async function sqlite3(file: string, sql: string): Promise<string[]> {
  const { stdout } = await execa("sqlite3", ["-readonly", file, sql]);
  return stdout === "" ? [] : stdout.split("\n");
}

/** Restores a dump in custom format into a database of its own, with pg_restore, and asks it. */
export async function askDump(file: string, sql: string): Promise<Record<string, unknown>[]> {
  return inScratchDatabase((url, env) => execa("pg_restore", ["-e", "-O", "-d", url, file], { env }), sql);
}

/** The same for a dump in SQL, with psql. */
export async function askPlainDump(file: string, sql: string): Promise<Record<string, unknown>[]> {
  return inScratchDatabase(
    (url, env) => execa("psql", ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url, "-f", file], { env }),
    sql,
  );
}

async function inScratchDatabase(
  restore: (url: string, env: Record<string, string>) => Promise<unknown>,
  sql: string,
): Promise<Record<string, unknown>[]> {
  const database = await postgresDatabase();
  try {
    const url = new URL(database.url);
    const env = { PGPASSWORD: decodeURIComponent(url.password) };
    url.password = "";
    await restore(url.href, env);
    return await askPostgres(database.url, sql);
  } finally {
    await database.drop();
  }
}

export async function askPostgres(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  client.on("error", () => {});
  await client.connect();
  try {
    return [await client.query(sql)].flat().at(-1)!.rows;
  } finally {
    await client.end();
  }
}

/** Starts a redis-server on an RDB file and asks it. */
export async function askRdb<T>(file: string, box: Sandbox, ask: (client: Redis) => Promise<T>): Promise<T> {
  const dir = mkdtempSync(join(box.dir, "rdb-"));
  mkdirSync(join(dir, "data"), { recursive: true });
  cpSync(file, join(dir, "data", "dump.rdb"));
  const server = await startRedis({ dir });
  const client = new Redis(server.url);
  try {
    return await ask(client);
  } finally {
    client.disconnect();
    await server.stop();
  }
}

/** Processes that were started from a sandbox, whoever is their parent by now: they have its folder as HOME. */
export function processesOf(box: Sandbox): { pid: number; command: string }[] {
  const mark = `\0HOME=${box.dir}\0`;
  const found: { pid: number; command: string }[] = [];
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const environment = readProc(name, "environ");
    if (!`\0${environment}`.includes(mark)) continue;
    const command = readProc(name, "cmdline").replaceAll("\0", " ").trim();
    // without a command line: it has ended, and nobody asked for its code yet
    if (command !== "") found.push({ pid: Number(name), command });
  }
  return found;
}

/** Empty for a process that has ended. */
function readProc(pid: string, file: "environ" | "cmdline"): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "latin1");
  } catch {
    return "";
  }
}

/** A SQLite file with a table `data` of about so many bytes that do not compress. */
export function makeSqlite(path: string, bytes: number): string {
  const database = new Database(path);
  try {
    database.pragma("journal_mode = WAL");
    database.pragma("synchronous = OFF");
    database.exec("CREATE TABLE data (id INTEGER PRIMARY KEY, content BLOB)");
    const insert = database.prepare("INSERT INTO data (content) VALUES (randomblob(?))");
    const row = 16_384;
    database.transaction(() => {
      for (let size = 0; size < bytes; size += row) insert.run(Math.min(row, bytes - size));
    })();
  } finally {
    database.close();
  }
  return path;
}

/** A table `data` of about so many bytes of text in a PostgreSQL database. */
export async function fillPostgres(url: string, bytes: number): Promise<void> {
  const rows = Math.ceil(bytes / 1_024);
  await askPostgres(
    url,
    `CREATE TABLE data (id bigint PRIMARY KEY, content text);
     INSERT INTO data SELECT n, (SELECT string_agg(md5(n::text || m::text), '') FROM generate_series(1, 32) m)
       FROM generate_series(1, ${rows}) n`,
  );
}
