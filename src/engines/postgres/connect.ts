import type { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import type { Call } from "../../call.ts";
import type { Limits, Target } from "../../config/targets.ts";
import type { OpsError } from "../../errors.ts";
import type { Connection } from "../engine.ts";
import { addressOf, parseTarget, type Where } from "./config.ts";
import { type Phase, postgresError, sqlState } from "./errors.ts";
import { libpqEnvironment } from "./libpq.ts";
import {
  ClientSession,
  type LentSession,
  type Row,
  type Server,
  type Session,
  untilAborted,
} from "./session.ts";

/** Time that a polite goodbye may take. */
const GOODBYE_MS = 500;
/** Deadlocks and serialization failures are the server's way of saying "again, please". */
const AGAIN: ReadonlySet<string | undefined> = new Set(["40P01", "40001"]);
const ATTEMPTS = 6;
/** A process that stops in the middle of a transaction must not keep its locks: the server ends it. */
const BEGIN = "BEGIN; SET LOCAL idle_in_transaction_session_timeout = '10s'";

export interface PostgresConnection extends Connection {
  readonly where: Where;
  readonly limits: Limits;
  query<R extends object = Row>(call: Call, text: string, params?: readonly unknown[]): Promise<R[]>;
  /**
   * Runs `work` between BEGIN and COMMIT, again after a deadlock or serialization failure (6 attempts).
   * @throws OpsError `unknown_outcome` when the reply to COMMIT is lost; whatever is lost before that was
   * rolled back
   */
  transaction<T>(call: Call, work: (session: Session) => Promise<T>): Promise<T>;
  /** A session for as long as its user likes. */
  lend(call: Call): Promise<LentSession>;
  /** Another connection to the same server, to `database` when given. Whoever asks closes it. */
  sibling(database?: string): PostgresConnection;
  /**
   * The same database without limits on statements in the greeting, which poolers refuse: `limits.queryMs` bounds the wait for an answer all
   * the same. Closed with this one; its siblings are bare too.
   */
  bare(): PostgresConnection;
  /** PG… variables for the programs of PostgreSQL (undefined: must not be set). They hold the password. */
  environment(): Record<string, string | undefined>;
  /** The OpsError for what `work` threw. */
  explain(error: unknown, phase?: Phase): OpsError;
}

/** Opens nothing: the first query does. @throws OpsError `usage` for a URL whose parameters cannot be used */
export async function connectPostgres(target: Target, limits: Limits): Promise<PostgresConnection> {
  return new PostgresPool(target, limits);
}

class PostgresPool implements PostgresConnection {
  readonly where: Where;
  readonly limits: Limits;
  readonly #target: Target;
  readonly #server: Server;
  readonly #pool: pg.Pool;
  readonly #sockets = new Set<Socket>();
  readonly #isBare: boolean;
  #bare: PostgresPool | undefined;
  #closing: Promise<void> | undefined;

  constructor(target: Target, limits: Limits, isBare = false) {
    const { where, config } = parseTarget(target, limits, this.#sockets, isBare);
    this.where = where;
    this.limits = limits;
    this.#target = target;
    this.#isBare = isBare;
    this.#server = { host: config.host!, port: config.port!, hasTls: config.ssl !== false };
    this.#pool = new pg.Pool(config);
    // an idle connection that breaks ends the process when nobody listens (node-postgres #2386); the pool has
    // removed it
    this.#pool.on("error", () => {});
  }

  explain(error: unknown, phase: Phase = "query"): OpsError {
    return postgresError(error, this.where, phase);
  }

  sibling(database?: string): PostgresConnection {
    const target = { ...this.#target, database: database ?? this.where.database };
    return new PostgresPool(target, this.limits, this.#isBare);
  }

  bare(): PostgresConnection {
    if (this.#isBare) return this;
    this.#bare ??= new PostgresPool(this.#target, this.limits, true);
    return this.#bare;
  }

  environment(): Record<string, string | undefined> {
    return libpqEnvironment(addressOf(this.#target));
  }

  async query<R extends object = Row>(call: Call, text: string, params?: readonly unknown[]): Promise<R[]> {
    return this.#scoped(call, (session) => session.query<R>(text, params ?? []));
  }

  async transaction<T>(call: Call, work: (session: Session) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#attempt(call, work);
      } catch (error) {
        if (!AGAIN.has(sqlState(error)) || attempt >= ATTEMPTS) throw this.explain(error);
        call.log("DEBUG", "PostgreSQL asks to repeat a transaction", { attempt, state: sqlState(error) });
        await delay(Math.random() * 20 * 2 ** attempt);
      }
    }
  }

  /** One attempt; throws the driver's errors, except for what happened to COMMIT. */
  async #attempt<T>(call: Call, work: (session: Session) => Promise<T>): Promise<T> {
    const session = await this.lend(call);
    let isDone = false;
    try {
      await session.query(BEGIN);
      const result = await work(session);
      await this.#commit(session);
      isDone = true;
      return result;
    } finally {
      session.release(!isDone);
    }
  }

  async #commit(session: Session): Promise<void> {
    try {
      await session.query("COMMIT");
    } catch (error) {
      throw AGAIN.has(sqlState(error)) ? error : this.explain(error, "commit");
    }
  }

  async #scoped<T>(call: Call, work: (session: Session) => Promise<T>): Promise<T> {
    const session = await this.lend(call);
    let isDone = false;
    try {
      const result = await work(session);
      isDone = true;
      return result;
    } catch (error) {
      throw this.explain(error);
    } finally {
      session.release(!isDone);
    }
  }

  async lend(call: Call): Promise<LentSession> {
    const connecting = this.#pool.connect();
    try {
      const client = await untilAborted(connecting, call);
      return new ClientSession(client, call, this.limits.queryMs, this.#server);
    } catch (error) {
      // it may still come, after the call has gone
      connecting.then(
        (client) => client.release(true),
        () => {},
      );
      throw this.explain(error, "connect");
    }
  }

  /** Says goodbye to the server for at most half a second, then drops what is left. */
  close(): Promise<void> {
    this.#closing ??= Promise.all([this.#goodbye(), this.#bare?.close()]).then(() => {});
    return this.#closing;
  }

  async #goodbye(): Promise<void> {
    const closed = [...this.#sockets].map(
      (socket) => new Promise<void>((resolve) => socket.once("close", () => resolve())),
    );
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, GOODBYE_MS);
    await Promise.race([Promise.all([this.#pool.end(), ...closed]), late]);
    clearTimeout(timer);
    for (const socket of this.#sockets) socket.destroy();
  }
}
