/** Backups of real servers, and servers that load what came out. */
import { createWriteStream, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { finished } from "node:stream/promises";
import { Redis } from "ioredis";
import type { BackupOptions, BackupPart, Copied, PartFacts, Snapshot } from "../../src/backup/port.ts";
import type { Call } from "../../src/call.ts";
import type { Limits, Target } from "../../src/config/targets.ts";
import { redis } from "../../src/engines/redis/engine.ts";
import { testCall } from "../support/calls.ts";
import { type OwnRedis, ownRedis } from "../support/servers.ts";

const LIMITS: Limits = { connectMs: 2_000, queryMs: 5_000, poolSize: 1 };

export type Method = BackupOptions["redis"]["method"];

/** No 5 s before each snapshot. */
export const QUICK = ["--repl-diskless-sync-delay", "0", "--enable-debug-command", "yes"];

export interface Made {
  facts: PartFacts;
  snapshot: Snapshot;
  copied: Copied;
  /** Folder with the file as `dump.rdb`. */
  dir: string;
  path: string;
  bytes(): Buffer;
}

/** A folder for the files of a test file. */
export function workFolder() {
  const dir = mkdtempSync(join(tmpdir(), "opsctl-redis-backup-"));
  let next = 0;
  return {
    fresh() {
      const folder = join(dir, String(next++));
      mkdirSync(folder);
      return folder;
    },
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}

export function target(url: string): Target {
  return {
    engine: "redis",
    url,
    database: new URL(url).pathname.slice(1),
    shown: "redis",
    identity: "redis",
  };
}

/** The part of a server. */
export async function partOf(url: string, method: Method): Promise<BackupPart> {
  const origin = { target: target(url), limits: LIMITS };
  const connection = await redis.connect(origin.target, LIMITS);
  const options = { redis: { method } } as BackupOptions;
  const [part] = await redis.capabilities.backup!(testCall(), connection, options, origin);
  await connection.close();
  return part!;
}

/** Between the phases of a backup. */
export interface Hooks {
  call?: Call;
  beforePrepare?(): Promise<void>;
  prepared?(): Promise<void>;
  /** After each piece that was written. */
  written?(bytes: number): Promise<void>;
}

/** All phases of a part, into `dir`. */
export async function backUp(
  url: string,
  method: Method,
  dir: string,
  { call = testCall(60_000), beforePrepare, prepared, written }: Hooks = {},
): Promise<Made> {
  const part = await partOf(url, method);
  const path = join(dir, "dump.rdb");
  const stream = createWriteStream(path);
  let bytes = 0;
  try {
    const facts = await part.open(call);
    await beforePrepare?.();
    const snapshot = await part.prepare(call);
    await prepared?.();
    const copied = await part.copy(call, {
      wants: () => true,
      scratch: dir,
      file: async () => ({
        write: async (chunk) => {
          bytes += chunk.length;
          await new Promise<void>((resolve, reject) =>
            stream.write(chunk, (error) => (error ? reject(error) : resolve())),
          );
          await written?.(bytes);
        },
        end: async () => {
          stream.end();
          await finished(stream);
        },
        discard: async () => {},
      }),
    });
    return { facts, snapshot, copied, dir, path, bytes: () => readFileSync(path) };
  } finally {
    await part.close();
    stream.destroy();
  }
}

/** What the parser finds in a file. */
export async function parse(content: Buffer, chunkBytes = 65_536) {
  const parser = await redis.capabilities.parseBackup!();
  async function* chunks() {
    for (let at = 0; at < content.length; at += chunkBytes) yield content.subarray(at, at + chunkBytes);
  }
  return parser(testCall(), {
    path: "redis/dump.rdb",
    kind: "redis-rdb",
    size_bytes: content.length,
    content: chunks(),
    scratch: "",
  });
}

/** Runs the work with a redis-server that has loaded the file of `dir`. */
export async function loaded<T>(dir: string, work: (server: OwnRedis) => Promise<T>): Promise<T> {
  const server = await ownRedis([...QUICK, "--dir", dir, "--appendonly", "no"]);
  try {
    return await work(server);
  } finally {
    await server.stop();
  }
}

/** Runs the work with a client of database 0. */
export async function client<T>(url: string, work: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(url, { retryStrategy: () => null });
  client.on("error", () => {});
  try {
    return await work(client);
  } finally {
    client.disconnect();
  }
}

/** Everything of a server that a backup must hold, so that two servers can be compared. */
export function contents(url: string) {
  return client(url, async (client) => {
    const digest = await client.call("DEBUG", "DIGEST");
    const libraries = (await client.call("FUNCTION", "LIST", "WITHCODE")) as unknown[];
    const groups = await client.call("XINFO", "STREAM", "stream", "FULL").catch(() => null);
    const keyspace = (await client.info("keyspace")).replaceAll(/,avg_ttl=\d+/g, "");
    const expiry = await client.pexpiretime("expires");
    const functions = libraries.map(String).sort();
    return { digest, functions, groups: JSON.stringify(groups), keyspace, expiry };
  });
}

const FAR = 4_000_000_000_000;

/** Keys of every type and encoding in three databases, functions, and `many` small ones. */
export function fill(url: string, many: number) {
  return client(url, async (client) => {
    await client.config("SET", "list-max-listpack-size", "128");
    await client.call("DEBUG", "POPULATE", many, "many");
    const pipe = client.pipeline();
    for (const [index, value] of ["", "1", "-129", "70000", "3000000000", "text"].entries()) {
      pipe.set(`string:${index}`, value);
    }
    pipe.set(Buffer.from([0, 255, 10, 13, 128]), Buffer.from([0, 1, 2, 250, 255, 254]));
    pipe.set("big", Buffer.alloc(300_000, "compressible "));
    pipe.set("noise", Buffer.from(Array.from({ length: 100_000 }, (_, index) => (index * index * 31) >> 5)));
    pipe.set("expires", "soon", "PXAT", FAR + 123);
    pipe.setbit("bits", 100_000, 1);
    pipe.pfadd("log", ..."abcdefgh".split(""));
    for (const size of [3, 2_000]) {
      const words = Array.from({ length: size }, (_, index) => `word ${index}`);
      const pairs = words.flatMap((word, index) => [word, String(index)]);
      pipe.rpush(`list:${size}`, ...words);
      pipe.sadd(`set:${size}`, ...words);
      pipe.sadd(`ints:${size}`, ...words.map((_, index) => index * 7));
      pipe.hset(`hash:${size}`, ...pairs);
      pipe.zadd(`zset:${size}`, ...words.flatMap((word, index) => [index / 3, word]));
      for (const word of words) pipe.xadd("stream", "*", "field", word);
    }
    pipe.zadd("zset:ends", "inf", "a", "-inf", "b");
    pipe.rpush("plain", Buffer.alloc(70_000, "x"), "y", Buffer.alloc(9_000, "z"));
    pipe.xgroup("CREATE", "stream", "group", "0");
    pipe.xreadgroup("GROUP", "group", "one", "COUNT", 40, "STREAMS", "stream", ">");
    pipe.xreadgroup("GROUP", "group", "two", "COUNT", 3, "STREAMS", "stream", ">");
    pipe.xgroup("CREATE", "stream", "empty", "$");
    pipe.xtrim("stream", "MAXLEN", 1_500);
    pipe.call("FUNCTION", "LOAD", "#!lua name=mine\nredis.register_function('one', function() return 1 end)");
    pipe.call(
      "FUNCTION",
      "LOAD",
      "#!lua name=other\nredis.register_function('two', function() return 2 end)",
    );
    for (const database of [3, 15]) {
      pipe.select(database).set("here", database).set("expires", "later", "PXAT", FAR).hset("h", "a", "b");
    }
    const replies = await pipe.exec();
    const failed = replies!.find(([error]) => error);
    if (failed) throw failed[0];
  });
}
