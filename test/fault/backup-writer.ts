/**
 * A process that writes 1, 2, 3 … as fast as it can, one number a transaction, until it is ended: `backup-writer.ts ENGINE NAME`, with the
 * target in WRITER_TARGET. After each commit it prints the number and the time: `17 1795276800123`.
 */
import { writeSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import Database from "better-sqlite3";
import { Redis } from "ioredis";
import neo4j from "neo4j-driver";
import pg from "pg";

type Write = (number: number) => Promise<unknown>;

const [engine, name] = process.argv.slice(2) as [string, string];
const target = process.env["WRITER_TARGET"]!;

const WRITERS: Record<string, () => Promise<Write>> = {
  async sqlite() {
    const database = new Database(target, { timeout: 20_000 });
    const insert = database.prepare("INSERT INTO written VALUES (?, ?)");
    return async (number) => {
      insert.run(name, number);
      // without a pause nobody else gets the lock
      await delay(1);
    };
  },
  async postgres() {
    const client = new pg.Client({ connectionString: target });
    await client.connect();
    return (number) => client.query("INSERT INTO written VALUES ($1, $2)", [name, number]);
  },
  async redis() {
    const client = new Redis(target);
    return (number) => client.rpush(`written:${name}`, number);
  },
  async neo4j() {
    const { hostname, port, username, password } = new URL(target);
    const auth = neo4j.auth.basic(username, password);
    const driver = neo4j.driver(`bolt://${hostname}:${port}`, auth, { disableLosslessIntegers: true });
    const session = driver.session();
    const create = "CREATE (:Written {writer: $name, number: toInteger($number)})";
    return (number) => session.executeWrite((tx) => tx.run(create, { name, number }));
  },
};

const write = await WRITERS[engine]!();
for (let number = 1; ; number += 1) {
  await write(number);
  writeSync(1, `${number} ${Date.now()}\n`);
}
