/** The four engines of the backup benchmark, filled: servers of its own below one folder, whose data can be kept between runs. */
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Neo4jServer, startNeo4j } from "../services/neo4j.ts";
import { type PostgresServer, startPostgres } from "../services/postgres.ts";
import { type RedisServer, startRedis } from "../services/redis.ts";
import { randomPassword } from "../services/server.ts";
import type { Log } from "../services/shell.ts";
import { fillNeo4j } from "./backup-graph.ts";
import { fillPostgres, fillRedis, fillSqlite, leaveInWal, openSqlite } from "./backup-rows.ts";

/** Raised when what is filled in changes: kept data of another version is refused. */
const DATA_VERSION = 1;

/** What stands in a kept folder. */
interface Kept {
  version: number;
  scale: number;
  password: string;
  /** Engines whose data is whole. */
  filled: string[];
}

export interface Stack {
  postgres: PostgresServer;
  redis: RedisServer;
  neo4j: Neo4jServer;
  /** In WAL mode, with changes that are in its -wal only, and open in this process as an application would have it. */
  sqlite: string;
  stop(): Promise<void>;
}

export interface StackOptions {
  /** Its data is used again when it was made with the same scale. */
  folder: string;
  /** 1: the data of the README. */
  scale: number;
  signal: AbortSignal;
  log: Log;
}

/**
 * Starts everything, making the data that is not there yet. Redis begins a full synchronisation at once: `repl-diskless-sync-delay` is 0.
 * @throws Error with everything stopped again
 */
export async function startStack({ folder, scale, signal, log }: StackOptions): Promise<Stack> {
  mkdirSync(folder, { recursive: true });
  // whoever runs PostgreSQL for root must get through to its own folder in here
  chmodSync(folder, 0o711);
  const kept = readKept(folder, scale);
  const common = { password: kept.password, signal };
  const stops: (() => unknown)[] = [];
  const stop = async () => {
    await Promise.all(stops.map((end) => end()));
  };
  /** Opens what is in a folder of its own, and fills it when that was not done to the end. */
  const opened = async <T>(
    name: string,
    open: (dir: string) => Promise<T & { stop(): unknown }>,
    fill: (one: T) => Promise<void>,
  ): Promise<T> => {
    const dir = join(folder, name);
    const isNew = !kept.filled.includes(name);
    if (isNew) rmSync(dir, { recursive: true, force: true });
    const one = await open(dir);
    stops.push(() => one.stop());
    if (!isNew) return one;
    await fill(one);
    kept.filled.push(name);
    writeKept(folder, kept);
    log(`${name}: data made`);
    return one;
  };
  const [postgres, redis, neo4j, file] = await Promise.allSettled([
    opened(
      "postgres",
      (dir) => startPostgres({ ...common, dir, database: "app" }),
      (server) => fillPostgres(server, scale, signal),
    ),
    opened(
      "redis",
      (dir) => startRedis({ ...common, dir, args: ["--repl-diskless-sync-delay", "0"] }),
      ({ url }) => fillRedis(url, scale, signal),
    ),
    opened(
      "neo4j",
      (dir) => startNeo4j({ ...common, dir }),
      (server) => fillNeo4j(server, scale, signal),
    ),
    opened(
      "sqlite",
      (dir) => openSqlite(dir),
      (file) => fillSqlite(file, scale, signal),
    ),
  ]);
  try {
    return {
      postgres: settled(postgres),
      redis: settled(redis),
      neo4j: settled(neo4j),
      sqlite: leaveInWal(settled(file)),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function settled<T>(outcome: PromiseSettledResult<T>): T {
  if (outcome.status === "rejected") throw outcome.reason;
  return outcome.value;
}

function readKept(folder: string, scale: number): Kept {
  const fresh: Kept = { version: DATA_VERSION, scale, password: randomPassword(), filled: [] };
  let kept: Kept;
  try {
    kept = JSON.parse(readFileSync(join(folder, "data.json"), "utf8")) as Kept;
  } catch {
    writeKept(folder, fresh);
    return fresh;
  }
  if (kept.version !== DATA_VERSION || kept.scale !== scale)
    throw new Error(
      `${folder} holds data of scale ${kept.scale}, version ${kept.version}: take another folder`,
    );
  return kept;
}

function writeKept(folder: string, kept: Kept): void {
  const path = join(folder, "data.json");
  writeFileSync(`${path}.tmp`, `${JSON.stringify(kept)}\n`, { mode: 0o600 });
  renameSync(`${path}.tmp`, path);
}
