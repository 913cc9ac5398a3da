/** Why pg_dump failed: it says that in several lines, and of a lock not whose it is. */
import type { Call } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { PartSession } from "./backup-session.ts";

/** Of stderr, in a message. */
const MAX_REASON = 300;

/** Who holds tables of this database in a way that nobody may read them. */
const HOLDERS = `SELECT n.nspname || '.' || c.relname AS name, l.pid, a.application_name AS program
  FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_stat_activity a ON a.pid = l.pid
  WHERE l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.mode = 'AccessExclusiveLock' AND l.granted AND l.pid <> pg_backend_pid() AND c.relkind IN ('r', 'p')
  ORDER BY name LIMIT 3`;

interface Holder {
  name: string;
  pid: number;
  program: string | null;
}

/** The error to throw for one of pg_dump's; every other one stays what it is. */
export async function explainDump(call: Call, session: PartSession, error: unknown): Promise<unknown> {
  const isPgDumps = error instanceof OpsError && error.message.startsWith("pg_dump ended with code");
  if (!isPgDumps || call.signal.aborted) return error;
  const said = typeof error.cause === "string" ? error.cause : error.message;
  try {
    const holders = await session.query<Holder>(call, HOLDERS);
    return said.includes("IN ACCESS SHARE MODE") && holders.length > 0
      ? locked(session, holders)
      : brief(error, said);
  } catch (lost) {
    // the server is gone, and pg_dump failed for that
    return lost;
  }
}

function locked(session: PartSession, holders: readonly Holder[]): OpsError {
  const named = holders.map(
    ({ name, pid, program }) => `${name} by backend ${pid}${program && ` (${program})`}`,
  );
  const { address, database } = session.connection.where;
  return new OpsError({
    code: "locked",
    engine: "postgres",
    message: `pg_dump waited in vain for tables of "${database}" at ${address} that are locked: ${named.join(", ")}`,
    hint: "let that session finish or end it, or raise OPSCTL_QUERY_TIMEOUT, then back up again",
  });
}

/** The first line that tells an error, without the statements behind it. */
function brief(error: OpsError, said: string): OpsError {
  const reason = said.split("\n").find((line) => / error: |ERROR: /.test(line));
  const server = said.split("\n").find((line) => line.includes("Error message from server: "));
  if (reason === undefined) return error;
  const text = [reason, server].filter(Boolean).join(" ").slice(0, MAX_REASON);
  return new OpsError({ code: error.code, engine: "postgres", message: `pg_dump failed: ${text}` });
}
