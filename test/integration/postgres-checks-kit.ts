/** A database to fall ill: what tests of PostgreSQL's checks do with it. */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { expect } from "vitest";
import { type PostgresServer, startPostgres } from "../../scripts/services/postgres.ts";
import type { Target } from "../../src/config/targets.ts";
import { DEFAULT_THRESHOLDS, type Thresholds } from "../../src/config/thresholds.ts";
import { postgresChecks } from "../../src/engines/postgres/checks/index.ts";
import { connectPostgres, type PostgresConnection } from "../../src/engines/postgres/connect.ts";
import { postgresStatistics } from "../../src/engines/postgres/statistics.ts";
import type { Found } from "../../src/health/doctor/check.ts";
import type { StatsOf } from "../../src/health/port.ts";
import { testCall } from "../support/calls.ts";
import { Sandbox } from "../support/cli.ts";
import { mend } from "../support/doctor.ts";

const LIMITS = { connectMs: 10_000, queryMs: 30_000, poolSize: 3 };

export interface Look extends Partial<Thresholds> {
  /** The host that DATABASE_URL names; the connection stays. */
  host?: string;
  root?: string;
}

export class Patient {
  readonly url: string;
  readonly client: pg.Client;
  readonly #sandbox = new Sandbox({ shared: true });
  readonly #target: Target;
  readonly #connection: PostgresConnection;
  readonly #clients: pg.Client[] = [];

  private constructor(url: string, target: Target, connection: PostgresConnection, client: pg.Client) {
    this.url = url;
    this.#target = target;
    this.#connection = connection;
    this.client = client;
  }

  static async of(url: string): Promise<Patient> {
    const target: Target = { engine: "postgres", url, shown: "", identity: "" };
    const client = await connected(url);
    return new Patient(url, target, await connectPostgres(target, LIMITS), client);
  }

  /** One more session. Ended with the patient, or by a remedy. */
  async session(): Promise<pg.Client> {
    const client = await connected(this.url);
    this.#clients.push(client);
    return client;
  }

  /** Statements, one after another, each by itself. */
  async sql(...statements: string[]): Promise<void> {
    for (const statement of statements) await this.client.query(statement);
  }

  /** Findings of one check. */
  find(id: string, { host, root = "/", ...thresholds }: Look = {}): Promise<Found[]> {
    const check = postgresChecks.find((one) => one.id === id);
    if (!check) throw new Error(`there is no check ${id}`);
    const url = new URL(this.url);
    if (host !== undefined) url.hostname = host;
    return check.run(testCall(), {
      connection: this.#connection,
      target: { ...this.#target, url: url.href },
      limits: LIMITS,
      thresholds: { ...DEFAULT_THRESHOLDS, ...thresholds },
      root,
    });
  }

  /** The finding of a check about something. */
  async about(id: string, subject: string, look?: Look): Promise<Found | undefined> {
    return (await this.find(id, look)).find((one) => one.subject === subject);
  }

  mend(found: Found, { host: _host, root: _root, ...thresholds }: Look = {}): Promise<void> {
    const pairs = Object.entries(thresholds).map(([name, value]) => `${name}=${value}`);
    return mend(this.#sandbox, { DATABASE_URL: this.url, OPSCTL_THRESHOLDS: pairs.join(",") }, found);
  }

  statistics(): Promise<StatsOf["postgres"]> {
    return postgresStatistics(this.#connection).read(testCall(), { top: 100, sampleKeys: 1 });
  }

  /** Runs the statements of a finding's commands without the program: a start of it takes its time. */
  async obey(found: Found): Promise<void> {
    const shapes = found.remedies.map(({ argv: [program, verb, engine, , write] }) => [
      program,
      verb,
      engine,
      write,
    ]);
    expect(shapes).toEqual(shapes.map(() => ["opsctl", "query", "postgres", "--write"]));
    expect(shapes).not.toHaveLength(0);
    await this.sql(...found.remedies.map(({ argv }) => argv[3]!));
  }

  opsctl(args: readonly string[]): Promise<string> {
    return this.#sandbox.ok(args, { env: { DATABASE_URL: this.url } });
  }

  /** Ends the sessions, and with them what they do. */
  async endSessions(): Promise<void> {
    if (this.#clients.length === 0) return;
    const pids = this.#clients.map((client) => (client as unknown as { processID: number }).processID);
    await this.client.query("SELECT pg_terminate_backend(pid, 5000) FROM unnest($1::int[]) pid", [pids]);
    for (const client of this.#clients.splice(0)) await client.end().catch(() => {});
  }

  async close(): Promise<void> {
    await this.endSessions();
    await this.client.end();
    await this.#connection.close();
    this.#sandbox.remove();
  }
}

async function connected(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: "patient" });
  // a remedy may end it
  client.on("error", () => {});
  await client.connect();
  return client;
}

export interface OwnPostgres {
  dir: string;
  server: PostgresServer;
  remove(): Promise<void>;
}

/** A server for one test file: its settings are server-wide. */
export async function ownPostgres(args: string[]): Promise<OwnPostgres> {
  const dir = mkdtempSync(join(tmpdir(), "opsctl-postgres-"));
  chmodSync(dir, 0o711);
  const folder = { dir: join(dir, "server") };
  const own: OwnPostgres = {
    dir: folder.dir,
    server: await startPostgres({ ...folder, args }),
    remove: () => own.server.stop().finally(() => rmSync(dir, { recursive: true, force: true })),
  };
  return own;
}
