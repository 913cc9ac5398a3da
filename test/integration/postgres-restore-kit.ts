/** Restores of PostgreSQL without a run around them. */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import type { FileKind } from "../../src/backup/port.ts";
import type { Call } from "../../src/call.ts";
import type { Limits, Target } from "../../src/config/targets.ts";
import { postgresRestore } from "../../src/engines/postgres/restore.ts";
import { postgresDrill } from "../../src/engines/postgres/restore-drill.ts";
import type { Drilled, RestoreFile, RestorePart, RestoreTask, Saved } from "../../src/restore/port.ts";
import { askPostgres } from "../support/backup.ts";
import { testCall } from "../support/calls.ts";
import { testVariable } from "../support/servers.ts";
import { BackupKit, type Taken } from "./postgres-backup-kit.ts";

const LIMITS: Limits = { connectMs: 3_000, queryMs: 20_000, poolSize: 1 };

export const nameOf = (url: string): string => decodeURIComponent(new URL(url).pathname.slice(1));

export function urlOf(server: string, database: string): string {
  const url = new URL(server);
  url.pathname = `/${encodeURIComponent(database)}`;
  return url.href;
}

export function targetOf(url: string): Target {
  return { engine: "postgres", url, shown: "", identity: "" };
}

export interface Order {
  url: string;
  name: string;
  files: RestoreFile[];
  expected?: RestoreTask["expected"];
  limits?: Partial<Limits>;
}

/** One restore, as several processes would run it: each part is a new one, with what the last one saved. */
export class Restoring {
  readonly id = randomBytes(4).toString("hex");
  readonly #order: Order;
  readonly #work: string;
  readonly #parts: RestorePart[] = [];
  saved: Saved = {};

  constructor(order: Order, work: string) {
    this.#order = order;
    this.#work = work;
  }

  get task(): RestoreTask {
    const { name, files, expected = { counts: {}, breakdown: {} } } = this.#order;
    return {
      id: this.id,
      name,
      files,
      expected,
      serverVersion: null,
      isOurs: true,
      work: this.#work,
      saved: this.saved,
      save: async (_, saved) => {
        this.saved = saved;
      },
      options: {
        jobs: 2,
        redis: { method: "auto", server: "" },
        neo4j: { admin: "", cypherShell: "" },
      },
    };
  }

  async part(): Promise<RestorePart> {
    const { url, limits } = this.#order;
    const origin = { target: targetOf(url), limits: { ...LIMITS, ...limits } };
    const part = await postgresRestore(this.task, origin);
    this.#parts.push(part);
    return part;
  }

  drill(url: string | undefined, call: Call = testCall()): Promise<Drilled> {
    return postgresDrill(call, this.task, url === undefined ? undefined : targetOf(url), LIMITS);
  }

  async close(): Promise<void> {
    for (const part of this.#parts) await part.close();
  }
}

export class RestoreKit extends BackupKit {
  readonly #work = mkdtempSync(join(tmpdir(), "opsctl-postgres-restore-"));
  readonly #restores: Restoring[] = [];
  readonly server = testVariable("OPSCTL_TEST_DATABASE_URL");

  async backup(url: string, kinds?: readonly FileKind[]): Promise<Taken & { order: Order }> {
    const taken = await this.take(await this.part(url), kinds ? { kinds } : {});
    const files = taken.files.map(({ path, kind, file }) => ({ path, kind, size_bytes: 1_000, local: file }));
    const { counts, breakdown } = taken.copied;
    return { ...taken, order: { url, name: nameOf(url), files, expected: { counts, breakdown } } };
  }

  restoring(order: Order): Restoring {
    const restoring = new Restoring(order, this.#work);
    this.#restores.push(restoring);
    return restoring;
  }

  /** Databases of the server whose names have this restore's id in them. */
  async beside(id: string): Promise<string[]> {
    const rows = await askPostgres(
      this.server,
      `SELECT datname FROM pg_database WHERE datname LIKE '%\\_\\_opsctl\\_%${id}' ORDER BY datname`,
    );
    return rows.map(({ datname }) => String(datname));
  }

  override async stop(): Promise<void> {
    for (const restoring of this.#restores) {
      await restoring.close();
      for (const name of await this.beside(restoring.id)) {
        await askPostgres(this.server, `DROP DATABASE "${name}" WITH (FORCE)`);
      }
    }
    rmSync(this.#work, { recursive: true, force: true });
    await super.stop();
  }
}

/** Connects anew every few ms, as an application does, and asks the same. */
export class Poller {
  readonly answers: unknown[] = [];
  /** The longest time without an answer, ms. */
  outage = 0;
  #isOver = false;
  readonly #running: Promise<void>;

  constructor(url: string, sql: string, pauseMs = 10) {
    this.#running = this.#run(url, sql, pauseMs);
  }

  async #run(url: string, sql: string, pauseMs: number): Promise<void> {
    let last = performance.now();
    while (!this.#isOver) {
      const client = new pg.Client({ connectionString: url });
      client.on("error", () => {});
      try {
        await client.connect();
        const { rows } = await client.query(sql);
        this.outage = Math.max(this.outage, performance.now() - last);
        last = performance.now();
        if (JSON.stringify(rows) !== JSON.stringify(this.answers.at(-1))) this.answers.push(rows);
      } catch {
        // refused, or ended
      } finally {
        await client.end().catch(() => {});
      }
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#running;
  }
}
