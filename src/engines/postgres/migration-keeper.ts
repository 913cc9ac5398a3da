import { OpsError } from "../../errors.ts";
import type { PostgresConnection } from "./connect.ts";
import { NoAnswer } from "./errors.ts";
import type { Ask } from "./migration-history.ts";
import { blockersOf, type Holder } from "./migration-holders.ts";
import type { LentSession, QueryOptions, Row } from "./session.ts";

/** How often the server is asked whether it is still there while a statement runs, ms. */
const WATCH_MS = 5_000;
/** When it is asked first, at the latest. */
const FIRST_WATCH_MS = 1_000;
const MIN_WATCH_MS = 100;

/**
 * The session that holds the migration lock. It never has a transaction open, so that nobody waits for its snapshot; it is asked one
 * thing at a time.
 */
export class Keeper {
  readonly #connection: PostgresConnection;
  readonly #session: LentSession;
  /** Process id of the backend behind the session, once the lock is there. */
  #backend: number | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(connection: PostgresConnection, session: LentSession) {
    this.#connection = connection;
    this.#session = session;
  }

  readonly ask: Ask = (text, params) => this.#query(text, params);

  /** As `ask`, also when the call was aborted. */
  readonly tell: Ask = (text, params) => this.#query(text, params, { outlivesAbort: true });

  async #query<R extends object = Row>(
    text: string,
    params?: readonly unknown[],
    options?: QueryOptions,
  ): Promise<R[]> {
    try {
      return await this.#raw<R>(text, params, options);
    } catch (error) {
      if (this.#backend !== undefined) this.assertNotLost();
      throw this.#connection.explain(error);
    }
  }

  #raw<R extends object>(text: string, params?: readonly unknown[], options?: QueryOptions): Promise<R[]> {
    const timeoutMs = 2 * this.#connection.limits.connectMs;
    const next = this.#last.then(() => this.#session.query<R>(text, params, { timeoutMs, ...options }));
    this.#last = next.catch(() => {});
    return next;
  }

  /** The backend that answers now is the one that holds the lock. */
  async settle(): Promise<void> {
    this.#backend = await this.#pid();
  }

  /** Without asking: whether the server has ended the session. @throws OpsError `failed`: somebody else may work */
  assertNotLost(): void {
    if (this.#session.isLost) throw this.#lost();
  }

  /**
   * The lock lives exactly as long as its backend: one that still answers holds it.
   * @throws OpsError `failed` when it is gone, and somebody else may work
   */
  async assertHeld(): Promise<void> {
    let pid: number | undefined;
    try {
      pid = await this.#pid();
    } catch (error) {
      if (error instanceof OpsError || error instanceof NoAnswer) throw this.#connection.explain(error);
    }
    if (pid !== this.#backend) throw this.#lost();
  }

  #lost(): OpsError {
    return new OpsError({
      code: "failed",
      engine: "postgres",
      message: `PostgreSQL at ${this.#connection.where.address} ended the connection that held the migration lock; nothing else was run`,
      hint: "run the command again: it goes on where this one stopped",
    });
  }

  async #pid(): Promise<number> {
    return (await this.#raw<{ pid: number }>("SELECT pg_backend_pid() AS pid"))[0]!.pid;
  }

  /**
   * Runs `work` on another session and asks the server meanwhile whether it is still there, and whom that session waits for.
   * @param waitMs limit of one wait for a lock, which must not be over before somebody has looked; 0: none
   * @param onWait called with those for whom it waits, each time that it waits
   * @throws NoAnswer when the server does not answer any more: it, or the network, stands still
   */
  async watch<T>(
    backend: number,
    waitMs: number,
    work: () => Promise<T>,
    onWait: (blockers: readonly Holder[]) => void = () => {},
  ): Promise<T> {
    const everyMs = waitMs === 0 ? WATCH_MS : Math.min(WATCH_MS, Math.max(MIN_WATCH_MS, waitMs / 2));
    const { promise: silent, reject } = Promise.withResolvers<never>();
    let timer: NodeJS.Timeout;
    let isOver = false;
    const look = async () => {
      try {
        const blockers = await blockersOf(this.#raw.bind(this) as Ask, backend);
        if (blockers.length > 0) onWait(blockers);
      } catch (error) {
        // a lost lock is found out before the next file; it does no harm to the one that runs
        if (error instanceof NoAnswer) reject(error);
        return;
      }
      if (!isOver) timer = setTimeout(look, everyMs);
    };
    timer = setTimeout(look, Math.min(everyMs, FIRST_WATCH_MS));
    try {
      const running = work();
      running.catch(() => {});
      return await Promise.race([running, silent]);
    } finally {
      isOver = true;
      clearTimeout(timer);
    }
  }

  /** Ends the session, and with it the lock also when nobody answers any more. */
  end(): void {
    this.#session.release(true);
  }
}
