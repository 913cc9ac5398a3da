import { Redis } from "ioredis";
import { bounded } from "../../bounded.ts";
import { type Call, throwIfAborted } from "../../call.ts";
import type { Limits, Target } from "../../config/targets.ts";
import { OpsError } from "../../errors.ts";
import type { Connection } from "../engine.ts";
import { type Command, type Commands, discard, exchange, greet, type SendOptions } from "./client.ts";
import { type Endpoint, endpointOf } from "./endpoint.ts";
import { RedisRefusal, redisError } from "./errors.ts";
import { RunnerSession } from "./migration-session.ts";

/** Prepares a connection; the first command opens it. @throws OpsError `usage`: a database that is no number */
export function connectRedis(target: Target, limits: Limits): RedisConnection {
  return new RedisConnection(endpointOf(target, limits.connectMs), limits);
}

/**
 * One connection, opened by the first command and again by the next one after it was lost. A command is sent once:
 * ioredis replays by default (one INCR, three lost replies, a counter of 4).
 */
export class RedisConnection implements Connection, Commands {
  readonly #endpoint: Endpoint;
  readonly #limits: Limits;
  #client: Redis | undefined;
  #opening: Promise<Redis> | undefined;
  #closed = false;

  constructor(endpoint: Endpoint, limits: Limits) {
    this.#endpoint = endpoint;
    this.#limits = limits;
  }

  /** `host:port`, for messages. */
  get at(): string {
    return this.#endpoint.at;
  }

  /** The number of the database that commands work in. */
  get database(): number {
    return this.#endpoint.database;
  }

  /**
   * @throws OpsError `unreachable`, `auth` or `failed`; `unknown_outcome` when a command that `writes` got no reply;
   * the call's own error when it is aborted. Comes back within connectMs + queryMs, or `timeoutMs` in place of queryMs.
   */
  async run(call: Call, command: Command, options: SendOptions = {}): Promise<unknown> {
    const [reply] = await this.#send(call, [command], options, false);
    if (reply instanceof RedisRefusal) throw reply;
    return reply;
  }

  batch(call: Call, commands: readonly Command[], options: SendOptions = {}): Promise<unknown[]> {
    return this.#send(call, commands, options, true);
  }

  /** Another connection to the same place, whose whole numbers are text: JavaScript rounds those beyond 2^53. */
  exact(): RedisConnection {
    const options = { ...this.#endpoint.options, stringNumbers: true };
    return new RedisConnection({ ...this.#endpoint, options }, this.#limits);
  }

  /** A connection of its own, for one runner of migrations. @throws OpsError as `run` */
  runner(call: Call): Promise<RunnerSession> {
    return RunnerSession.open(this.#endpoint, this.#limits, call);
  }

  /** Ends the connection at once; commands under way fail. Never waits. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#client) this.#discard(this.#client);
  }

  async #send(
    call: Call,
    commands: readonly Command[],
    options: SendOptions,
    asBytes: boolean,
  ): Promise<unknown[]> {
    throwIfAborted(call);
    const { at, tls } = this.#endpoint;
    const client = await bounded(this.#open(call), this.#limits.connectMs + 250, call.signal).catch(
      (error) => {
        throw redisError(error, { at, tls });
      },
    );
    const limited = { ...options, timeoutMs: options.timeoutMs ?? this.#limits.queryMs };
    try {
      return await exchange(client, this.#endpoint, call, commands, limited, asBytes);
    } catch (error) {
      this.#discard(client);
      throw error;
    }
  }

  #open(call: Call): Promise<Redis> {
    if (this.#opening) return this.#opening;
    if (this.#closed) {
      const message = `the connection to Redis at ${this.at} is closed`;
      return Promise.reject(new OpsError({ code: "failed", message, engine: "redis" }));
    }
    const client = new Redis(this.#endpoint.options);
    this.#client = client;
    this.#opening = greet(client, this.#endpoint, this.#limits.connectMs, call).then(
      () => client,
      (error) => {
        this.#discard(client);
        throw error;
      },
    );
    // whoever waits for it has a deadline of its own and may be gone when it fails
    this.#opening.catch(() => {});
    client.once("close", () => this.#forget(client));
    return this.#opening;
  }

  #discard(client: Redis): void {
    this.#forget(client);
    discard(client);
  }

  #forget(client: Redis): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    this.#opening = undefined;
  }
}
