import type { BookmarkManager, Driver, Session, SessionMode } from "neo4j-driver";
import { type Call, throwIfAborted } from "../../call.ts";
import type { Limits, Target } from "../../config/targets.ts";
import { OpsError } from "../../errors.ts";
import type { Connection } from "../engine.ts";
import { bounded, NoAnswer } from "./bounded.ts";
import { failure, neo4jError, type Place } from "./errors.ts";
import { greet } from "./greet.ts";
import { type Phase, retryDelay } from "./retry.ts";

/** Values of a query: whole numbers go as BigInt, because the driver sends every JavaScript number as a float. */
export type Params = Record<string, unknown>;

/** One query of a transaction; rows are plain objects, integers numbers. */
export type Run = <T = Record<string, unknown>>(query: string, params?: Params) => Promise<T[]>;

export interface Neo4jConnection extends Connection {
  readonly place: Place;
  /** One reading query, retried while the limit allows. */
  read<T>(call: Call, query: string, params?: Params): Promise<T[]>;
  /** Work in one transaction. It runs again after a deadlock or a lost connection, so it must be idempotent. */
  write<T>(call: Call, work: (run: Run) => Promise<T>): Promise<T>;
  /** One statement in a transaction of its own (schema), not repeated after a lost connection. */
  command(call: Call, query: string): Promise<void>;
  /** Rows as they come, with back-pressure; each may take the query limit. */
  stream<T>(call: Call, query: string, params?: Params): AsyncGenerator<T>;
  /** `5.26.30`, from the server's greeting; costs one trivial query. */
  serverVersion(call: Call): Promise<string>;
}

/** An answer this young proves that the server is alive: it is not greeted again before the driver connects. */
const FRESH_MS = 1_000;
/** What closing may take. */
const CLOSE_MS = 1_000;
/** Rows the driver asks for at once in a stream: contents may be 1 MiB each. */
const FETCH_SIZE = 50;

/** The place a target names; Neo4j's port is 7687 unless the URL says otherwise. */
export function placeOf(target: Target): Place {
  const url = new URL(target.url);
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const port = Number(url.port) || 7687;
  return {
    host,
    port,
    where: `${url.hostname}:${port}`,
    tls: url.protocol.includes("+"),
    trustAll: url.protocol.includes("+ssc"),
  };
}

/** Opens nothing: the first query does, and only then is the driver loaded. */
export function connectNeo4j(target: Target, limits: Limits): Neo4jConnection {
  return new LazyConnection(target, limits);
}

class LazyConnection implements Neo4jConnection {
  readonly place: Place;
  readonly #target: Target;
  readonly #limits: Limits;
  #driver: Driver | undefined;
  /** Lets a query see the writes of the one before it on a cluster too. */
  #bookmarks: BookmarkManager | undefined;
  #lastAnswer = Number.NEGATIVE_INFINITY;

  constructor(target: Target, limits: Limits) {
    this.#target = target;
    this.#limits = limits;
    this.place = placeOf(target);
  }

  read<T>(call: Call, query: string, params: Params = {}): Promise<T[]> {
    return this.#attempt(call, "READ", async (session, { timeout }) => {
      const result = await session.run(query, params, { timeout });
      return result.records.map((record) => record.toObject() as T);
    });
  }

  write<T>(call: Call, work: (run: Run) => Promise<T>): Promise<T> {
    return this.#attempt(call, "WRITE", async (session, phase) => {
      const transaction = session.beginTransaction({ timeout: phase.timeout });
      const run: Run = async <R>(query: string, params: Params = {}) => {
        const result = await transaction.run(query, params);
        return result.records.map((record) => record.toObject() as R);
      };
      const result = await work(run);
      phase.outcomeUnknown = true;
      await transaction.commit();
      phase.outcomeUnknown = false;
      return result;
    });
  }

  async command(call: Call, query: string): Promise<void> {
    await this.#attempt(call, "WRITE", async (session, phase) => {
      phase.outcomeUnknown = phase.once = true;
      await session.run(query, {}, { timeout: phase.timeout });
    });
  }

  serverVersion(call: Call): Promise<string> {
    return this.#attempt(call, "READ", async (session, { timeout }) => {
      const { summary } = await session.run("RETURN 1 AS one", {}, { timeout });
      return (summary.server.agent ?? "").replace(/^Neo4j\//, "") || "unknown";
    });
  }

  async *stream<T>(call: Call, query: string, params: Params = {}): AsyncGenerator<T> {
    const driver = await this.#open(call);
    const session = this.#session(driver, "READ");
    let done = false;
    try {
      const rows = session.run(query, params)[Symbol.asyncIterator]();
      for (;;) {
        const next = await bounded(rows.next(), this.#limits.queryMs, call.signal);
        if (next.done) break;
        yield next.value.toObject() as T;
      }
      done = true;
    } catch (error) {
      throw neo4jError(error, { place: this.place, outcomeUnknown: false });
    } finally {
      if (done) await this.#release(driver, session);
      else this.#abandon(driver, session);
    }
  }

  async close(): Promise<void> {
    const driver = this.#driver;
    this.#driver = undefined;
    if (driver) await quietly(driver.close());
  }

  /** Runs `work` on a session, again where that helps, within the limit for queries (connecting comes on top). */
  async #attempt<T>(
    call: Call,
    mode: SessionMode,
    work: (session: Session, phase: Phase) => Promise<T>,
  ): Promise<T> {
    const phase: Phase = { outcomeUnknown: false, once: false, timeout: 0, losses: 0, tries: 0 };
    let deadline: number | undefined;
    for (;;) {
      const driver = await this.#reopen(call, phase);
      deadline ??= performance.now() + this.#limits.queryMs;
      const session = this.#session(driver, mode);
      const left = Math.max(1, deadline - performance.now());
      // a little less than we wait, so that a slow query is ended and named by the server
      phase.timeout = Math.max(1, Math.floor(left * 0.95));
      try {
        const result = await bounded(work(session, phase), left, call.signal);
        this.#lastAnswer = performance.now();
        await this.#release(driver, session);
        return result;
      } catch (error) {
        this.#settle(driver, session, error);
        const delay = retryDelay(error, phase, deadline);
        if (delay === undefined) throw neo4jError(error, { place: this.place, ...phase });
        call.log("DEBUG", "neo4j: trying again", {
          tries: phase.tries,
          code: (error as { code?: string }).code,
        });
        await pause(delay, call.signal);
      }
    }
  }

  /** Opens; after a commit whose answer was lost, not getting through again leaves its outcome unknown. */
  async #reopen(call: Call, phase: Phase): Promise<Driver> {
    throwIfAborted(call);
    try {
      return await this.#open(call);
    } catch (error) {
      if (!phase.outcomeUnknown || !(error instanceof OpsError) || error.code !== "unreachable") throw error;
      throw neo4jError(new NoAnswer(this.#limits.connectMs), { place: this.place, outcomeUnknown: true });
    }
  }

  async #open(call: Call): Promise<Driver> {
    throwIfAborted(call);
    if (this.#driver === undefined || performance.now() - this.#lastAnswer > FRESH_MS) {
      await greet(this.place, this.#limits.connectMs, call.signal);
      this.#lastAnswer = performance.now();
    }
    this.#driver ??= await this.#createDriver();
    return this.#driver;
  }

  async #createDriver(): Promise<Driver> {
    const { auth, bookmarkManager, driver } = (await import("neo4j-driver")).default;
    const { url, username = "neo4j", password } = this.#target;
    const { connectMs, queryMs, poolSize } = this.#limits;
    this.#bookmarks ??= bookmarkManager();
    try {
      return driver(url, password === undefined ? undefined : auth.basic(username, password), {
        connectionTimeout: connectMs,
        // waiting for a free connection of the pool counts as waiting for the query
        connectionAcquisitionTimeout: connectMs + queryMs,
        maxConnectionPoolSize: poolSize,
        disableLosslessIntegers: true,
        disableAutoCommitRetries: true,
        telemetryDisabled: true,
        userAgent: "opsctl",
      });
    } catch (error) {
      // the driver's message quotes the URL
      throw failure(
        "usage",
        this.place,
        "cannot be asked: NEO4J_URI is not accepted",
        "check its parameters",
        error,
      );
    }
  }

  #session(driver: Driver, defaultAccessMode: SessionMode): Session {
    const { database } = this.#target;
    const bookmarkManager = this.#bookmarks;
    return driver.session({ database, defaultAccessMode, bookmarkManager, fetchSize: FETCH_SIZE });
  }

  async #release(driver: Driver, session: Session): Promise<void> {
    try {
      await bounded(session.close(), CLOSE_MS);
    } catch {
      // the work is done; a connection that cannot be given back only costs the next query a new one
      this.#discard(driver);
    }
  }

  /** After a failure: a silent server gets no chance to hang the session's end, an answering one is asked to stop. */
  #settle(driver: Driver, session: Session, error: unknown): void {
    this.#lastAnswer = Number.NEGATIVE_INFINITY;
    if (error instanceof NoAnswer) this.#discard(driver);
    else this.#abandon(driver, session);
  }

  #abandon(driver: Driver, session: Session): void {
    const timer = setTimeout(() => this.#discard(driver), CLOSE_MS).unref();
    session.close().then(
      () => clearTimeout(timer),
      () => clearTimeout(timer),
    );
  }

  /** Destroys every socket of the driver, those of running queries included. */
  #discard(driver: Driver): void {
    if (this.#driver === driver) this.#driver = undefined;
    void quietly(driver.close());
  }
}

/** Waits a bounded time; an error while closing changes nothing for anybody. */
async function quietly(closing: Promise<void>): Promise<void> {
  try {
    await bounded(closing, CLOSE_MS);
  } catch {
    // the sockets are destroyed either way
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await bounded(new Promise((resolve) => setTimeout(resolve, ms)), ms + 1_000, signal);
}
