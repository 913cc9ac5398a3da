import { setTimeout as delay } from "node:timers/promises";
import { type Call, throwIfAborted } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { PostgresConnection } from "./connect.ts";
import type { LentSession, Session } from "./session.ts";

/** "opsc", "migr": the two halves of the advisory lock's key. It belongs to one database. */
const KEY = [0x6f707363, 0x6d696772] as const;
const MAX_WAIT_MS = 60_000;
const POLL_MS = 200;
const RESERVE_MS = 500;

export interface MigrationLock {
  /** @throws OpsError `failed` when the connection that held the lock has gone: somebody else may work now */
  assertHeld(): Promise<void>;
}

/**
 * Runs `work` while this process holds the lock. It hangs on a connection of its own, outside any
 * transaction, and is tried for again and again: a blocking wait keeps a snapshot, and behind a pooler it
 * strands the lock (authentik #23876, tern #146).
 * @throws OpsError `locked` after 60 s, or what is left of the call
 */
export async function withMigrationLock<T>(
  connection: PostgresConnection,
  call: Call,
  work: (lock: MigrationLock) => Promise<T>,
): Promise<T> {
  const keeper = connection.sibling();
  try {
    const session = await keeper.lend(call);
    try {
      await acquire(keeper, session, call);
      return await work({ assertHeld: () => assertHeld(keeper, session) });
    } finally {
      // ends the connection, and with it the lock, also when nobody answers any more
      session.release(true);
    }
  } finally {
    await keeper.close();
  }
}

async function acquire(keeper: PostgresConnection, session: LentSession, call: Call): Promise<void> {
  try {
    await refusePooler(keeper, session);
    await pollForLock(keeper, session, call);
  } catch (error) {
    throw keeper.explain(error);
  }
}

/** Leaves time to ask who holds it before the call is over. */
async function pollForLock(keeper: PostgresConnection, session: LentSession, call: Call): Promise<void> {
  const deadline = performance.now() + Math.min(call.remainingMs() - RESERVE_MS, MAX_WAIT_MS);
  for (;;) {
    const rows = await session.query<{ locked: boolean }>(
      "SELECT pg_try_advisory_lock($1, $2) AS locked",
      KEY,
    );
    if (rows[0]!.locked) return;
    if (performance.now() + POLL_MS > deadline) throw await lockedError(keeper, session);
    await delay(POLL_MS);
    throwIfAborted(call);
  }
}

/**
 * A pooler may hand every statement to another backend: a session's lock would be anybody's (PgBouncer #945,
 * #102).
 */
async function refusePooler({ where }: PostgresConnection, session: Session): Promise<void> {
  const rows = await session.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
  if (rows[0]!.pid === session.pid) return;
  throw new OpsError({
    code: "failed",
    engine: "postgres",
    message: `PostgreSQL at ${where.address} is behind a pooler, where a migration lock protects nothing`,
    hint: "name the server itself in DATABASE_URL for init and migrate",
  });
}

/** The lock lives exactly as long as its session: one that answers still holds it. */
async function assertHeld({ where }: PostgresConnection, session: Session): Promise<void> {
  try {
    await session.query("SELECT 1");
  } catch (error) {
    if (error instanceof OpsError) throw error;
    throw new OpsError({
      code: "failed",
      engine: "postgres",
      message: `PostgreSQL at ${where.address} ended the connection that held the migration lock`,
      hint: "run the command again: it goes on where this one stopped",
    });
  }
}

async function lockedError({ where }: PostgresConnection, session: Session): Promise<OpsError> {
  const rows = await session.query<{ pid: number; application: string | null; seconds: number | null }>(
    `SELECT l.pid, a.application_name AS application,
       extract(epoch FROM now() - a.backend_start)::float8 AS seconds
     FROM pg_locks l JOIN pg_database d ON d.oid = l.database LEFT JOIN pg_stat_activity a ON a.pid = l.pid
     WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND d.datname = current_database()
       AND l.classid = $1::bigint::oid AND l.objid = $2::bigint::oid`,
    KEY,
  );
  const holder = rows[0];
  const who = holder
    ? `backend ${holder.pid} (${holder.application || "unnamed"}, for ${Math.round(holder.seconds ?? 0)} s)`
    : "a session that has just ended";
  return new OpsError({
    code: "locked",
    engine: "postgres",
    message: `another migration runs in "${where.database}" at ${where.address}: ${who} holds the lock`,
    hint: holder
      ? `wait for it, or end it: SELECT pg_terminate_backend(${holder.pid})`
      : "run the command again",
  });
}
