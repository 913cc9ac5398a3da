/** All three servers together, remembered in a state file: started by one process, stopped by any other. */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { ensureTools } from "./install.ts";
import { withLock } from "./lock.ts";
import { startNeo4j } from "./neo4j.ts";
import { startPostgres } from "./postgres.ts";
import { endProcess, identify, isAlive, type ProcessId } from "./process.ts";
import { startRedis } from "./redis.ts";
import type { ServerOptions } from "./server.ts";
import { isRoot, type Log } from "./shell.ts";

export interface ServiceEnv {
  NEO4J_URI: string;
  NEO4J_USERNAME: string;
  NEO4J_PASSWORD: string;
  DATABASE_URL: string;
  REDIS_URL: string;
}

export interface ServicesState {
  /** Temporary folder with all data. */
  dir: string;
  /** The process that started them and means to stop them; when it is gone without having done so, anybody may. */
  owner?: ProcessId;
  processes: Partial<Record<ServiceName, ProcessId>>;
  /** Missing while they start. */
  env?: ServiceEnv;
}

export type ServiceName = "postgres" | "redis" | "neo4j";

export interface ServicesOptions {
  /** Where the state is kept; a lock of the same name is made beside it. */
  stateFile: string;
  log: Log;
}

export interface StartOptions extends ServicesOptions {
  /** Marks us as the owner: see `stopOrphans`. Default false. */
  owned?: boolean;
  /** false: PostgreSQL forces nothing to disk. Default true. */
  fsync?: boolean;
  /** Aborting stops what has started and rejects. */
  signal?: AbortSignal;
}

const DATA_PREFIX = "opsctl-services-";
/** The data is removed right afterwards: Neo4j need not take its 5 s; PostgreSQL has processes of its own to end. */
const STOP_SIGNAL: Record<ServiceName, NodeJS.Signals> = {
  postgres: "SIGINT",
  redis: "SIGTERM",
  neo4j: "SIGKILL",
};

/**
 * Starts PostgreSQL, Redis and Neo4j side by side (installing them first where they are missing) and returns their
 * addresses. Already running: returns the same addresses. Throws, with everything stopped again, when one fails.
 */
export async function startServices(options: StartOptions): Promise<ServiceEnv> {
  return withLock(lockFile(options.stateFile), options.log, async () => {
    const known = readState(options.stateFile);
    if (known?.env && Object.values(known.processes).every(isAlive)) {
      options.log("the services are running already");
      return known.env;
    }
    if (known) {
      options.log("some of the services are gone: starting all of them anew");
      await stopAll(known, options);
    }
    return startAll(options);
  });
}

/** Stops the services and removes their data and state. Returns false when there were none. */
export async function stopServices(options: ServicesOptions): Promise<boolean> {
  return withLock(lockFile(options.stateFile), options.log, async () => {
    const state = readState(options.stateFile);
    if (state) await stopAll(state, options);
    return state !== undefined;
  });
}

/** Whether the process that owns these services ended without stopping them. */
export function isOrphaned(stateFile: string): boolean {
  const state = readState(stateFile);
  return state?.owner !== undefined && !isAlive(state.owner);
}

async function startAll(options: StartOptions): Promise<ServiceEnv> {
  const { stateFile, log } = options;
  const tools = await ensureTools(log);
  const dir = mkdtempSync(join(tmpdir(), DATA_PREFIX));
  // Another user runs PostgreSQL for root, and must get through to its own folder in here.
  if (isRoot()) chmodSync(dir, 0o711);
  const state: ServicesState = {
    dir,
    owner: options.owned ? identify(process.pid) : undefined,
    processes: {},
  };
  writeState(stateFile, state);

  const failure = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, failure.signal]) : failure.signal;
  const common = (name: ServiceName): ServerOptions => ({
    dir: join(dir, name),
    signal,
    onSpawn: (process) => {
      state.processes[name] = process;
      writeState(stateFile, state);
    },
  });
  const timed = <T>(name: ServiceName, start: (options: ServerOptions) => Promise<T>) =>
    startTimed(name, log, failure, () => start(common(name)));

  const [neo4j, postgres, redis] = await Promise.allSettled([
    timed("neo4j", (server) => startNeo4j({ ...server, java: tools.java, neo4jLib: tools.neo4jLib })),
    timed("postgres", (server) =>
      startPostgres({ ...server, fsync: options.fsync, postgres: tools.postgres }),
    ),
    timed("redis", (server) => startRedis({ ...server, redisServer: tools.redisServer })),
  ]);
  if (neo4j.status === "rejected" || postgres.status === "rejected" || redis.status === "rejected") {
    await stopAll(state, options);
    options.signal?.throwIfAborted();
    throw failure.signal.reason;
  }
  state.env = {
    NEO4J_URI: neo4j.value.uri,
    NEO4J_USERNAME: neo4j.value.username,
    NEO4J_PASSWORD: neo4j.value.password,
    DATABASE_URL: postgres.value.url,
    REDIS_URL: redis.value.url,
  };
  writeState(stateFile, state);
  return state.env;
}

/** The first failure stops the waiting for the others. */
async function startTimed<T>(
  name: string,
  log: Log,
  failure: AbortController,
  start: () => Promise<T>,
): Promise<T> {
  const began = Date.now();
  try {
    const server = await start();
    log(`${name} is ready after ${((Date.now() - began) / 1_000).toFixed(1)} s`);
    return server;
  } catch (error) {
    failure.abort(error);
    throw error;
  }
}

async function stopAll(state: ServicesState, { stateFile, log }: ServicesOptions): Promise<void> {
  const running = Object.entries(state.processes) as [ServiceName, ProcessId][];
  await Promise.all(
    running.map(async ([name, process]) => {
      if (!isAlive(process)) return;
      await endProcess(process, STOP_SIGNAL[name]);
      log(`${name} stopped`);
    }),
  );
  // The path comes from a file: only ever remove a folder that we can have made.
  if (basename(state.dir).startsWith(DATA_PREFIX)) {
    rmSync(state.dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
  rmSync(stateFile, { force: true });
}

function lockFile(stateFile: string): string {
  return `${stateFile}.lock`;
}

function readState(stateFile: string): ServicesState | undefined {
  try {
    return JSON.parse(readFileSync(stateFile, "utf8")) as ServicesState;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new Error(`cannot read ${stateFile}: ${error}. Remove it once no server runs from it`);
  }
}

function writeState(stateFile: string, state: ServicesState): void {
  mkdirSync(dirname(stateFile), { recursive: true });
  const temporary = `${stateFile}.tmp`;
  writeFileSync(temporary, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
  renameSync(temporary, stateFile);
}
