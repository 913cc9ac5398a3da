import { connect as connectSocket } from "node:net";
import type { PoolClient } from "pg";
import { abortError, type Call } from "../../call.ts";
import { NoAnswer } from "./errors.ts";

/** Time that a request to cancel may take. */
const CANCEL_MS = 500;

/** Where a request to cancel goes. */
export interface Server {
  host: string;
  port: number;
  hasTls: boolean;
}

export type Row = Record<string, unknown>;

/** One connection in use. Throws the driver's errors: the scope that lent it rebuilds them. */
export interface Session {
  /** Process id of the server's backend, as the server told it. */
  readonly pid: number;
  /**
   * `timeoutMs` (default: limits.queryMs) bounds the wait; without `params` the text may hold several
   * statements.
   */
  query<R extends object = Row>(text: string, params?: readonly unknown[], timeoutMs?: number): Promise<R[]>;
}

export interface LentSession extends Session {
  /** Gives the connection back; `broken` ends it, and with it an open transaction. */
  release(broken: boolean): void;
}

/** A client of the pool for the time of one call. */
export class ClientSession implements LentSession {
  readonly pid: number;
  readonly #client: PoolClient;
  readonly #call: Call;
  readonly #timeoutMs: number;
  readonly #server: Server;
  #isLost = false;
  #isRunning = false;

  constructor(client: PoolClient, call: Call, timeoutMs: number, server: Server) {
    this.#client = client;
    this.#call = call;
    this.#timeoutMs = timeoutMs;
    this.#server = server;
    this.pid = (client as unknown as { processID: number }).processID;
    // the pool takes its own listener off a client that it hands out
    client.on("error", this.#onLost);
    client.on("end", this.#onLost);
  }

  readonly #onLost = () => {
    this.#isLost = true;
  };

  async query<R extends object = Row>(
    text: string,
    params?: readonly unknown[],
    timeoutMs = this.#timeoutMs,
  ): Promise<R[]> {
    this.#isRunning = true;
    const answer = this.#client.query<R>(text, params as unknown[] | undefined).finally(() => {
      this.#isRunning = false;
    });
    const result: { rows: R[] } | { rows: R[] }[] = await untilAborted(answer, this.#call, timeoutMs);
    return Array.isArray(result) ? result.at(-1)!.rows : result.rows;
  }

  release(broken: boolean): void {
    const isStuck = broken && this.#isRunning && !this.#isLost;
    if (isStuck) this.#cancel();
    if (!broken) {
      this.#client.off("error", this.#onLost);
      this.#client.off("end", this.#onLost);
    }
    this.#client.release(broken);
  }

  /**
   * Asks the server to end the statement: it does not notice that its client has gone until it has something
   * to send. The request goes over a connection of its own and has no answer; over TLS statement_timeout has
   * to do.
   */
  #cancel(): void {
    const { host, port, hasTls } = this.#server;
    const { secretKey } = this.#client as unknown as { secretKey: unknown };
    if (hasTls || typeof secretKey !== "number") return;
    const request = Buffer.alloc(16);
    [16, 80877102, this.pid, secretKey].forEach((value, index) => {
      request.writeInt32BE(value, index * 4);
    });
    const socket = host.startsWith("/")
      ? connectSocket(`${host}/.s.PGSQL.${port}`)
      : connectSocket(port, host);
    // best effort: a server that cannot be reached has nothing left to cancel for us
    socket.on("error", () => {});
    socket.setTimeout(CANCEL_MS, () => socket.destroy());
    socket.end(request);
  }
}

/** Waits for `promise`, for at most `ms`, and no longer than the call lives. */
export async function untilAborted<T>(promise: Promise<T>, call: Call, ms?: number): Promise<T> {
  const { signal } = call;
  const { promise: stopped, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(abortError(signal.reason));
  const timer = ms === undefined ? undefined : setTimeout(() => reject(new NoAnswer()), ms);
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([promise, stopped]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
    // when it was not waited for, its failure is no news
    promise.catch(() => {});
  }
}
