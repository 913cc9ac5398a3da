/** One client of ioredis: opened and greeted, asked, ended. */
import type { Redis } from "ioredis";
import { bounded } from "../../bounded.ts";
import type { Call } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { Endpoint } from "./endpoint.ts";
import { isReply, redisError } from "./errors.ts";

/** The longest time that a timer of Node measures, ms: 24 days. */
const NO_LIMIT_MS = 2 ** 31 - 1;

/** One word of a command; a Buffer is sent as it is, a string as UTF-8. */
export type Word = string | Buffer;
/** The command's name, then its arguments. */
export type Command = readonly [string, ...Word[]];

export interface SendOptions {
  /** It changes something: without a reply its outcome is unknown. */
  writes?: boolean;
  /** How many of the command's words errors name: 2 for `CONFIG SET`. */
  words?: number;
  /** ms; null: as long as it takes. Undefined: the connection's own limit. */
  timeoutMs?: number | null;
  /** The command holds no secret, so that errors may show the server's own words about it. */
  quotes?: boolean;
}

/** Whatever sends commands: the connection that reopens itself, or the one that a runner lives on. Throws OpsError only. */
export interface Commands {
  /** `host:port`, for messages. */
  readonly at: string;
  /** Sends one command and returns its reply as RESP2 gives it (text, number, null, nested arrays). */
  run(call: Call, command: Command, options?: SendOptions): Promise<unknown>;
  /** Sends commands together. Replies come in order, texts as Buffers; in the place of a refused command is its RedisRefusal. */
  batch(call: Call, commands: readonly Command[], options?: SendOptions): Promise<unknown[]>;
}

/**
 * Connects, authenticates and asks for life, all within `connectMs`. Whoever made the client discards it when this fails.
 * @throws OpsError
 */
export async function greet(client: Redis, endpoint: Endpoint, connectMs: number, call: Call): Promise<void> {
  const { at, tls } = endpoint;
  let reason: unknown;
  // also the listener that ioredis needs: without one it prints errors, password included
  client.on("error", (error) => {
    reason ??= error;
  });
  const hello = async () => {
    await client.connect();
    await greetings(client, endpoint, call);
  };
  try {
    await bounded(hello(), connectMs);
  } catch (error) {
    // "Connection is closed." is all that connect() says; the reason came as an event
    throw redisError(isReply(error) || error instanceof OpsError ? error : (reason ?? error), { at, tls });
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
  // a server that cannot save refuses even PING with MISCONF, but answers what only reads
  if (alive.status === "rejected" && !/^(NOPERM|MISCONF)/.test(replyOf(alive.reason))) throw alive.reason;
  if (selected.status === "rejected") throw selected.reason;
}

function replyOf(error: unknown): string {
  return error instanceof Error ? error.message : "";
}

/**
 * Sends commands in one write and waits for all replies; in the place of a refused command is its RedisRefusal.
 * @throws OpsError when a reply is missing or the call is aborted: then the client is of no use, because later replies would wait
 * behind the missing one
 */
export async function exchange(
  client: Redis,
  { at, tls }: Endpoint,
  call: Call,
  commands: readonly Command[],
  { writes = false, words = 1, timeoutMs, quotes = false }: SendOptions,
  asBytes: boolean,
): Promise<unknown[]> {
  const attempt = (index: number) => {
    const command = commands[index]!.slice(0, words).join(" ");
    return { at, tls, command, writes, quotes };
  };
  const { stream } = client as { stream?: { cork(): void; uncork(): void } };
  stream?.cork();
  const replies = commands.map(async ([name, ...args], index) => {
    try {
      return await (asBytes ? client.callBuffer(name, ...args) : client.call(name, ...args));
    } catch (error) {
      if (isReply(error)) return redisError(error, attempt(index));
      throw error;
    }
  });
  stream?.uncork();
  try {
    return await bounded(Promise.all(replies), Math.min(timeoutMs ?? NO_LIMIT_MS, NO_LIMIT_MS), call.signal);
  } catch (error) {
    throw redisError(error, attempt(0));
  }
}

/** Ends a client at once; commands under way fail. */
export function discard(client: Redis): void {
  const { stream } = client as { stream?: { destroyed: boolean; destroy(): void } };
  // where nothing is connected there is nothing to end, and disconnect() would keep the process for 2 s
  if (!stream || stream.destroyed) return;
  client.disconnect();
  // it waits 2 s for the peer's FIN, which a frozen server never sends
  stream.destroy();
}
