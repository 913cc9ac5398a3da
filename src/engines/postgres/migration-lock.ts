import { setTimeout as delay } from "node:timers/promises";
import { type Call, throwIfAborted } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { PostgresConnection } from "./connect.ts";
import { sqlState } from "./errors.ts";
import { type Ask, ensureHistory } from "./migration-history.ts";
import { describeHolder, endHint, lockHolder } from "./migration-holders.ts";
import { Keeper } from "./migration-keeper.ts";
import type { LentSession } from "./session.ts";

type Key = readonly [number, number];

/** "opsc", "migr": the two halves of the advisory lock's key. It belongs to one database. */
const LOCK: Key = [0x6f707363, 0x6d696772];
/**
 * "opsc", "work": held by the session that runs the files. When its client is killed, the server frees the lock at once but goes on with the
 * statement: who comes next waits for that one too.
 */
export const WORK: Key = [0x6f707363, 0x776f726b];
const POLL_MS = 200;
/** How often the log says who is waited for. */
const REPORT_MS = 10_000;
/** Left of a call's time to ask who holds the lock. */
const RESERVE_MS = 500;

/** A server notices within a second that its client was killed, instead of when the statement ends (PostgreSQL 14 and newer). */
const CHECK_CLIENT = "client_connection_check_interval";
const KEEPALIVE =
  "SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3";

/** What the holder of the lock works with. */
export interface Held {
  keeper: Keeper;
  /** Runs the files. */
  session: LentSession;
  /** Process id of the backend behind `session`, which a pooler's greeting does not tell. */
  pid: number;
  /** The history's table with its schema. */
  table: string;
  /** Statements that give the session the settings that every file begins with. */
  reset: string;
  /** Nothing has changed them since. */
  isFresh: boolean;
}

/** Everything that a file may leave behind in its session. Locks of the session stay: ours is among them. */
const RESET =
  "RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; DEALLOCATE ALL; CLOSE ALL; UNLISTEN *; DISCARD TEMP; DISCARD SEQUENCES";

/**
 * Runs `work` while this process holds the lock. It hangs on a session of its own, outside any transaction, and is tried for again and
 * again: a blocking wait keeps a snapshot, which CREATE INDEX CONCURRENTLY waits for.
 * @param server a bare connection
 * @param refusePooler throws when the session's backend is not its own
 * @throws OpsError `locked` after `waitMs`, or what is left of the call
 */
export async function withMigrationLock<T>(
  server: PostgresConnection,
  call: Call,
  waitMs: number,
  refusePooler: (session: LentSession) => Promise<void>,
  work: (held: Held) => Promise<T>,
): Promise<T> {
  const deadline = performance.now() + Math.min(waitMs, call.remainingMs() - RESERVE_MS);
  const own = server.sibling();
  try {
    const guard = await own.lend(call);
    await refusePooler(guard).catch((error) => {
      guard.release(true);
      throw error;
    });
    const keeper = new Keeper(own, guard);
    try {
      const settings = await settingsOf(keeper);
      await keeper.ask(settings);
      await claim(server, call, keeper, keeper.ask, LOCK, deadline);
      await keeper.settle();
      const table = await ensureHistory(keeper.ask);
      const reset = `${RESET}; ${settings}`;
      const result = await withWorker(server, call, { keeper, table, reset }, deadline, work);
      await unlock(call, keeper);
      return result;
    } finally {
      keeper.end();
    }
  } finally {
    await own.close();
  }
}

/** The session that runs the files: the one that has read the history before. It ends afterwards, whatever it was left as. */
async function withWorker<T>(
  server: PostgresConnection,
  call: Call,
  held: Pick<Held, "keeper" | "table" | "reset">,
  deadline: number,
  work: (held: Held) => Promise<T>,
): Promise<T> {
  const session = await server.lend(call);
  try {
    const ask: Ask = (text, params) =>
      session.query<never>(text, params).catch((error) => {
        throw server.explain(error);
      });
    await refuseOldStrings(server, ask);
    const rows = await ask<{ pid: number }>("SELECT pg_backend_pid() AS pid");
    await claim(server, call, held.keeper, ask, WORK, deadline);
    return await work({ ...held, session, pid: rows[0]!.pid, isFresh: false });
  } finally {
    session.release(true);
  }
}

/** SQL that is true while somebody holds the lock: whoever can take it learns that the holder has lost it. */
export const IS_LOCKED = `NOT pg_catalog.pg_try_advisory_xact_lock(${LOCK.join(", ")})`;

/** Not every server and platform can look after its clients. */
async function settingsOf(keeper: Keeper): Promise<string> {
  try {
    const rows = await keeper.ask(
      `SELECT set_config($1, '1s', false) WHERE current_setting($1, true) IS NOT NULL`,
      [CHECK_CLIENT],
    );
    return rows.length === 0 ? KEEPALIVE : `SET ${CHECK_CLIENT} = '1s'; ${KEEPALIVE}`;
  } catch (error) {
    if (sqlState(error) === "22023") return KEEPALIVE;
    throw error;
  }
}

/** Files are split as the SQL standard reads strings; a server that reads them otherwise would find other statements in them. */
async function refuseOldStrings({ where }: PostgresConnection, ask: Ask): Promise<void> {
  const rows = await ask<{ setting: string }>(
    "SELECT current_setting('standard_conforming_strings') AS setting",
  );
  if (rows[0]!.setting === "on") return;
  throw new OpsError({
    code: "failed",
    engine: "postgres",
    message: `standard_conforming_strings is off for the user "${where.user}" in "${where.database}": its files cannot be told into statements`,
    hint: `ALTER ROLE "${where.user}" SET standard_conforming_strings = on, and write backslash escapes as E'…'`,
  });
}

/** Leaves time to ask who holds it before the call is over. */
async function claim(
  server: PostgresConnection,
  call: Call,
  keeper: Keeper,
  ask: Ask,
  key: Key,
  deadline: number,
): Promise<void> {
  const startedAt = performance.now();
  for (let reportAt = startedAt; ; ) {
    const rows = await ask<{ locked: boolean }>("SELECT pg_try_advisory_lock($1, $2) AS locked", key);
    if (rows[0]!.locked) return;
    const now = performance.now();
    if (now + POLL_MS > deadline) throw await lockedError(server, keeper, key, now - startedAt);
    if (now >= reportAt) {
      reportAt += REPORT_MS;
      const { what } = await describe(server, keeper, key);
      call.log("WARNING", `PostgreSQL: waiting for ${what}`);
    }
    await delay(POLL_MS, undefined, { signal: call.signal }).catch(() => throwIfAborted(call));
  }
}

async function describe(
  { where }: PostgresConnection,
  keeper: Keeper,
  key: Key,
): Promise<{ what: string; hint: string }> {
  const holder = await lockHolder(keeper.ask, key);
  const place = `"${where.database}" at ${where.address}`;
  if (!holder) return { what: `a session in ${place} that has just ended`, hint: "run the command again" };
  const who = describeHolder(holder);
  const what =
    key === LOCK
      ? `another migration in ${place}: ${who} holds the lock`
      : `an earlier run in ${place} whose lock is gone: ${who} has not ended yet`;
  return { what, hint: endHint(holder) };
}

async function lockedError(
  server: PostgresConnection,
  keeper: Keeper,
  key: Key,
  waitedMs: number,
): Promise<OpsError> {
  const { what, hint } = await describe(server, keeper, key);
  return new OpsError({
    code: "locked",
    engine: "postgres",
    message: `waited ${Math.round(waitedMs / 1000)} s for ${what}`,
    hint,
  });
}

/** Gives the lock back before the session ends, which tells whether it was ours until now. */
async function unlock(call: Call, keeper: Keeper): Promise<void> {
  const rows = await keeper
    .tell<{ unlocked: boolean }>("SELECT pg_advisory_unlock($1, $2) AS unlocked", LOCK)
    .catch(() => []);
  if (rows[0]?.unlocked) return;
  call.log(
    "WARNING",
    "PostgreSQL: the migration lock was lost before the end; another run may have worked meanwhile",
  );
}
