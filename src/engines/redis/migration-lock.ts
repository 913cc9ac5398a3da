/**
 * The lock of a server's migrations is the name of a connection: it dies with its holder, no eviction reaches it, and it needs no clock.
 *
 * Protocol: name the connection, then list all of them. Nobody else has such a name: the lock is there. Otherwise the one with the larger
 * id takes its name off and waits, and the smaller one keeps it and waits until the others are gone. Of two that claim, the server serves one
 * first, and the later one sees it: two never pass.
 */
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import type { Call } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { RedisConnection } from "./connect.ts";
import { RedisRefusal } from "./errors.ts";
import type { RunnerSession } from "./migration-session.ts";

/** Settings belong to the whole server, so there is one lock for all its databases. */
const SCOPE = "opsctl-hold-migrations";
/** A list of connections is long where there are many: who waits long asks less often. */
const FIRST_POLL_MS = 50;
const LAST_POLL_MS = 1_000;
const MIN_ANSWER_MS = 10_000;
const NOTICE_MS = 10_000;
/** A holder says PING when it has nothing else to say; s. */
const SILENT_S = 5;

interface Client {
  id: number;
  name: string;
  address: string;
  /** s */
  age: number;
  /** s since its last command */
  idle: number;
}

/**
 * Runs `work` on a connection that holds the lock; it is closed afterwards.
 * @throws OpsError `locked` after `waitMs`; `auth` when this user may not name or list connections
 */
export async function withLock<T>(
  call: Call,
  connection: RedisConnection,
  waitMs: number,
  work: (session: RunnerSession) => Promise<T>,
): Promise<T> {
  const session = await connection.runner(call);
  try {
    await acquire(call, session, waitMs).catch((error: unknown) => {
      throw error instanceof RedisRefusal ? explained(error) : error;
    });
    return await work(session);
  } finally {
    session.close();
  }
}

async function acquire(call: Call, session: RunnerSession, waitMs: number): Promise<void> {
  const deadline = performance.now() + waitMs;
  // a holder's slow command keeps the server from answering
  const options = { words: 2, timeoutMs: Math.max(waitMs, MIN_ANSWER_MS) };
  const id = Number(await session.run(call, ["CLIENT", "ID"], options));
  const claim = nameOf("claim");
  let name = "";
  const rename = async (to: string) => {
    await session.run(call, ["CLIENT", "SETNAME", to], options);
    name = to;
  };
  let pollMs = FIRST_POLL_MS;
  let noticedAt = Number.NEGATIVE_INFINITY;
  for (;;) {
    const clients = parseClients(String(await session.run(call, ["CLIENT", "LIST"], options)));
    if (!clients.some((client) => client.id === id && client.name === name)) throw behindProxy(session);
    const others = clients.filter((client) => client.id !== id && isHolder(client));
    if (others.length === 0) {
      if (name === claim) break;
      // what was seen before the claim says nothing about those who claimed meanwhile
      await rename(claim);
      continue;
    }
    if (name === claim && others.some((other) => other.id < id)) await rename("");
    const now = performance.now();
    if (now >= deadline) throw lockedError(session, others);
    if (now - noticedAt >= NOTICE_MS) {
      call.log("WARNING", `${sentence(session, others)}; waiting`);
      noticedAt = now;
    }
    await sleep(Math.min(pollMs, deadline - now));
    pollMs = Math.min(LAST_POLL_MS, pollMs * 1.2);
  }
  await rename(nameOf("work"));
  // closed last when clients use too much memory; not every user may ask for it, and older servers do not know it
  await session.batch(call, [["CLIENT", "NO-EVICT", "ON"]]);
}

/** Names allow no blanks. */
function nameOf(state: string): string {
  return `${SCOPE}:${state}:${process.pid}@${hostname()
    .replace(/[^!-~]/g, "-")
    .slice(0, 64)}`;
}

function isHolder({ name }: Client): boolean {
  return name === SCOPE || name.startsWith(`${SCOPE}:`);
}

function parseClients(list: string): Client[] {
  return list
    .split("\n")
    .filter((line) => line.startsWith("id="))
    .map((line) => {
      const field = (name: string) => new RegExp(`(?:^| )${name}=(\\S*)`).exec(line)?.[1] ?? "";
      return {
        id: Number(field("id")),
        name: field("name"),
        address: field("addr"),
        age: Number(field("age")),
        idle: Number(field("idle")),
      };
    });
}

/** A proxy hands commands to connections of its own: they have another id or another name than this one was given. */
function behindProxy({ at }: RunnerSession): OpsError {
  return new OpsError({
    code: "failed",
    engine: "redis",
    message: `Redis at ${at} does not list this connection by its id and name: behind a proxy the lock of a migration protects nothing`,
    hint: "name the server itself in REDIS_URL for init and migrate",
  });
}

/** The one that works, if any does; else the first that waits for the rest to go. */
function holderOf(others: readonly Client[]): Client {
  const working = others.find(({ name }) => name.startsWith(`${SCOPE}:work:`));
  return working ?? others.reduce((first, other) => (other.id < first.id ? other : first));
}

function sentence(session: RunnerSession, others: readonly Client[]): string {
  const { id, name, address, age, idle } = holderOf(others);
  const process = /:(\d+)@(\S+)$/.exec(name);
  const who = process ? `, process ${process[1]} on ${process[2]}` : "";
  const silent = idle >= SILENT_S ? `, silent for ${idle} s` : "";
  return `another migration runs on Redis at ${session.at}: connection ${id} (${address}${who}, for ${age} s${silent}) holds the lock`;
}

function lockedError(session: RunnerSession, others: readonly Client[]): OpsError {
  return new OpsError({
    code: "locked",
    engine: "redis",
    message: sentence(session, others),
    hint: `wait for it, or end it: CLIENT KILL ID ${holderOf(others).id}`,
  });
}

function explained(error: RedisRefusal): OpsError {
  if (error.reply !== "NOPERM" && !error.unknownCommand) return error;
  return new OpsError({
    code: error.code,
    engine: "redis",
    message: error.message,
    hint: "the lock of a migration is the name of a connection: allow CLIENT ID, SETNAME and LIST (ACL SETUSER <user> +client|id +client|setname +client|list)",
  });
}
