/** What the tests of migrations on Redis have in common. */
import { type Call, createCall, type LogLevel, type Progress } from "../../src/call.ts";
import type { RedisConnection } from "../../src/engines/redis/connect.ts";
import { redis } from "../../src/engines/redis/engine.ts";
import type { OpsError } from "../../src/errors.ts";
import { sha256 } from "../../src/hash.ts";
import type { Direction, HistoryRow, Migration, MigrationTarget, Script } from "../../src/migrate/port.ts";
import { DEFAULT_LIMITS, type RunOptions, run } from "../../src/migrate/runner.ts";
import type { Source } from "../../src/migrate/source.ts";

/** The texts of a version: what `up` does, and what `down` does if there is a way back. */
export type Texts = readonly [up: string, down?: string];

/** A folder of files V001-step-up.redis, … */
export function sourceOf(files: readonly Texts[], set = "user"): Source {
  const migrations = files.map(([up, down], index): Migration => {
    const version = `V${String(index + 1).padStart(3, "0")}`;
    const script = (direction: Direction, text: string): Script => ({
      file: `${version}-step-${direction}.redis`,
      text,
      checksum: `sha256:${sha256(text)}`,
      inTransaction: true,
    });
    return {
      set,
      version,
      seq: index + 1,
      description: "step",
      up: script("up", up),
      down: down === undefined ? null : script("down", down),
    };
  });
  return {
    engine: "redis",
    set,
    title: "migrations/redis",
    place: "migrations/redis",
    format: "opsctl",
    migrations,
  };
}

export interface Logged {
  level: LogLevel;
  message: string;
}

export interface TestRunner {
  connection: RedisConnection;
  target: MigrationTarget;
  logged: Logged[];
  call: Call;
  /** Runs the files and returns those that were done. */
  run(source: Source, direction?: Direction, options?: Partial<RunOptions>): Promise<string[]>;
  history(): Promise<HistoryRow[]>;
  /** One command, on the connection beside the runner's own. */
  send(...command: [string, ...(string | Buffer)[]]): Promise<unknown>;
}

const opened: RedisConnection[] = [];

export function closeRunners(): Promise<unknown> {
  return Promise.all(opened.splice(0).map((connection) => connection.close()));
}

export async function runnerOf(
  url: string,
  {
    database = "0",
    queryMs = 20_000,
    signal = new AbortController().signal,
    progress = (_: Progress) => {},
  } = {},
): Promise<TestRunner> {
  const identity = `redis:test/${database}`;
  const target = { engine: "redis", url, database, shown: "redis://***", identity } as const;
  const connection = await redis.connect(target, { connectMs: 5_000, queryMs, poolSize: 1 });
  opened.push(connection);
  const logged: Logged[] = [];
  const call = createCall({
    actor: "tester@host",
    timeoutMs: 120_000,
    signal,
    progress,
    log: (level, message) => logged.push({ level, message }),
  });
  const migrations = await redis.capabilities.migrations!(connection);
  return {
    connection,
    target: migrations,
    logged,
    call,
    async run(source, direction = "up", options = {}) {
      const done: string[] = [];
      await run(call, migrations, source, direction, {
        extent: {},
        lockWaitMs: 30_000,
        limits: DEFAULT_LIMITS,
        onDone: ({ file }) => done.push(file),
        ...options,
      });
      return done;
    },
    history: () => migrations.history(call),
    send: (...command) => connection.run(call, command, { writes: true, quotes: true }),
  };
}

/** The error of work that must fail. */
export async function failureOf(work: Promise<unknown>): Promise<OpsError> {
  return work.then(
    () => {
      throw new Error("it did not fail");
    },
    (error: OpsError) => error,
  );
}

/** `V001 applied`, … */
export async function statesOf(runner: TestRunner): Promise<string[]> {
  return (await runner.history()).map(({ version, state }) => `${version} ${state}`);
}
