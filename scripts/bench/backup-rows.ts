/** Data of the backup benchmark for PostgreSQL, Redis and SQLite: the same for the same scale. */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { type ChainableCommander, Redis } from "ioredis";
import type { PostgresServer } from "../services/postgres.ts";
import { mustRun } from "../services/shell.ts";
import { libpqEnv } from "./lib/migrate/peers.ts";
import { createRandom, type Random } from "./lib/random.ts";
import { execute } from "./lib/servers.ts";

const PGBENCH_SCALE = 50;
const JSONB_ROWS = 400_000;
const REDIS_KEYS = 1_000_000;
const SQLITE_BYTES = 500_000_000;

const KEYS_A_BATCH = 5_000;
const ROWS_A_BATCH = 2_000;
const DAY_S = 86_400;
/** SQLite's default. */
const PAGE_BYTES = 4_096;

/** pgbench, and a table of documents as applications store them, about 450 bytes each. */
export async function fillPostgres(
  server: PostgresServer,
  scale: number,
  signal: AbortSignal,
): Promise<void> {
  const env = libpqEnv({ database: new URL(server.url), env: process.env });
  const size = String(Math.max(1, Math.round(PGBENCH_SCALE * scale)));
  await mustRun(join(server.bin, "pgbench"), ["-i", "-q", "-s", size], { env, signal });
  await execute(
    server.url,
    `SELECT setseed(0.5);
     CREATE TABLE events (id bigint PRIMARY KEY, at timestamptz NOT NULL, doc jsonb NOT NULL);
     INSERT INTO events
     SELECT id, timestamptz '2026-01-01 00:00:00+00' + id * interval '7 seconds', jsonb_build_object(
       'user', 'user-' || (random() * 50000)::int, 'session', md5(random()::text), 'ok', random() < 0.9,
       'action', (array['login', 'logout', 'view', 'buy', 'refund', 'search'])[1 + (random() * 5)::int],
       'ip', (random() * 255)::int || '.' || (random() * 255)::int || '.0.' || (id % 255),
       'amount', round((random() * 1000)::numeric, 2), 'tags', jsonb_build_array('t' || id % 17, 't' || id % 5, null),
       'client', jsonb_build_object('agent', 'Mozilla/5.0 (X11; Linux x86_64) rv:' || (100 + id % 40), 'screen',
         jsonb_build_array(1920, 1080), 'ms', random() * 500), 'note', repeat(md5((id % 1000)::text) || ' ', 3))
     FROM generate_series(1, ${Math.round(JSONB_ROWS * scale)}) AS id`,
  );
  for (const sql of ["VACUUM (ANALYZE)", "CHECKPOINT"]) await execute(server.url, sql);
}

/** Keys of every type and of every encoding, in two databases, a third of them with a TTL; a function library. Saved for the next start. */
export async function fillRedis(url: string, scale: number, signal: AbortSignal): Promise<void> {
  const keys = Math.round(REDIS_KEYS * scale);
  const random = createRandom(2);
  const redis = new Redis(url, { maxRetriesPerRequest: 1 });
  redis.on("error", () => {});
  try {
    for (let first = 0; first < keys; first += KEYS_A_BATCH) {
      signal.throwIfAborted();
      const pipeline = redis.pipeline();
      pipeline.select(first % (10 * KEYS_A_BATCH) === 0 ? 1 : 0);
      for (let index = first; index < Math.min(keys, first + KEYS_A_BATCH); index += 1)
        addKey(pipeline, random, index);
      const replies = (await pipeline.exec()) ?? [];
      for (const [error] of replies) if (error) throw error;
    }
    await redis.call(
      "FUNCTION",
      "LOAD",
      "#!lua name=bench\nredis.register_function('bench_get', function(keys) return redis.call('GET', keys[1]) end)",
    );
    await redis.call("SAVE");
  } finally {
    redis.disconnect();
  }
}

function addKey(pipeline: ChainableCommander, random: Random, index: number): void {
  const { below, next } = random;
  const hex = () =>
    below(2 ** 32)
      .toString(16)
      .padStart(8, "0");
  // few are too large for the compact encodings
  const size = index % 5_000 < 10 ? 600 : 4 + below(12);
  const each = <T>(make: (item: number) => T) => Array.from({ length: size }, (_, item) => make(item));
  const key = `app:${index % 20}:${index}`;
  if (index % 10 < 4) addString(pipeline, key, index, hex);
  else if (index % 10 === 4) pipeline.rpush(key, ...each((item) => `job-${item}-${hex()}`));
  else if (index % 10 === 5) pipeline.sadd(key, ...each(() => below(1_000_000)));
  else if (index % 10 === 6) pipeline.sadd(key, ...each(() => `member-${hex()}`));
  else if (index % 10 === 7) pipeline.zadd(key, ...each((item) => [next() * 1_000, `player-${item}`]).flat());
  else if (index % 10 === 8)
    pipeline.hset(key, ...each((item) => [`field-${item}`, `${hex()} ${hex()}`]).flat());
  else addStream(pipeline, key, index, hex);
  if (index % 3 === 0) pipeline.expire(key, 30 * DAY_S + below(300 * DAY_S));
}

function addString(pipeline: ChainableCommander, key: string, index: number, hex: () => string): void {
  if (index % 1_000 === 0) pipeline.pfadd(key, hex(), hex(), hex());
  else if (index % 1_000 === 1) pipeline.setbit(key, index % 50_000, 1);
  else if (index % 1_000 === 2) pipeline.set(key, Buffer.from(hex().repeat(1_024), "hex"));
  else if (index % 10 === 3) pipeline.set(key, index);
  else pipeline.set(key, JSON.stringify({ id: index, token: hex() + hex() + hex(), state: "active" }));
}

function addStream(pipeline: ChainableCommander, key: string, index: number, hex: () => string): void {
  for (let entry = 1; entry <= 3; entry += 1)
    pipeline.xadd(key, `${entry}-1`, "event", hex(), "n", String(index));
  if (index % 100 === 9) pipeline.xgroup("CREATE", key, "workers", "0");
}

const WORDS =
  "restart the pool of connections after timeout disk full on replica failed to start memory limit index rebuilt lock waiting for checkpoint slow query cache miss certificate expired retry".split(
    " ",
  );

export interface OpenFile {
  path: string;
  database: Database.Database;
  stop(): void;
}

/** Opens a file in WAL mode in the folder, as an application would have it. */
export async function openSqlite(dir: string): Promise<OpenFile> {
  mkdirSync(dir, { recursive: true });
  const path = join(dir, "app.db");
  const database = new Database(path);
  database.pragma("journal_mode = WAL");
  return { path, database, stop: () => database.close() };
}

/** Makes changes that no checkpoint writes back while the file is open. @returns its path */
export function leaveInWal({ path, database }: OpenFile): string {
  database.pragma("wal_checkpoint(TRUNCATE)");
  database.pragma("wal_autocheckpoint = 0");
  database.exec("UPDATE notes SET score = score + 1 WHERE id % 50 = 0");
  return path;
}

/** Notes with an index, attachments as blobs. */
export async function fillSqlite({ database }: OpenFile, scale: number, signal: AbortSignal): Promise<void> {
  const random = createRandom(3);
  database.exec(
    `CREATE TABLE notes (id INTEGER PRIMARY KEY, title TEXT NOT NULL, body TEXT NOT NULL, score REAL, at INTEGER NOT NULL);
     CREATE INDEX notes_at ON notes (at);
     CREATE TABLE attachments (note INTEGER NOT NULL REFERENCES notes (id), data BLOB NOT NULL)`,
  );
  const note = database.prepare("INSERT INTO notes (title, body, score, at) VALUES (?, ?, ?, ?)");
  const attachment = database.prepare("INSERT INTO attachments VALUES (?, ?)");
  const text = (count: number) => Array.from({ length: count }, () => random.pick(WORDS)).join(" ");
  const addBatch = database.transaction(() => {
    for (let row = 0; row < ROWS_A_BATCH; row += 1) {
      const { lastInsertRowid } = note.run(text(6), text(150), random.next(), random.below(2 ** 31));
      if (row % 10 > 0) continue;
      const data = new Uint32Array(1_000).map(() => random.below(2 ** 32));
      attachment.run(lastInsertRowid, Buffer.from(data.buffer));
    }
  });
  const bytes = () => Number(database.pragma("page_count", { simple: true })) * PAGE_BYTES;
  while (bytes() < SQLITE_BYTES * scale) {
    signal.throwIfAborted();
    addBatch();
    // the other engines are filled at the same time
    await new Promise(setImmediate);
  }
}
