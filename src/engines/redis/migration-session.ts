/** The connection that a runner of migrations lives on. */
import { Redis } from "ioredis";
import { type Call, throwIfAborted } from "../../call.ts";
import type { Limits } from "../../config/targets.ts";
import { OpsError, toOpsError } from "../../errors.ts";
import { type Command, type Commands, discard, exchange, greet, type SendOptions } from "./client.ts";
import type { Endpoint } from "./endpoint.ts";
import { RedisRefusal } from "./errors.ts";

/** Silence after which the connection says PING: `timeout` closes idle clients, and the least value it can have is 1 s. */
const KEEP_ALIVE_MS = 400;
/** TCP probes after this much silence find a peer that is gone, ms. */
const TCP_KEEP_ALIVE_MS = 10_000;
/** The least time that a command may take: others of this runner, and of other clients, may be slow ones. */
const PATIENCE_MS = 60_000;

/**
 * Opened once and never again. It holds the lock by its name, and whatever the runner changes (statements and history) goes over it: when it
 * ends, for whatever reason, the lock is free and nothing more of this runner can reach the server.
 */
export class RunnerSession implements Commands {
  readonly #client: Redis;
  readonly #endpoint: Endpoint;
  readonly #limits: Limits;
  readonly #keepAlive: NodeJS.Timeout;
  #underway = 0;
  #quietSince = performance.now();
  #isLost: boolean;

  private constructor(client: Redis, endpoint: Endpoint, limits: Limits) {
    this.#client = client;
    this.#endpoint = endpoint;
    this.#limits = limits;
    this.#isLost = client.status !== "ready";
    client.once("close", () => {
      this.#isLost = true;
    });
    this.#keepAlive = setInterval(() => this.#sayPing(), KEEP_ALIVE_MS / 2).unref();
  }

  /** @throws OpsError `unreachable`, `auth` or `failed` */
  static async open(endpoint: Endpoint, limits: Limits, call: Call): Promise<RunnerSession> {
    throwIfAborted(call);
    const client = new Redis({ ...endpoint.options, keepAlive: TCP_KEEP_ALIVE_MS });
    try {
      await greet(client, endpoint, limits.connectMs, call);
    } catch (error) {
      discard(client);
      throw error;
    }
    return new RunnerSession(client, endpoint, limits);
  }

  get at(): string {
    return this.#endpoint.at;
  }

  /** @throws OpsError as `RedisConnection.run`; `locked` when the connection ended before the command was sent */
  async run(call: Call, command: Command, options: SendOptions = {}): Promise<unknown> {
    const [reply] = await this.#send(call, [command], options, false);
    if (reply instanceof RedisRefusal) throw reply;
    return reply;
  }

  batch(call: Call, commands: readonly Command[], options: SendOptions = {}): Promise<unknown[]> {
    return this.#send(call, commands, options, true);
  }

  /** Ends the connection at once, and with it the lock. */
  close(): void {
    this.#isLost = true;
    clearInterval(this.#keepAlive);
    discard(this.#client);
  }

  async #send(
    call: Call,
    commands: readonly Command[],
    options: SendOptions,
    asBytes: boolean,
  ): Promise<unknown[]> {
    throwIfAborted(call);
    if (this.#isLost) throw await this.#lockLost(call);
    const { timeoutMs = Math.max(this.#limits.queryMs, PATIENCE_MS) } = options;
    this.#underway += 1;
    try {
      return await exchange(this.#client, this.#endpoint, call, commands, { ...options, timeoutMs }, asBytes);
    } catch (error) {
      this.close();
      // a change that was sent and not answered has an unknown outcome: this one was not sent
      const wasSent = !options.writes || toOpsError(error).code !== "unreachable";
      throw wasSent ? error : await this.#lockLost(call);
    } finally {
      this.#underway -= 1;
      this.#quietSince = performance.now();
    }
  }

  #sayPing(): void {
    if (this.#underway > 0 || this.#isLost || performance.now() - this.#quietSince < KEEP_ALIVE_MS) return;
    this.#quietSince = performance.now();
    // a connection that is gone is found out by the next command
    this.#client.call("PING").catch(() => {});
  }

  /** Why the connection ended: the server is away, or the lock is free for others. */
  async #lockLost(call: Call): Promise<OpsError> {
    try {
      (await RunnerSession.open(this.#endpoint, this.#limits, call)).close();
    } catch (error) {
      return toOpsError(error);
    }
    return new OpsError({
      code: "locked",
      message: `Redis at ${this.at} has ended the connection that held the lock of this migration: another runner may work now`,
      hint: "opsctl migrate status redis; the same command goes on where this one stopped",
      engine: "redis",
    });
  }
}
