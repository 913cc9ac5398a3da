/** Files of migrations in memory, and the runner over a real database. */
import { expect } from "vitest";
import { createCall } from "../../src/call.ts";
import type { Limits } from "../../src/config/targets.ts";
import { connectPostgres, type PostgresConnection } from "../../src/engines/postgres/connect.ts";
import { postgresMigrations } from "../../src/engines/postgres/migrations.ts";
import type { OpsError } from "../../src/errors.ts";
import { sha256 } from "../../src/hash.ts";
import type {
  Direction,
  Format,
  HistoryRow,
  Migration,
  MigrationTarget,
  Script,
  Step,
  StepLimits,
} from "../../src/migrate/port.ts";
import { run } from "../../src/migrate/runner.ts";
import type { Source } from "../../src/migrate/source.ts";
import { testCall } from "./calls.ts";
import { postgresDatabase, type TestDatabase } from "./servers.ts";

export const LIMITS: Limits = { connectMs: 3_000, queryMs: 20_000, poolSize: 2 };

/** A script; `-- opsctl: no-transaction` on its first line counts, as in a file. */
export function script(file: string, text: string): Script {
  const inTransaction = !text.startsWith("-- opsctl: no-transaction");
  return { file, text, checksum: `sha256:${sha256(text)}`, inTransaction };
}

export function file(number: number, up: string, down: string | null = null): Migration {
  const version = `V${String(number).padStart(3, "0")}`;
  return {
    set: "user",
    version,
    seq: number,
    description: "test",
    up: script(`${version}-test-up.sql`, up),
    down: down === null ? null : script(`${version}-test-down.sql`, down),
  };
}

/** A step up, as the runner makes it. */
export function stepOf(migration: Migration, limits: Partial<StepLimits> = {}): Step {
  const { set, version, seq, description, up } = migration;
  return {
    migration,
    direction: "up",
    script: up,
    row: {
      set_name: set,
      version,
      seq,
      description,
      file: up.file,
      checksum: up.checksum,
      applied_by: "tester@host",
      applied_at: 1,
      tool_version: "0",
    },
    from: 0,
    limits: { lockTimeoutMs: 5_000, statementTimeoutMs: null, ...limits },
  };
}

export interface RunChange {
  limits?: Partial<StepLimits>;
  lockWaitMs?: number;
  direction?: Direction;
  steps?: number;
  format?: Format;
  signal?: AbortSignal;
  timeoutMs?: number;
}

/** A database of its own with as many connections as a test wants. */
export class MigrationBench {
  readonly #opened: PostgresConnection[] = [];
  readonly #database: TestDatabase;
  readonly #held = new Set<() => Promise<void>>();
  /** Lines of the log of all runs, `LEVEL message`. */
  readonly log: string[] = [];
  readonly admin: PostgresConnection;
  readonly target: MigrationTarget;

  private constructor(database: TestDatabase, admin: PostgresConnection) {
    this.#database = database;
    this.admin = admin;
    this.#opened.push(admin);
    this.target = postgresMigrations(admin);
  }

  static async start(): Promise<MigrationBench> {
    const database = await postgresDatabase();
    return new MigrationBench(database, await connect(database.url, LIMITS));
  }

  get url(): string {
    return this.#database.url;
  }

  /** A connection with parts of its URL replaced. */
  async open(
    change: { database?: string; user?: string; password?: string; port?: number; search?: string } = {},
    limits: Partial<Limits> = {},
  ): Promise<PostgresConnection> {
    const url = new URL(this.url);
    if (change.database) url.pathname = `/${change.database}`;
    if (change.user) url.username = change.user;
    if (change.password) url.password = change.password;
    if (change.port) url.port = String(change.port);
    if (change.search) url.search = change.search;
    const connection = await connect(url.href, { ...LIMITS, ...limits });
    this.#opened.push(connection);
    return connection;
  }

  /** Rows of a statement, asked by the administrator. */
  sql<R extends object = Record<string, unknown>>(text: string, params?: readonly unknown[]): Promise<R[]> {
    return this.admin.query<R>(testCall(), text, params);
  }

  /** The first column of the first row. */
  async value(text: string, params?: readonly unknown[]): Promise<unknown> {
    const [row] = await this.sql(text, params);
    return row && Object.values(row)[0];
  }

  /** Opens a transaction with this statement in it; the function ends it, at the latest `empty` does. */
  async hold(statement: string): Promise<() => Promise<void>> {
    const session = await (await this.open()).lend(testCall(240_000));
    await session.query("BEGIN");
    await session.query(statement);
    const release = async () => {
      if (!this.#held.delete(release)) return;
      await session.query("ROLLBACK");
      session.release(true);
    };
    this.#held.add(release);
    return release;
  }

  /** `opsctl migrate up` (or down) over these files; the names of those that ran. */
  async migrate(
    files: readonly Migration[],
    {
      limits,
      lockWaitMs = 10_000,
      direction = "up",
      steps,
      format = "opsctl",
      signal,
      timeoutMs,
    }: RunChange = {},
    target: MigrationTarget = this.target,
  ): Promise<string[]> {
    const source: Source = {
      engine: "postgres",
      set: "user",
      title: "migrations/postgres",
      place: "/migrations/postgres",
      format,
      migrations: files,
    };
    const call = createCall({
      actor: "tester@host",
      timeoutMs: timeoutMs ?? 60_000,
      signal: signal ?? new AbortController().signal,
      log: (level, message) => this.log.push(`${level} ${message}`),
    });
    const done: string[] = [];
    await run(call, target, source, direction, {
      extent: { steps },
      lockWaitMs,
      limits: { lockTimeoutMs: 5_000, statementTimeoutMs: null, ...limits },
      onDone: (one) => done.push(one.file),
    });
    return done;
  }

  /** History of the user's files. */
  async history(): Promise<HistoryRow[]> {
    const rows = await this.target.history(testCall());
    return rows.filter(({ set_name }) => set_name === "user");
  }

  /** Removes everything that a test made. */
  async empty(): Promise<void> {
    for (const release of this.#held) await release();
    await this.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public");
    this.log.length = 0;
  }

  async stop(): Promise<void> {
    for (const connection of this.#opened) await connection.close();
    await this.#database.drop();
  }
}

function connect(url: string, limits: Limits): Promise<PostgresConnection> {
  return connectPostgres({ engine: "postgres", url, shown: "", identity: "" }, limits);
}

/** Waits until `ask` gives what is expected: on a busy machine that may take a while. */
export function eventually<T>(ask: () => T) {
  return expect.poll(ask, { timeout: 30_000, interval: 20 });
}

/** What `work` fails with. */
export async function failure(work: Promise<unknown>): Promise<OpsError> {
  const result = await work.then(
    (value) => ({ value }),
    (error: OpsError) => error,
  );
  if (result instanceof Error) return result;
  throw new Error(`it did not fail, it gave ${JSON.stringify(result)}`);
}
