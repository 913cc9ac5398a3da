/** What `health` cannot do without: the same drivers, one trivial query each, at the same time. */
import Database from "better-sqlite3";
import { Redis } from "ioredis";
import neo4j from "neo4j-driver";
import pg from "pg";

const {
  NEO4J_URI = "",
  NEO4J_USERNAME = "",
  NEO4J_PASSWORD = "",
  DATABASE_URL,
  REDIS_URL = "",
  OPSCTL_DB,
} = process.env;

async function pingNeo4j(): Promise<void> {
  const driver = neo4j.driver(NEO4J_URI, neo4j.auth.basic(NEO4J_USERNAME, NEO4J_PASSWORD));
  const session = driver.session();
  await session.run("RETURN 1");
  await session.close();
  await driver.close();
}

async function pingPostgres(): Promise<void> {
  const client = new pg.Client({ connectionString: DATABASE_URL });
  await client.connect();
  await client.query("SELECT 1");
  await client.end();
}

async function pingRedis(): Promise<void> {
  const client = new Redis(REDIS_URL);
  await client.ping();
  await client.quit();
}

function pingSqlite(): void {
  const database = new Database(OPSCTL_DB);
  database.prepare("SELECT 1").get();
  database.close();
}

Promise.all([pingNeo4j(), pingPostgres(), pingRedis(), pingSqlite()]).then(() => {
  process.stdout.write(`${JSON.stringify({ status: "healthy" })}\n`);
});
