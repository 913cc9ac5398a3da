/** Puts one database in the place of another by renaming both. */
import { randomBytes } from "node:crypto";
import type { Call } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import { identifier, literal } from "./quoting.ts";
import { type RestoreSession, shielded } from "./restore-session.ts";

/** How long clients are kept out while their sessions end. */
const LIMIT_MS = 10_000;
/** A RENAME waits up to 5 s for sessions that come in just then. */
const ANSWER_MS = LIMIT_MS + 20_000;

/** Renames of databases that are known by their object ids: names may have changed hands. */
export interface Exchange {
  /** The name that clients use. */
  name: string;
  /** What has it now, and where it goes. */
  leaving: { oid: number; to: string };
  /** What gets it, and its name now. */
  coming: { oid: number; from: string };
}

/**
 * Ends the sessions of both databases and renames both in one transaction: clients see the one or the other, or are refused in between. All of it is one
 * statement, which the server finishes when this process is killed. The one that leaves takes no connections afterwards; when it cannot leave, it does.
 * @returns for how long clients were refused, ms
 * @throws OpsError `locked` when sessions cannot be ended within 10 s, `failed` when this user may not
 */
export async function exchange(call: Call, server: RestoreSession, order: Exchange): Promise<number> {
  const { name, leaving } = order;
  // a cancelled statement would leave the database closed
  const own = shielded(call, ANSWER_MS);
  const tag = `$t${randomBytes(8).toString("hex")}$`;
  try {
    await server.query(own, block(order, tag), undefined, { timeoutMs: ANSWER_MS });
  } catch (error) {
    await open(own, server, name, leaving.oid).catch(() => {});
    throw error;
  }
  const [row] = await server.query<{ result: string }>(
    own,
    "SELECT current_setting('opsctl.exchange') AS result",
  );
  if (!/^(?:busy|forbidden)$/.test(row!.result)) return Number(row!.result);
  throw await obstacle(own, server, order, row!.result === "busy");
}

/**
 * The statement. Workers of the server itself belong to nobody, and only a superuser may end them: a RENAME asks them to leave. A view of the sessions is of one transaction: each round has its own. One that connects while the database is being closed shows up a
 * moment later: nobody must be seen twice in a row.
 */
function block({ name, leaving, coming }: Exchange, tag: string): string {
  const [live, away, next] = [name, leaving.to, coming.from].map(identifier);
  const sessions = `FROM pg_stat_activity WHERE datid IN (${leaving.oid}, ${coming.oid}) AND (usesysid IS NOT NULL OR is_super)`;
  return `DO ${tag}
DECLARE
  closed timestamptz;
  outage double precision;
  empty_rounds int := 0;
  result text := 'busy';
  is_super boolean := current_setting('is_superuser') = 'on';
BEGIN
  ALTER DATABASE ${live} ALLOW_CONNECTIONS false;
  COMMIT;
  closed := clock_timestamp();
  WHILE result = 'busy' AND clock_timestamp() < closed + interval '${LIMIT_MS} milliseconds' LOOP
    BEGIN
      PERFORM pg_terminate_backend(pid) ${sessions};
      empty_rounds := CASE WHEN FOUND THEN 0 ELSE empty_rounds + 1 END;
    EXCEPTION WHEN insufficient_privilege THEN
      result := 'forbidden';
    END;
    COMMIT;
    IF empty_rounds > 1 THEN
      BEGIN
        ALTER DATABASE ${live} RENAME TO ${away};
        ALTER DATABASE ${next} RENAME TO ${live};
        ALTER DATABASE ${live} ALLOW_CONNECTIONS true;
        result := 'done';
      EXCEPTION WHEN object_in_use OR lock_not_available OR deadlock_detected THEN
        empty_rounds := 0;
      END;
    ELSE
      PERFORM pg_sleep(0.002);
    END IF;
  END LOOP;
  IF result <> 'done' THEN
    ALTER DATABASE ${live} ALLOW_CONNECTIONS true;
  END IF;
  COMMIT;
  outage := round(extract(epoch FROM clock_timestamp() - closed) * 1000);
  PERFORM set_config('opsctl.exchange', CASE result WHEN 'done' THEN outage::text ELSE result END, false);
END ${tag}`;
}

/** Lets clients into the database again that a swap closed, if it still has that name. */
export async function open(call: Call, server: RestoreSession, name: string, oid: number): Promise<void> {
  const text = "SELECT 1 FROM pg_database WHERE datname = $1 AND oid = $2 AND NOT datallowconn";
  const [closed] = await server.query(call, text, [name, oid]);
  if (closed) await server.query(call, `ALTER DATABASE ${identifier(name)} ALLOW_CONNECTIONS true`);
}

async function obstacle(
  call: Call,
  server: RestoreSession,
  { name, leaving }: Exchange,
  isBusy: boolean,
): Promise<OpsError> {
  const { address, user } = server.connection.where;
  const sessions = await server.query<{ text: string }>(
    call,
    `SELECT format('%s %s of "%s"', coalesce(backend_type, 'session'), pid, usename) AS text FROM pg_stat_activity WHERE datid = ${leaving.oid}
      UNION ALL SELECT format('prepared transaction %s', gid) FROM pg_prepared_xacts WHERE database = ${literal(name)} LIMIT 3`,
  );
  const named = sessions.map(({ text }) => text).join(", ");
  return new OpsError({
    code: isBusy ? "locked" : "failed",
    engine: "postgres",
    message: isBusy
      ? `the database "${name}" at ${address} did not become free within ${LIMIT_MS / 1000} s${named && `: ${named}`}; it is as it was before`
      : `the user "${user}" may not end the sessions in the database "${name}" at ${address}${named && `: ${named}`}; it is as it was before`,
    hint: isBusy
      ? "stop what keeps it in use, then restore again"
      : `GRANT pg_signal_backend TO "${user}", or restore as a superuser`,
  });
}
