import { isIP } from "node:net";
import { Redis, type RedisOptions } from "ioredis";
import { bounded } from "../../bounded.ts";
import { type Call, throwIfAborted } from "../../call.ts";
import type { Limits, Target } from "../../config/targets.ts";
import { OpsError, usageError } from "../../errors.ts";
import type { Connection } from "../engine.ts";
import { isReply, redisError } from "./errors.ts";

/** What opening takes, out of a target. */
interface Endpoint {
  /** `host:port`, for messages. */
  at: string;
  tls: boolean;
  /** AUTH arguments; none: no password is configured. */
  credentials: string[];
  database: number;
  options: RedisOptions;
}

/** Prepares a connection; the first command opens it. @throws OpsError `usage`: a database that is no number */
export function connectRedis(target: Target, limits: Limits): RedisConnection {
  return new RedisConnection(endpointOf(target, limits), limits);
}

/**
 * One connection, opened by the first command and again by the next one after it was lost. A command is sent once:
 * ioredis replays by default (one INCR, three lost replies, a counter of 4).
 */
export class RedisConnection implements Connection {
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

  /**
   * Sends one command and returns its reply as RESP2 gives it (text, number, null, nested arrays). `words` is how many of
   * the command's words errors name: 2 for `CONFIG SET`.
   * @throws OpsError `unreachable`, `auth` or `failed`; `unknown_outcome` when a command that `writes` got no reply;
   * the call's own error when it is aborted. Comes back within connectMs + queryMs.
   */
  async run(
    call: Call,
    command: readonly string[],
    { writes = false, words = 1 }: { writes?: boolean; words?: number } = {},
  ): Promise<unknown> {
    throwIfAborted(call);
    const { at, tls } = this.#endpoint;
    const client = await bounded(this.#open(call), this.#limits.connectMs + 250, call.signal).catch(
      (error) => {
        throw redisError(error, { at, tls });
      },
    );
    const [name, ...args] = command as [string, ...string[]];
    const sent = client.call(name, ...args);
    try {
      return await bounded(sent, this.#limits.queryMs, call.signal);
    } catch (error) {
      const failure = redisError(error, { at, tls, command: command.slice(0, words).join(" "), writes });
      // without a reply the connection is of no use: later replies would wait behind the missing one
      if (!isReply(error)) this.#discard(client);
      throw failure;
    }
  }

  /** Ends the connection at once; commands under way fail. Never waits. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#client) this.#discard(this.#client);
  }

  #open(call: Call): Promise<Redis> {
    if (this.#opening) return this.#opening;
    if (this.#closed) {
      const message = `the connection to Redis at ${this.at} is closed`;
      return Promise.reject(new OpsError({ code: "failed", message, engine: "redis" }));
    }
    const client = new Redis(this.#endpoint.options);
    this.#client = client;
    this.#opening = this.#greet(client, call).catch((error) => {
      this.#discard(client);
      throw error;
    });
    // whoever waits for it has a deadline of its own and may be gone when it fails
    this.#opening.catch(() => {});
    client.once("close", () => this.#forget(client));
    return this.#opening;
  }

  /** Connects, authenticates and asks for life, all within connectMs. */
  async #greet(client: Redis, call: Call): Promise<Redis> {
    const { at, tls } = this.#endpoint;
    let reason: unknown;
    // also the listener that ioredis needs: without one it prints errors, password included
    client.on("error", (error) => {
      reason ??= error;
    });
    const hello = async () => {
      await client.connect();
      await greetings(client, this.#endpoint, call);
    };
    try {
      await bounded(hello(), this.#limits.connectMs);
      return client;
    } catch (error) {
      // "Connection is closed." is all that connect() says; the reason came as an event
      throw redisError(isReply(error) || error instanceof OpsError ? error : (reason ?? error), { at, tls });
    }
  }

  #discard(client: Redis): void {
    this.#forget(client);
    const { stream } = client as { stream?: { destroyed: boolean; destroy(): void } };
    // where nothing is connected there is nothing to end, and disconnect() would keep the process for 2 s
    if (!stream || stream.destroyed) return;
    client.disconnect();
    // it waits 2 s for the peer's FIN, which a frozen server never sends
    stream.destroy();
  }

  #forget(client: Redis): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    this.#opening = undefined;
  }
}

/**
 * AUTH, SELECT and PING in one round trip. ioredis would do the first two itself, but prints to the console when a
 * password is not needed, and goes on with database 0 when SELECT is refused.
 */
async function greetings(client: Redis, endpoint: Endpoint, call: Call): Promise<void> {
  const { credentials, database, at } = endpoint;
  const auth = credentials.length > 0 ? client.call("AUTH", ...credentials) : undefined;
  const select = database > 0 ? client.call("SELECT", String(database)) : undefined;
  const [authenticated, selected, alive] = await Promise.allSettled([auth, select, client.call("PING")]);
  if (authenticated.status === "rejected") {
    if (!/without any password configured|no password is set/.test(replyOf(authenticated.reason))) {
      throw authenticated.reason;
    }
    call.log("WARNING", `Redis at ${at} asks for no password, but one is configured`);
  }
  if (alive.status === "rejected" && !replyOf(alive.reason).startsWith("NOPERM")) throw alive.reason;
  if (selected.status === "rejected") throw selected.reason;
}

function replyOf(error: unknown): string {
  return error instanceof Error ? error.message : "";
}

function endpointOf(target: Target, limits: Limits): Endpoint {
  const url = new URL(target.url);
  const tls = url.protocol === "rediss:";
  const host = url.hostname.replace(/^\[|\]$/g, "") || "127.0.0.1";
  const port = Number(url.port || 6379);
  const username = decodeURIComponent(url.username);
  const password = decodeURIComponent(url.password);
  return {
    at: `${url.hostname}:${port}`,
    tls,
    credentials: username !== "" ? [username, password] : password !== "" ? [password] : [],
    database: databaseNumber(target.database ?? ""),
    options: {
      host,
      port,
      // verified against the system's authorities and NODE_EXTRA_CA_CERTS; server names must not be addresses
      tls: tls ? { servername: isIP(host) ? "" : host } : undefined,
      connectTimeout: limits.connectMs,
      protocol: 2,
      lazyConnect: true,
      enableOfflineQueue: false,
      enableReadyCheck: false,
      disableClientInfo: true,
      autoResendUnfulfilledCommands: false,
      retryStrategy: null,
      maxRetriesPerRequest: 0,
    },
  };
}

function databaseNumber(text: string): number {
  if (text === "") return 0;
  if (!/^\d{1,5}$/.test(text)) {
    throw usageError("REDIS_URL names no database number after the port", "for example redis://host:6379/0");
  }
  return Number(text);
}
