import { Redis } from "ioredis";
import type { DeepDigest } from "../deep-digest.ts";
import { digestOf, hashOf, Multiset } from "./multiset.ts";

/** A reply with texts as bytes. */
type Reply = Buffer | number | null | Reply[];

const KEYS_A_SCAN = 1_000;
/** SCAN may give a key twice while the server moves its table; whoever has as many keys as there are has each once. */
const TRIES = 10;

/** What an order says nothing of: members of sets and hashes come in that of a table whose seed is the process's. */
const READ: Readonly<
  Record<string, { command: (key: Buffer) => [string, ...(Buffer | string)[]]; group: number }>
> = {
  string: { command: (key) => ["GET", key], group: 0 },
  list: { command: (key) => ["LRANGE", key, "0", "-1"], group: 0 },
  set: { command: (key) => ["SMEMBERS", key], group: 1 },
  zset: { command: (key) => ["ZRANGE", key, "0", "-1", "WITHSCORES"], group: 2 },
  hash: { command: (key) => ["HGETALL", key], group: 2 },
  stream: { command: (key) => ["XINFO", "STREAM", key, "FULL", "COUNT", "0"], group: 0 },
};
/** How the server keeps a stream, and what follows from the rest of the answer. */
const OF_STREAM = new Set(["radix-tree-keys", "radix-tree-nodes"]);

/** Of all databases of a server, every key with its type, its content and the time when it expires; and of its functions. */
export async function redisDigest(url: string): Promise<DeepDigest> {
  const client = new Redis(url, { maxRetriesPerRequest: 1 });
  client.on("error", () => {});
  try {
    const digests: Record<string, string> = { functions: await functionsDigest(client) };
    const keyspace = await client.info("keyspace");
    for (const [, database] of keyspace.matchAll(/^db(\d+):/gm)) {
      await client.select(Number(database));
      digests[`database ${database}`] = await databaseDigest(client);
    }
    return digests;
  } finally {
    client.disconnect();
  }
}

async function functionsDigest(client: Redis): Promise<string> {
  const libraries = (await client.call("FUNCTION", "LIST", "WITHCODE")) as unknown[][];
  // engine, name, functions, code: the functions follow from the code
  return digestOf(libraries.map((fields) => JSON.stringify(fields.filter((field) => !Array.isArray(field)))));
}

async function databaseDigest(client: Redis): Promise<string> {
  for (let attempt = 1; attempt <= TRIES; attempt += 1) {
    const found = await scanned(client);
    if (found.count === (await client.dbsize())) return String(found);
  }
  throw new Error("the keys of the server change while they are read");
}

async function scanned(client: Redis): Promise<Multiset> {
  const multiset = new Multiset();
  let cursor = "0";
  do {
    const [next, keys] = await client.scanBuffer(cursor, "COUNT", KEYS_A_SCAN);
    cursor = String(next);
    for (const hash of await hashesOf(client, keys)) multiset.add(hash);
  } while (cursor !== "0");
  return multiset;
}

/** Of each key that is there still. */
async function hashesOf(client: Redis, keys: readonly Buffer[]): Promise<bigint[]> {
  const about = client.pipeline();
  for (const key of keys) about.type(key).pexpiretime(key);
  const known = await answers(about.exec());
  const there = keys
    .map((key, index) => ({ key, type: String(known[2 * index]), expires: String(known[2 * index + 1]) }))
    .filter(({ type }) => type !== "none");
  const contents = client.pipeline();
  for (const { key, type } of there) contents.callBuffer(...(READ[type]?.command(key) ?? ["DUMP", key]));
  const values = (await answers(contents.exec())) as Reply[];
  return there.map(({ key, type, expires }, index) =>
    hashOf(key, type, expires, contentOf(type, values[index]!)),
  );
}

async function answers(sent: Promise<[Error | null, unknown][] | null>): Promise<unknown[]> {
  const replies = (await sent) ?? [];
  return replies.map(([error, value]) => {
    if (error) throw error;
    return value;
  });
}

function contentOf(type: string, value: Reply): Buffer {
  if (Buffer.isBuffer(value)) return value;
  if (type === "stream") return flat(withoutStructure(value));
  const size = READ[type]?.group ?? 0;
  if (size === 0 || !Array.isArray(value)) return flat(value);
  const groups = Array.from({ length: value.length / size }, (_, index) =>
    flat(value.slice(index * size, (index + 1) * size)),
  );
  return flat(groups.sort(Buffer.compare));
}

/** Names and values of an answer without those that are no content. */
function withoutStructure(fields: Reply): Reply {
  if (!Array.isArray(fields)) return fields;
  return fields.filter((_, index) => !OF_STREAM.has(String(fields[index - (index % 2)])));
}

/** A reply as bytes that no other reply has. */
function flat(reply: Reply): Buffer {
  if (Array.isArray(reply)) return Buffer.concat([Buffer.from(`*${reply.length}\n`), ...reply.map(flat)]);
  if (Buffer.isBuffer(reply)) return Buffer.concat([Buffer.from(`$${reply.length}\n`), reply]);
  return Buffer.from(`:${reply}\n`);
}
