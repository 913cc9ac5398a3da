import type { Call } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { PostgresConnection } from "./connect.ts";
import type { LentSession, Session } from "./session.ts";

/** How often two sessions are asked in turn who answers them. */
const ROUNDS = 5;

/** Why one needs a session, and the setting that leads around the pooler. */
export interface SessionNeed {
  reason: string;
  setting: "MIGRATION_DATABASE_URL" | "BACKUP_DATABASE_URL";
}

/**
 * Refuses a pooler that lends a backend for one transaction: a lock or a setting of a session would be anybody's there, and stay behind
 * (PgBouncer #945, #102). The greeting tells a pooler from a server: it names no backend. One backend that answers two clients, or two that
 * answer one, tell its mode.
 * @throws OpsError `failed`
 */
export async function refuseTransactionPooler(
  server: PostgresConnection,
  call: Call,
  session: Session,
  { reason, setting }: SessionNeed,
): Promise<void> {
  try {
    const backend = await backendOf(session);
    if (backend === session.pid) return;
    if (!(await sharesBackends(server, call, session, backend))) return;
  } catch (error) {
    throw server.explain(error);
  }
  throw new OpsError({
    code: "failed",
    engine: "postgres",
    message: `PostgreSQL at ${server.where.address} is behind a pooler that lends its backends for one transaction: ${reason}`,
    hint: `set ${setting} to the server itself, or to the pooler in session mode`,
  });
}

async function sharesBackends(
  server: PostgresConnection,
  call: Call,
  session: Session,
  backend: number,
): Promise<boolean> {
  const other = server.sibling();
  let second: LentSession | undefined;
  try {
    second = await other.lend(call);
    const backends = new Set<number>();
    for (let round = 0; round < ROUNDS; round++) {
      backends.add(await backendOf(second));
      if (backends.has(backend) || backends.size > 1 || (await backendOf(session)) !== backend) return true;
    }
    return false;
  } finally {
    second?.release(true);
    await other.close();
  }
}

async function backendOf(session: Session): Promise<number> {
  const rows = await session.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
  return rows[0]!.pid;
}
