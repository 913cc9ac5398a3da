import type { Session, SessionMode, Transaction } from "neo4j-driver";
import { bounded, NoAnswer } from "../../bounded.ts";
import type { Call } from "../../call.ts";
import type { Limits, Target } from "../../config/targets.ts";
import { OpsError } from "../../errors.ts";
import type { Connection } from "../engine.ts";
import { neo4jError, type Place, unknownOutcome } from "./errors.ts";
import {
  drained,
  type Effects,
  isAtWork,
  type LongTransaction,
  type Patience,
  watched,
  withinLimit,
} from "./patience.ts";
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
  /** As `write` with one query, in one round trip. */
  save<T>(call: Call, query: string, params: Params): Promise<T[]>;
  /** One statement in a transaction of its own (schema), not repeated after a lost connection. */
  command(call: Call, query: string, patience?: Patience): Promise<Effects>;
  /** Statements of a migration in one transaction. It runs again after a deadlock, not (unless repeatable) after a lost connection. */
  transact(
    call: Call,
    patience: Patience,
    work: (transaction: LongTransaction) => Promise<void>,
  ): Promise<void>;
  /**
   * A second way to the same server, for what must get through while this one is busy, or breaks. Closed together with this one.
   */
  aside(): Neo4jConnection;
  /** Rows as they come, with back-pressure; each may take the query limit. */
  stream<T>(call: Call, query: string, params?: Params): AsyncGenerator<T>;
  /** `5.26.30`, from the server's greeting; costs one trivial query. */
  serverVersion(call: Call): Promise<string>;
}

/** Neo4j's word for: as long as it takes. */
const NO_TIMEOUT = 0;

/** Opens nothing: the first query does, and only then is the driver loaded. */
export function connectNeo4j(target: Target, limits: Limits): Neo4jConnection {
  return new LazyConnection(target, limits);
}

class LazyConnection implements Neo4jConnection {
  readonly #target: Target;
  readonly #limits: Limits;
  readonly #pool: DriverPool;
  #aside: LazyConnection | undefined;
  #numbered = 0;

  constructor(target: Target, limits: Limits) {
    this.#target = target;
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
      const result = await work(runIn(transaction));
      phase.outcomeUnknown = true;
      await transaction.commit();
      return result;
    });
  }

  save<T>(call: Call, query: string, params: Params): Promise<T[]> {
    return this.#attempt(call, "WRITE", async (session, phase) => {
      phase.outcomeUnknown = true;
      const result = await session.run(query, params, { timeout: phase.timeout });
      return result.records.map((record) => record.toObject() as T);
    });
  }

  command(call: Call, query: string, patience?: Patience): Promise<Effects> {
    const work = (session: Session, phase: Phase) => {
      patience?.beforeSending?.();
      phase.outcomeUnknown = phase.once = true;
      const timeout = patience ? (patience.statementMs ?? NO_TIMEOUT) : phase.timeout;
      return drained(session.run(query, {}, { timeout, metadata: phase.metadata }));
    };
    return this.#attempt(call, "WRITE", work, patience);
  }

  transact(
    call: Call,
    patience: Patience,
    work: (transaction: LongTransaction) => Promise<void>,
  ): Promise<void> {
    const attempt = async (session: Session, phase: Phase) => {
      phase.once = !patience.isRepeatable;
      // a statement's limit is kept here: the server knows one for the whole transaction only
      const transaction = session.beginTransaction({ timeout: NO_TIMEOUT, metadata: phase.metadata });
      const limited = <T>(answer: Promise<T>) => withinLimit(answer, patience, this.place, call.signal);
      const run = runIn(transaction);
      await work({
        execute: (query) => limited(drained(transaction.run(query))),
        run: (query, params) => limited(run(query, params)),
      });
      phase.outcomeUnknown = true;
      await transaction.commit();
    };
    return this.#attempt(call, "WRITE", attempt, patience);
  }

  aside(): Neo4jConnection {
    const limits = { ...this.#limits, queryMs: 2 * this.#limits.connectMs };
    this.#aside ??= new LazyConnection(this.#target, limits);
    return this.#aside;
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

  async close(): Promise<void> {
    await Promise.all([this.#aside?.close(), this.#pool.close()]);
  }

  /**
   * Runs `work` on a session, again where that helps, within the limit for queries (connecting comes on top); with `patience` only what
   * is begun again must be within that limit.
   */
  async #attempt<T>(
    call: Call,
    mode: SessionMode,
    work: (session: Session, phase: Phase) => Promise<T>,
    patience?: Patience,
  ): Promise<T> {
    const phase: Phase = { outcomeUnknown: false, once: false, timeout: 0, losses: 0, tries: 0 };
    this.#numbered += 1;
    const id = `${patience?.runner}/${this.#numbered}`;
    if (patience) phase.metadata = { opsctl_runner: patience.runner, opsctl_work: id };
    let deadline: number | undefined;
    for (;;) {
      const lent = await this.#lend(call, mode, phase);
      deadline ??= performance.now() + this.#limits.queryMs;
      const left = Math.max(1, deadline - performance.now());
      // a little less than we wait, so that a slow query is ended and named by the server
      phase.timeout = Math.max(1, Math.floor(left * 0.95));
      try {
        const working = work(lent.session, phase);
        const result = patience
          ? await watched(working, call.signal, () => isAtWork(call, this.aside(), id))
          : await bounded(working, left, call.signal);
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

function runIn(transaction: Transaction): Run {
  return async <R>(query: string, params: Params = {}) => {
    const result = await transaction.run(query, params);
    return result.records.map((record) => record.toObject() as R);
  };
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return bounded(new Promise((resolve) => setTimeout(resolve, ms)), ms + 1_000, signal);
}
