import type { BookmarkManager, Driver, Session, SessionMode } from "neo4j-driver";
import { bounded } from "../../bounded.ts";
import { type Call, throwIfAborted } from "../../call.ts";
import type { Limits, Target } from "../../config/targets.ts";
import { failure, type Place } from "./errors.ts";
import { greet } from "./greet.ts";

/**
 * An answer this young proves that the server is alive: it is not greeted again before the driver connects.
 */
const FRESH_MS = 1_000;
/** What closing may take. */
const CLOSE_MS = 1_000;
/** Rows the driver asks for at once: contents may be 1 MiB each. */
const FETCH_SIZE = 50;

/** The place a target names; Neo4j's port is 7687 unless the URL says otherwise. */
export function placeOf(target: Target): Place {
  const url = new URL(target.url);
  const port = Number(url.port) || 7687;
  return {
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port,
    where: `${url.hostname}:${port}`,
    tls: url.protocol.includes("+"),
    trustAll: url.protocol.includes("+ssc"),
  };
}

/** A session together with the driver it belongs to. */
export interface Lent {
  session: Session;
  driver: Driver;
}

/**
 * The driver of one target: loaded and made by the first query, thrown away whole when the server falls
 * silent.
 */
export class DriverPool {
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

  /**
   * A session on a server that answers.
   * @throws OpsError `unreachable` within the limit for connecting; the signal's error on abort
   */
  async lend(call: Call, defaultAccessMode: SessionMode): Promise<Lent> {
    throwIfAborted(call);
    if (this.#driver === undefined || performance.now() - this.#lastAnswer > FRESH_MS) {
      const greeting = greet(this.place, this.#limits.connectMs, call.signal);
      // while the answer is on its way; a driver that cannot be loaded says so where it is made
      import("neo4j-driver").catch(() => {});
      await greeting;
      this.answered();
    }
    const driver = this.#driver ?? (await this.#createDriver());
    this.#driver ??= driver;
    const { database } = this.#target;
    const bookmarkManager = this.#bookmarks;
    const options = { database, defaultAccessMode, bookmarkManager, fetchSize: FETCH_SIZE };
    return { session: this.#driver.session(options), driver: this.#driver };
  }

  /** The server has just answered a query. */
  answered(): void {
    this.#lastAnswer = performance.now();
  }

  /** Gives a session back whose work is done. */
  async release({ session, driver }: Lent): Promise<void> {
    try {
      await bounded(session.close(), CLOSE_MS);
    } catch {
      // a connection that cannot be given back only costs the next query a new one
      this.discard(driver);
    }
  }

  /** Ends a session in the midst of its work: the server is asked to stop; when it is silent, `discard`. */
  abandon({ session, driver }: Lent): void {
    this.#lastAnswer = Number.NEGATIVE_INFINITY;
    const timer = setTimeout(() => this.discard(driver), CLOSE_MS).unref();
    const done = () => clearTimeout(timer);
    session.close().then(done, done);
  }

  /** Destroys every socket of the driver, those of running queries included. */
  discard(driver: Driver): void {
    this.#lastAnswer = Number.NEGATIVE_INFINITY;
    if (this.#driver === driver) this.#driver = undefined;
    void quietly(driver.close());
  }

  async close(): Promise<void> {
    const driver = this.#driver;
    this.#driver = undefined;
    if (driver) await quietly(driver.close());
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
      const what = "cannot be asked: NEO4J_URI is not accepted";
      throw failure("usage", this.place, what, "check the parameters of the URL", error);
    }
  }
}

/** Waits a bounded time. */
async function quietly(closing: Promise<void>): Promise<void> {
  try {
    await bounded(closing, CLOSE_MS);
  } catch {
    // nobody asks any more, and the sockets are destroyed either way
  }
}
