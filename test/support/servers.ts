/** The real servers of a test run. What is missing is an error: a test never skips itself. */
import { randomBytes } from "node:crypto";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import neo4j, { type Session } from "neo4j-driver";
import pg from "pg";
import { startRedis } from "../../scripts/services/redis.ts";

export { freePort } from "../../scripts/services/ports.ts";

/** A variable that `npm test` sets for the tests. Throws when it is missing. */
export function testVariable(name: `OPSCTL_TEST_${string}`): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: the tests need servers, run \`npm test\``);
  return value;
}

export interface TestDatabase {
  url: string;
  /** Drops the database, ending the sessions that still use it. */
  drop(): Promise<void>;
}

/** A fresh, empty PostgreSQL database: one for each test file that needs one. */
export async function postgresDatabase(): Promise<TestDatabase> {
  const server = testVariable("OPSCTL_TEST_DATABASE_URL");
  const name = `test_${randomBytes(6).toString("hex")}`;
  await execute(server, `CREATE DATABASE ${name}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => execute(server, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`) };
}

async function execute(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  client.on("error", () => {});
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

export interface OwnRedis {
  url: string;
  port: number;
  password: string;
  pid: number;
  stop(): Promise<void>;
}

/** A redis-server for one test file: its configuration is server-wide. `args` as in ["--maxmemory", "10mb"]. */
export async function ownRedis(args: string[] = []): Promise<OwnRedis> {
  const dir = mkdtempSync(join(tmpdir(), "opsctl-redis-"));
  chmodSync(dir, 0o700);
  const remove = () => rmSync(dir, { recursive: true, force: true });
  try {
    const { url, port, password, pid, stop } = await startRedis({ dir, args });
    return { url, port, password, pid, stop: () => stop().finally(remove) };
  } catch (error) {
    remove();
    throw error;
  }
}

export interface TestNeo4j {
  uri: string;
  username: string;
  password: string;
  /** Deletes all nodes, relationships, constraints and indexes (except the two lookup indexes). */
  wipe(): Promise<void>;
}

/** The one Neo4j of the test run. It has one database: test files that use it must not run side by side. */
export function neo4jServer(): TestNeo4j {
  const uri = testVariable("OPSCTL_TEST_NEO4J_URI");
  const username = testVariable("OPSCTL_TEST_NEO4J_USERNAME");
  const password = testVariable("OPSCTL_TEST_NEO4J_PASSWORD");
  return { uri, username, password, wipe: () => wipe(uri, username, password) };
}

async function wipe(uri: string, username: string, password: string): Promise<void> {
  const driver = neo4j.driver(uri, neo4j.auth.basic(username, password), { disableLosslessIntegers: true });
  const session = driver.session({ database: "neo4j" });
  try {
    await session.run("MATCH (n) CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 5000 ROWS");
    await dropAll(session, "CONSTRAINT", "SHOW CONSTRAINTS YIELD name");
    await dropAll(session, "INDEX", "SHOW INDEXES YIELD name, type WHERE type <> 'LOOKUP'");
  } finally {
    await session.close();
    await driver.close();
  }
}

async function dropAll(session: Session, kind: "CONSTRAINT" | "INDEX", listing: string): Promise<void> {
  const { records } = await session.run(listing);
  for (const record of records) {
    await session.run(`DROP ${kind} \`${String(record.get("name")).replaceAll("`", "``")}\` IF EXISTS`);
  }
}
