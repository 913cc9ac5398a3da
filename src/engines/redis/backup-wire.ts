/** The bytes of a connection: for what a client library reads into memory whole, or cannot read at all. */
import type { Socket } from "node:net";
import { Redis } from "ioredis";
import { bounded } from "../../bounded.ts";
import { abortError, type Call, throwIfAborted } from "../../call.ts";
import type { Limits } from "../../config/targets.ts";
import { type Command, discard, exchange, greet } from "./client.ts";
import type { Endpoint } from "./endpoint.ts";
import { type Attempt, RedisRefusal, redisError } from "./errors.ts";

/** TCP probes after this much silence find a peer that is gone, ms. */
const TCP_KEEP_ALIVE_MS = 10_000;

/** ioredis opens the connection and logs in, with its TLS and its errors; then the stream is taken from it. */
export class Wire {
  readonly #client: Redis;
  readonly #stream: Socket;
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #attempt: Attempt;
  /** Read and given back. */
  #rest: Buffer = Buffer.alloc(0);

  private constructor(client: Redis, attempt: Attempt) {
    this.#client = client;
    this.#stream = (client as unknown as { stream: Socket }).stream;
    this.#stream.removeAllListeners("data");
    this.#stream.pause();
    this.#chunks = this.#stream[Symbol.asyncIterator]();
    this.#attempt = attempt;
  }

  /**
   * Logs in.
   * @param purpose the command that it is opened for, which errors name
   * @param first commands whose replies are simple; the first of them must not be refused
   * @throws OpsError; RedisRefusal: that command is refused
   */
  static async open(
    endpoint: Endpoint,
    limits: Limits,
    call: Call,
    purpose: string,
    first: readonly Command[] = [],
  ): Promise<Wire> {
    throwIfAborted(call);
    const { at, tls, options } = endpoint;
    const client = new Redis({ ...options, keepAlive: TCP_KEEP_ALIVE_MS });
    try {
      await bounded(greet(client, endpoint, limits.connectMs, call), limits.connectMs + 250, call.signal);
      const asking = { timeoutMs: limits.queryMs, quotes: true };
      const [reply] = await exchange(client, endpoint, call, first, asking, false);
      if (reply instanceof RedisRefusal) throw reply;
      return new Wire(client, { at, tls, command: purpose, quotes: true });
    } catch (error) {
      discard(client);
      throw redisError(error, { at, tls });
    }
  }

  send(bytes: Buffer): void {
    this.#stream.write(bytes);
  }

  /** What comes next, at least one byte. While nobody asks, the server has to wait. */
  async next(): Promise<Buffer> {
    if (this.#rest.length > 0) {
      const rest = this.#rest;
      this.#rest = Buffer.alloc(0);
      return rest;
    }
    const { done, value } = await this.#chunks.next();
    if (done) throw new Error("the connection was closed");
    return value;
  }

  /** Comes again with `next`. */
  giveBack(bytes: Buffer): void {
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([bytes, this.#rest]);
  }

  /** Runs what uses the wire: an aborted call ends the connection, and so does a failure. @throws OpsError */
  async using<T>(call: Call, work: () => Promise<T>): Promise<T> {
    const onAbort = () => this.close();
    if (call.signal.aborted) onAbort();
    call.signal.addEventListener("abort", onAbort, { once: true });
    try {
      return await work();
    } catch (error) {
      this.close();
      if (call.signal.aborted) throw abortError(call.signal.reason);
      throw redisError(error, this.#attempt);
    } finally {
      call.signal.removeEventListener("abort", onAbort);
    }
  }

  /** Ends the connection at once, and with it the server's work for it. */
  close(): void {
    discard(this.#client);
  }
}

/** A refusal as `redisError` understands it. @param line without the `-` */
export function replyError(line: string): Error {
  const error = new Error(line);
  error.name = "ReplyError";
  return error;
}

/** What was said is no Redis, as `redisError` understands it. */
export function foreignReply(): Error {
  return new Error("Unknown RESP type");
}
