/** Places for a benchmark on real servers: a PostgreSQL database of its own, and a Neo4j that holds nothing else. */
import { randomBytes } from "node:crypto";
import neo4j, { type Session } from "neo4j-driver";
import pg from "pg";
import type { Target } from "../../../src/config/targets.ts";

export interface FreshDatabase {
  url: string;
  drop(): Promise<void>;
}

/** A fresh database beside the one of `url`. */
export async function freshDatabase(url: string): Promise<FreshDatabase> {
  const name = `opsctl_bench_${randomBytes(6).toString("hex")}`;
  const fresh = new URL(url);
  fresh.pathname = `/${name}`;
  await execute(url, `CREATE DATABASE ${name}`);
  return { url: fresh.href, drop: () => execute(url, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`) };
}

/** Runs `work` on a fresh database beside the configured one and drops it afterwards. */
export async function onFreshPostgres<T>(target: Target, work: (fresh: Target) => Promise<T>): Promise<T> {
  const { url, drop } = await freshDatabase(target.url);
  try {
    return await work({ ...target, url, database: new URL(url).pathname.slice(1) });
  } finally {
    await drop();
  }
}

/** Sends SQL over a connection of its own. */
export async function execute(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  client.on("error", () => {});
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

/** What opsctl keeps beside data: its schema's history and its statistics. */
const BOOKKEEPING = "n:Stat OR n:opsctl_migrations OR n:opsctl_lock";

/** Nodes that somebody stored. */
export async function neo4jNodes(target: Target): Promise<number> {
  return withSession(target, async (session) => {
    const { records } = await session.run(`MATCH (n) WHERE NOT (${BOOKKEEPING}) RETURN count(n) AS nodes`);
    return records[0]!.get("nodes") as number;
  });
}

/** Runs `work` on an empty database and leaves it empty: everything that is stored in it goes. */
export async function onEmptyNeo4j<T>(target: Target, work: () => Promise<T>): Promise<T> {
  await withSession(target, clear);
  try {
    return await work();
  } finally {
    await withSession(target, clear);
  }
}

async function clear(session: Session): Promise<void> {
  const everything = `MATCH (n) WHERE NOT (${BOOKKEEPING}) CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 5000 ROWS`;
  await session.run(everything);
  await session.run("MATCH (s:Stat) SET s.documents = 0, s.title_length = 0, s.body_length = 0");
}

async function withSession<T>(target: Target, work: (session: Session) => Promise<T>): Promise<T> {
  const driver = neo4j.driver(target.url, neo4j.auth.basic(target.username ?? "", target.password ?? ""), {
    disableLosslessIntegers: true,
  });
  const session = driver.session({ database: target.database });
  try {
    return await work(session);
  } finally {
    await session.close();
    await driver.close();
  }
}
