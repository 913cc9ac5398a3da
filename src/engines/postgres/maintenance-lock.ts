/** One run of maintenance at a time in a database: two REINDEX CONCURRENTLY wait for each other until the server breaks one off. */
import type { Call } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { MaintenanceTask } from "../../maintain/port.ts";
import type { PostgresConnection } from "./connect.ts";
import type { LentSession } from "./session.ts";

/** "opsc", "main". */
const KEY = `${0x6f707363}, ${0x6d61696e}`;
/**
 * The session that holds it has no transaction open, for which a REINDEX CONCURRENTLY would wait. A pooler, whose greeting
 * names no backend, is not asked for it: a lock of a session would stay behind there.
 */
const LOCK = `SELECT CASE WHEN pg_backend_pid() = $1 THEN pg_try_advisory_lock(${KEY}) ELSE true END AS free`;

const UNLOCK = `SELECT pg_advisory_unlock(${KEY})`;
/** Time to give it back; the end of the session does so too, a little later. */
const UNLOCK_MS = 500;

/**
 * The same tasks, which hold the lock from the first until the last of them has run, or the call has ended. Each throws OpsError `locked`
 * before it begins while another run holds it.
 */
export function oneAtATime(
  connection: PostgresConnection,
  tasks: readonly MaintenanceTask[],
): MaintenanceTask[] {
  let held: Held | undefined;
  let isBusy = false;
  const waiting = new Set(tasks);
  const end = async () => {
    const ending = held;
    held = undefined;
    await ending?.end();
  };
  return tasks.map((task) => ({
    ...task,
    async run(call) {
      isBusy = true;
      try {
        if (held?.session.isLost) await end();
        held ??= await hold(call, connection);
        return await task.run(call);
      } finally {
        isBusy = false;
        waiting.delete(task);
        if (waiting.size === 0 || call.signal.aborted) await end();
        // the deadline may come between two tasks: no other is begun then
        else call.signal.addEventListener("abort", () => isBusy || end(), { once: true });
      }
    },
  }));
}

interface Held {
  session: LentSession;
  end(): Promise<void>;
}

async function unlock(session: LentSession): Promise<void> {
  await session.query(UNLOCK, [], { outlivesAbort: true, timeoutMs: UNLOCK_MS }).catch(() => {});
}

/** Over a connection of its own: the pool may be of one. */
async function hold(call: Call, connection: PostgresConnection): Promise<Held> {
  const own = connection.bare().sibling();
  let session: LentSession | undefined;
  const end = async () => {
    session?.release(true);
    await own.close();
  };
  try {
    session = await own.lend(call);
    const [row] = await session.query<{ free: boolean }>(LOCK, [session.pid]);
    if (row!.free) return { session, end: () => unlock(session!).then(end) };
  } catch (error) {
    await end();
    throw connection.explain(error);
  }
  await end();
  const { address, database } = connection.where;
  throw new OpsError({
    code: "locked",
    engine: "postgres",
    message: `another maintenance of the database "${database}" of PostgreSQL at ${address} is running`,
    hint: "wait for it: cron comes again",
  });
}
