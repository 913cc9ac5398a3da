import type { Session, SessionMode } from "neo4j-driver";
import { bounded, NoAnswer } from "../../bounded.ts";
import type { Call } from "../../call.ts";
import type { Limits, Target } from "../../config/targets.ts";
import { OpsError } from "../../errors.ts";
import type { Connection } from "../engine.ts";
import { neo4jError, type Place, unknownOutcome } from "./errors.ts";
import { DriverPool, type Lent } from "./pool.ts";
import { type Phase, retryDelay } from "./retry.ts";

/**
 * Values of a query: whole numbers go as BigInt, because the driver sends every JavaScript number as a float.
 */
export type Params = Record<string, unknown>;

/** One query of a transaction; rows are plain objects, integers numbers. */
export type Run = <T = Record<string, unknown>>(query: string, params?: Params) => Promise<T[]>;

/** Every method throws OpsError only, within the limits: connecting first, then the query. */
export interface Neo4jConnection extends Connection {
  readonly place: Place;
  /** One reading query, retried while the limit allows. */
  read<T>(call: Call, query: string, params?: Params): Promise<T[]>;
  /**
   * Work in one transaction. It runs again after a deadlock or a lost connection, so it must be idempotent.
   */
  write<T>(call: Call, work: (run: Run) => Promise<T>): Promise<T>;
  /** One statement in a transaction of its own (schema), not repeated after a lost connection. */
  command(call: Call, query: string): Promise<void>;
  /** Rows as they come, with back-pressure; each may take the query limit. */
  stream<T>(call: Call, query: string, params?: Params): AsyncGenerator<T>;
  /** `5.26.30`, from the server's greeting; costs one trivial query. */
  serverVersion(call: Call): Promise<string>;
}

/** Opens nothing: the first query does, and only then is the driver loaded. */
export function connectNeo4j(target: Target, limits: Limits): Neo4jConnection {
  return new LazyConnection(target, limits);
}

class LazyConnection implements Neo4jConnection {
  readonly #pool: DriverPool;
  readonly #limits: Limits;

  constructor(target: Target, limits: Limits) {
    this.#limits = limits;
    this.#pool = new DriverPool(target, limits);
  }

  get place(): Place {
    return this.#pool.place;
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
    const lent = await this.#pool.lend(call, "READ");
    let done = false;
    try {
      const rows = lent.session.run(query, params)[Symbol.asyncIterator]();
      for (;;) {
        const next = await bounded(rows.next(), this.#limits.queryMs, call.signal);
        if (next.done) break;
        yield next.value.toObject() as T;
      }
      done = true;
    } catch (error) {
      throw neo4jError(error, { place: this.place, outcomeUnknown: false });
    } finally {
      if (done) await this.#pool.release(lent);
      else this.#pool.abandon(lent);
    }
  }

  close(): Promise<void> {
    return this.#pool.close();
  }

  /**
   * Runs `work` on a session, again where that helps, within the limit for queries (connecting comes on top).
   */
  async #attempt<T>(
    call: Call,
    mode: SessionMode,
    work: (session: Session, phase: Phase) => Promise<T>,
  ): Promise<T> {
    const phase: Phase = { outcomeUnknown: false, once: false, timeout: 0, losses: 0, tries: 0 };
    let deadline: number | undefined;
    for (;;) {
      const lent = await this.#lend(call, mode, phase);
      deadline ??= performance.now() + this.#limits.queryMs;
      const left = Math.max(1, deadline - performance.now());
      // a little less than we wait, so that a slow query is ended and named by the server
      phase.timeout = Math.max(1, Math.floor(left * 0.95));
      try {
        const result = await bounded(work(lent.session, phase), left, call.signal);
        this.#pool.answered();
        await this.#pool.release(lent);
        return result;
      } catch (error) {
        // a silent server gets no chance to delay the session's end, an answering one is asked to stop
        if (error instanceof NoAnswer) this.#pool.discard(lent.driver);
        else this.#pool.abandon(lent);
        const delay = retryDelay(error, phase, deadline);
        if (delay === undefined) throw neo4jError(error, { place: this.place, ...phase });
        call.log("DEBUG", "Neo4j: trying again", { tries: phase.tries, losses: phase.losses });
        await pause(delay, call.signal);
      }
    }
  }

  /** After a commit whose answer was lost, not getting through again leaves its outcome unknown. */
  async #lend(call: Call, mode: SessionMode, phase: Phase): Promise<Lent> {
    try {
      return await this.#pool.lend(call, mode);
    } catch (error) {
      const isSilent = error instanceof OpsError && error.code === "unreachable";
      throw isSilent && phase.outcomeUnknown ? unknownOutcome(this.place, error) : error;
    }
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return bounded(new Promise((resolve) => setTimeout(resolve, ms)), ms + 1_000, signal);
}
