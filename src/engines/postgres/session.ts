import { connect as connectSocket } from "node:net";
import pg, { type PoolClient } from "pg";
import { abortError, type Call } from "../../call.ts";
import { NoAnswer } from "./errors.ts";

/** Time that a request to cancel may take. */
const CANCEL_MS = 500;

/** Bytes of one message of copied rows. */
const COPY_CHUNK = 1 << 18;

/** Where a request to cancel goes. */
export interface Server {
  host: string;
  port: number;
  hasTls: boolean;
}

export type Row = Record<string, unknown>;

export interface QueryOptions {
  /** Bounds the wait for the answer, ms; null: nothing does. Default: limits.queryMs. */
  timeoutMs?: number | null;
  /** Also when the call was aborted: for what must be written down before the end. */
  outlivesAbort?: boolean;
}

export interface RunOptions {
  /** The text must be one statement: the server refuses more. */
  isSingle?: boolean;
  /** Rows for `COPY … FROM STDIN`. */
  copiedRows?: string;
  /** Called after each statement that is done. */
  onDone?: () => void;
}

/** One connection in use. Throws the driver's errors: the scope that lent it rebuilds them. */
export interface Session {
  /** Process id of the server's backend, as the server told it. */
  readonly pid: number;
  /** Without `params` the text may hold several statements. */
  query<R extends object = Row>(
    text: string,
    params?: readonly unknown[],
    options?: QueryOptions,
  ): Promise<R[]>;
}

export interface LentSession extends Session {
  /** The connection has ended. */
  readonly isLost: boolean;
  /** Runs a text of any length for as long as it takes; rows that it returns are dropped. */
  run(text: string, options?: RunOptions): Promise<void>;
  /** Calls `listener` for what the server says besides (RAISE NOTICE and the like), until the session is given back. */
  onNotice(listener: (state: string, message: string) => void): void;
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

  get isLost(): boolean {
    return this.#isLost;
  }

  readonly #onLost = () => {
    this.#isLost = true;
  };

  async query<R extends object = Row>(
    text: string,
    params?: readonly unknown[],
    { timeoutMs = this.#timeoutMs, outlivesAbort = false }: QueryOptions = {},
  ): Promise<R[]> {
    const answer = this.#tracked(this.#client.query<R>(text, params as unknown[] | undefined));
    const call = outlivesAbort ? undefined : this.#call;
    const result: { rows: R[] } | { rows: R[] }[] = await untilAborted(answer, call, timeoutMs ?? undefined);
    return Array.isArray(result) ? result.at(-1)!.rows : result.rows;
  }

  async run(text: string, { isSingle, copiedRows, onDone }: RunOptions = {}): Promise<void> {
    const config = { text, queryMode: isSingle && copiedRows === undefined ? "extended" : undefined };
    const query = copiedRows === undefined ? new pg.Query(config) : new CopyQuery(config, copiedRows);
    // with a listener the driver keeps no rows
    query.on("row", () => {});
    const ended = new Promise<void>((resolve, reject) => {
      query.once("end", () => resolve());
      query.once("error", reject);
    });
    if (onDone) this.#client.connection.on("commandComplete", onDone);
    try {
      this.#client.query(query);
      await untilAborted(this.#tracked(ended), this.#call);
    } finally {
      if (onDone) this.#client.connection.off("commandComplete", onDone);
    }
  }

  onNotice(listener: (state: string, message: string) => void): void {
    this.#client.on("notice", ({ code, message }) => listener(code ?? "", message ?? ""));
  }

  #tracked<T>(answer: Promise<T>): Promise<T> {
    this.#isRunning = true;
    return answer.finally(() => {
      this.#isRunning = false;
    });
  }

  release(broken: boolean): void {
    const isStuck = broken && this.#isRunning && !this.#isLost;
    if (isStuck) this.#cancel();
    if (!broken) {
      this.#client.removeAllListeners("notice");
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

/** Sends its rows when the server asks for them; the rest of a query is as ever. */
class CopyQuery extends pg.Query {
  readonly #rows: string;

  constructor(config: { text: string }, rows: string) {
    super(config);
    this.#rows = rows;
  }

  handleCopyInResponse(connection: { sendCopyFromChunk(chunk: Buffer): void; endCopyFrom(): void }): void {
    const bytes = Buffer.from(this.#rows);
    for (let at = 0; at < bytes.length; at += COPY_CHUNK) {
      connection.sendCopyFromChunk(bytes.subarray(at, at + COPY_CHUNK));
    }
    connection.endCopyFrom();
  }
}

/** Waits for `promise`, for at most `ms`, and no longer than the call lives. */
export async function untilAborted<T>(
  promise: Promise<T>,
  call: Pick<Call, "signal"> | undefined,
  ms?: number,
): Promise<T> {
  const signal = call?.signal;
  const { promise: stopped, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(abortError(signal?.reason));
  // after a look at the sockets: when it was this process that stood still, the answer is there
  const onTime = () => setImmediate(() => reject(new NoAnswer()));
  const timer = ms === undefined ? undefined : setTimeout(onTime, ms);
  if (signal?.aborted) onAbort();
  else signal?.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([promise, stopped]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
    // when it was not waited for, its failure is no news
    promise.catch(() => {});
  }
}
