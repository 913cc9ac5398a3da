import type { Call } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type {
  Found,
  RestoreFile,
  RestorePart,
  RestorePlan,
  RestoreTask,
  Saved,
  Swapped,
} from "../../restore/port.ts";
import type { PostgresConnection } from "./connect.ts";
import { identifier } from "./quoting.ts";
import { carryOver, closeLike } from "./restore-carry.ts";
import { type DumpNeeds, readNeeds } from "./restore-contents.ts";
import { inspect } from "./restore-inspect.ts";
import { loadDump, watched } from "./restore-load.ts";
import { besideName, databaseOf, requireOrdinary } from "./restore-names.ts";
import {
  creationOf,
  describeLive,
  liveDatabase,
  planOf,
  requireExchangeable,
  requireNeeds,
  requireServer,
  serverFacts,
} from "./restore-plan.ts";
import { lockId, openServer, type RestoreSession } from "./restore-session.ts";
import { exchange, open } from "./restore-swap.ts";

/** What another process has to know. Names may change hands, object ids do not. */
interface State extends Saved {
  /** Of the database that was loaded. */
  restored: number;
  /** It is whole, checked and on the disk. */
  ready: boolean;
  /** Whether a swap has begun. */
  swapping: boolean;
  /** Of what is replaced; null: there is nothing. */
  live: number | null;
}

/** As long as the call lives: creating, dropping and flushing a database wait for its disk. */
const PATIENT = { timeoutMs: null };

/** A database: loaded beside the live one, and put in its place by renaming. */
export class DatabaseRestore implements RestorePart {
  readonly engine = "postgres";
  readonly name: string;
  readonly target: string;
  readonly isFirst = false;
  readonly #task: RestoreTask;
  readonly #file: RestoreFile;
  readonly #connection: PostgresConnection;
  readonly #database: string;
  readonly #beside: string;
  readonly #old: string;
  #saved: Saved;
  #needs: DumpNeeds | undefined;
  #found: Found | undefined;

  /**
   * @param file what is loaded: an archive, or a script
   * @param connection to any database of the server, without limits on statements; ours alone
   */
  constructor(task: RestoreTask, file: RestoreFile, connection: PostgresConnection) {
    this.#task = task;
    this.#file = file;
    this.#connection = connection;
    this.#saved = task.saved;
    this.#database = databaseOf(task.name);
    this.#beside = besideName(this.#database, task.id, "new");
    this.#old = besideName(this.#database, task.id, "old");
    this.name = task.name;
    this.target = `postgresql://${connection.where.address}/${encodeURIComponent(this.#database)}`;
  }

  get isTouched(): boolean {
    return this.#state.swapping;
  }

  plan(call: Call): Promise<RestorePlan> {
    return this.#withServer(call, async (server) => {
      requireOrdinary(this.#database);
      const facts = await serverFacts(call, server);
      const needs = await this.#readNeeds(call);
      await requireServer(call, server, facts, this.#file, needs.major);
      const omitted = await requireNeeds(call, server, needs, this.#file, "coming");
      const live = await liveDatabase(call, server, this.#database);
      if (live) requireExchangeable(server, this.#database, live);
      const connection = this.#connection.sibling(this.#database);
      const overwrites = live ? await describeLive(call, server, connection, live) : "nothing";
      await connection.close();
      const plan = planOf(facts, this.#file, live, overwrites, omitted, this.#task.options.jobs);
      const left = await this.#leftOvers(call, server);
      return { ...plan, notes: [...plan.notes, ...left] };
    });
  }

  prepare(call: Call): Promise<void> {
    return this.#withServer(call, async (server) => {
      const databases = await this.#databases(call, server);
      // repeated after its swap: there is nothing to begin anew
      if (this.#isLive(databases)) return;
      const needs = await this.#readNeeds(call);
      await requireServer(call, server, await serverFacts(call, server), this.#file, needs.major);
      const omitted = await requireNeeds(call, server, needs, this.#file, "needed");
      const live = await liveDatabase(call, server, this.#database);
      await this.#drop(call, server, this.#beside);
      const restored = await this.#create(call, server, creationOf(live, needs));
      await this.#save(call, { restored, ready: false, swapping: false, live: live?.oid ?? null });
      if (live) await closeLike(call, server, live.oid, restored);
      const flags = omitted.tablespaces ? ["--no-tablespaces"] : [];
      await this.#load(call, server, needs, flags);
      if (live) await carryOver(call, server, live.oid, restored);
      // a commit that is forced to disk, and all that was loaded before it
      await server.query(call, `ALTER DATABASE ${identifier(this.#beside)} ALLOW_CONNECTIONS true`);
      await this.#save(call, { ...this.#state, ready: true });
    });
  }

  swap(call: Call): Promise<Swapped> {
    return this.#withServer(call, async (server) => {
      const databases = await this.#databases(call, server);
      const { restored, ready } = this.#state;
      const how = `by renaming; what was there before is "${this.#old}"`;
      if (this.#isLive(databases)) return { how, outage_ms: null, notes: ["it was swapped before"] };
      if (!ready || databases.get(this.#beside) !== restored) {
        throw this.#failed(
          `"${this.#beside}" is not there, or not whole`,
          "restore again from its beginning",
        );
      }
      const leaving = databases.get(this.#database);
      await this.#save(call, { ...this.#state, swapping: true, live: leaving ?? null });
      if (leaving === undefined) {
        await this.#rename(call, server, this.#beside, this.#database);
        return { how: "by renaming; there was nothing before", outage_ms: null, notes: [] };
      }
      await carryOver(call, server, leaving, restored);
      const outage = await exchange(call, server, {
        name: this.#database,
        leaving: { oid: leaving, to: this.#old },
        coming: { oid: restored, from: this.#beside },
      });
      return { how, outage_ms: outage, notes: [] };
    });
  }

  /** What this process counted before the swap is not counted again: whatever differs now was written since. */
  async verify(call: Call): Promise<Found> {
    await this.#withServer(call, async (server) => {
      if (this.#isLive(await this.#databases(call, server))) return;
      throw this.#failed(
        "it is not the database that was restored",
        "look at who renamed or replaced it since",
      );
    });
    if (this.#found) return this.#found;
    const connection = this.#connection.sibling(this.#database);
    try {
      return await inspect(call, connection, this.#task.expected, {
        jobs: this.#task.options.jobs,
        analyze: false,
      });
    } finally {
      await connection.close();
    }
  }

  requireWayBack(call: Call): Promise<void> {
    return this.#withServer(call, async (server) => {
      if (this.isTouched) this.#wayBack(await this.#databases(call, server));
    });
  }

  rollback(call: Call): Promise<void> {
    return this.#withServer(call, async (server) => {
      const { restored, live } = this.#state;
      if (!this.isTouched) return;
      const way = this.#wayBack(await this.#databases(call, server));
      if (way === "drop") await this.#drop(call, server, this.#database);
      else if (way === "open") await open(call, server, this.#database, live!);
      else if (way === "rename") await this.#bringBack(call, server, live!);
      else if (way === "exchange") await this.#exchangeBack(call, server, live!, restored);
      await this.#drop(call, server, this.#beside);
      await this.#save(call, { ...this.#state, ready: false, swapping: false });
    });
  }

  abandon(call: Call): Promise<void> {
    return this.#withServer(call, async (server) => {
      const { live } = this.#state;
      if (live !== null) await open(call, server, this.#database, live);
      await this.#drop(call, server, this.#beside);
    });
  }

  forget(call: Call): Promise<void> {
    return this.#withServer(call, async (server) => {
      const databases = await this.#databases(call, server);
      if (!databases.has(this.#old)) return;
      if (!databases.has(this.#database)) {
        throw this.#failed(
          `it is not there, and "${this.#old}" is the only copy that is left`,
          "restore --rollback brings it back",
        );
      }
      await this.#drop(call, server, this.#old);
    });
  }

  async close(): Promise<void> {
    await this.#connection.close();
  }

  async #withServer<T>(call: Call, work: (server: RestoreSession) => Promise<T>): Promise<T> {
    const server = await openServer(call, this.#connection, this.#database);
    try {
      await lockId(call, server, this.#task.id);
      return await work(server);
    } finally {
      await server.close();
    }
  }

  async #readNeeds(call: Call): Promise<DumpNeeds> {
    this.#needs ??= await readNeeds(call, this.#file);
    return this.#needs;
  }

  /** Object ids of those of our names that are there. */
  async #databases(call: Call, server: RestoreSession): Promise<Map<string, number>> {
    const names = [this.#database, this.#beside, this.#old];
    const rows = await server.query<{ name: string; oid: number }>(
      call,
      "SELECT datname AS name, oid::int8 AS oid FROM pg_database WHERE datname = ANY($1)",
      [names],
    );
    return new Map(rows.map(({ name, oid }) => [name, oid]));
  }

  /**
   * What has to be done so that there is again what was there before.
   * @throws OpsError `failed` when that is gone, or something else has its name
   */
  #wayBack(databases: ReadonlyMap<string, number>): "drop" | "open" | "rename" | "exchange" | "nothing" {
    const { restored, live } = this.#state;
    const current = databases.get(this.#database);
    if (live === null) return current === restored ? "drop" : "nothing";
    if (current === live) return "open";
    if (databases.get(this.#old) !== live) {
      throw this.#failed(
        `what was there before ("${this.#old}") is gone`,
        "restore another archive: opsctl backup list",
      );
    }
    if (current === undefined) return "rename";
    if (current === restored) return "exchange";
    throw this.#failed(
      "it was replaced since, by another restore or by hand",
      `what was there before the restore is still "${this.#old}"`,
    );
  }

  #isLive(databases: ReadonlyMap<string, number>): boolean {
    return databases.has(this.#database) && databases.get(this.#database) === this.#saved["restored"];
  }

  get #state(): State {
    return { restored: 0, ready: false, swapping: false, live: null, ...this.#saved };
  }

  async #save(call: Call, state: State): Promise<void> {
    this.#saved = state;
    await this.#task.save(call, state);
  }

  /** @param settings as CREATE DATABASE takes them @returns its object id */
  async #create(call: Call, server: RestoreSession, settings: string): Promise<number> {
    const name = identifier(this.#beside);
    // the only template that takes any encoding, and that nobody is connected to
    await server.query(call, `CREATE DATABASE ${name} TEMPLATE template0 ${settings}`, undefined, PATIENT);
    return (await this.#databases(call, server)).get(this.#beside)!;
  }

  async #load(call: Call, server: RestoreSession, needs: DumpNeeds, flags: string[]): Promise<void> {
    const { expected, options } = this.#task;
    const into = this.#connection.sibling(this.#beside);
    try {
      await watched(call, server, this.#beside, this.name, async (own) => {
        await loadDump(own, { file: this.#file, into, server, jobs: options.jobs, flags });
        const { jobs } = options;
        this.#found = await inspect(own, into, expected, { jobs, analyze: true, notValid: needs.notValid });
      });
    } finally {
      await into.close();
    }
    const { problems } = this.#found!;
    if (problems.length === 0) return;
    throw new OpsError({
      code: "integrity",
      engine: "postgres",
      message: `${this.#file.path} does not hold what the metadata says: ${problems.join("; ")}`,
      hint: "restore another archive: the live data were not touched",
    });
  }

  /** A note for each database that another restore of this one made and never swapped. */
  async #leftOvers(call: Call, server: RestoreSession): Promise<string[]> {
    const beginning = this.#beside.slice(0, -this.#task.id.length);
    const rows = await server.query<{ name: string }>(
      call,
      `SELECT datname AS name FROM pg_database WHERE starts_with(datname::text, $1) AND datname <> $2
        AND substr(datname::text, length($1) + 1) ~ '^[0-9a-f]{8}$' ORDER BY datname`,
      [beginning, this.#beside],
    );
    return rows.map(
      ({ name }) =>
        `"${name}" is of another restore: if none is under way, it was left by one that was cut off: DROP DATABASE ${identifier(name)}`,
    );
  }

  async #drop(call: Call, server: RestoreSession, name: string): Promise<void> {
    const text = "SELECT 1 FROM pg_database WHERE datname = $1 AND datistemplate";
    // like what it replaces, or was replaced by: a template is not dropped
    if ((await server.query(call, text, [name])).length > 0)
      await server.query(call, `ALTER DATABASE ${identifier(name)} IS_TEMPLATE false`);
    await server.query(call, `DROP DATABASE IF EXISTS ${identifier(name)} WITH (FORCE)`, undefined, PATIENT);
  }

  async #rename(call: Call, server: RestoreSession, from: string, to: string): Promise<void> {
    await server.query(call, `ALTER DATABASE ${identifier(from)} RENAME TO ${identifier(to)}`);
  }

  async #bringBack(call: Call, server: RestoreSession, live: number): Promise<void> {
    await this.#rename(call, server, this.#old, this.#database);
    await open(call, server, this.#database, live);
  }

  async #exchangeBack(call: Call, server: RestoreSession, live: number, restored: number): Promise<void> {
    await exchange(call, server, {
      name: this.#database,
      leaving: { oid: restored, to: this.#beside },
      coming: { oid: live, from: this.#old },
    });
  }

  #failed(what: string, hint: string): OpsError {
    const { address } = this.#connection.where;
    return new OpsError({
      code: "failed",
      engine: "postgres",
      message: `the database "${this.#database}" at ${address}: ${what}`,
      hint,
    });
  }
}
