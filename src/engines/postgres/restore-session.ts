/** Sessions of a restore: they may take as long as they need, and nothing of the server's own limits ends them. */
import { type Call, createCall } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { PostgresConnection } from "./connect.ts";
import { sqlState } from "./errors.ts";
import { type LentSession, type Row, untilAborted } from "./session.ts";

/** `local`: a commit is on the disk of this server; that of a standby is not waited for. */
const SETTINGS = `SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN ('statement_timeout', 'lock_timeout',
    'idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout')
  UNION ALL SELECT set_config(name, value, false) FROM (VALUES ('search_path', 'pg_catalog'), ('synchronous_commit', 'local'),
    ('standard_conforming_strings', 'on'), ('row_security', 'off'), ('default_transaction_read_only', 'off')) own (name, value)`;

/** Databases that servers usually have. */
const MAINTENANCE = ["postgres", "template1"];
/** There is none of that name, or it is closed: to this user, or to all. */
const CLOSED: ReadonlySet<string | undefined> = new Set(["3D000", "42501", "28000", "55000"]);

export interface AskOptions {
  /** How long an answer may take, ms; null: as long as the call lives. Default: `limits.queryMs`. */
  timeoutMs?: number | null;
}

export class RestoreSession {
  readonly connection: PostgresConnection;
  readonly #session: LentSession;
  readonly #ended: AbortController;

  private constructor(connection: PostgresConnection, session: LentSession, ended: AbortController) {
    this.connection = connection;
    this.#session = session;
    this.#ended = ended;
  }

  /** @param connection ours alone: it is closed with the session, and when there is none */
  static async open(call: Call, connection: PostgresConnection): Promise<RestoreSession> {
    const ended = new AbortController();
    try {
      const session = await untilAborted(connection.lend({ ...call, signal: ended.signal }), call);
      const own = new RestoreSession(connection, session, ended);
      await own.query(call, SETTINGS);
      return own;
    } catch (error) {
      ended.abort();
      await connection.close();
      throw error;
    }
  }

  /** Of the server's backend, as the greeting told it: a pooler tells something else. */
  get greeted(): number {
    return this.#session.pid;
  }

  /** The rows of the last statement. Without `params` the text may hold several. */
  async query<R extends object = Row>(
    call: Call,
    text: string,
    params?: readonly unknown[],
    { timeoutMs = this.connection.limits.queryMs }: AskOptions = {},
  ): Promise<R[]> {
    try {
      return await untilAborted(this.#session.query<R>(text, params, { timeoutMs }), call);
    } catch (error) {
      throw this.connection.explain(error);
    }
  }

  async close(): Promise<void> {
    this.#ended.abort();
    this.#session.release(true);
    await this.connection.close();
  }
}

/**
 * A session of the server in a database that is not `avoided`: one that is renamed or dropped must be empty.
 * @throws OpsError `failed` when all that it has are closed to this user
 */
export async function openServer(
  call: Call,
  connection: PostgresConnection,
  avoided: string,
): Promise<RestoreSession> {
  const names = new Set([...MAINTENANCE, connection.where.database].filter((name) => name !== avoided));
  for (const name of names) {
    try {
      return await RestoreSession.open(call, connection.sibling(name));
    } catch (error) {
      if (!CLOSED.has(sqlState(error))) throw error;
    }
  }
  const { address, user } = connection.where;
  throw new OpsError({
    code: "failed",
    engine: "postgres",
    message: `the user "${user}" may enter none of the databases ${[...names].join(", ")} of PostgreSQL at ${address}: a database is renamed from another one`,
    hint: `GRANT CONNECT ON DATABASE postgres TO "${user}"`,
  });
}

/** With the id of a restore or a drill the key of its lock: `opsd`. */
export const LOCK_CLASS = 0x6f707364;
/** A swap of a process that was killed has ended by then, and its session with it. */
const LOCK_TIMEOUT = "60s";

/**
 * One session at a time works for an id. A statement goes on in the server when its process is killed: whoever comes next must not look around
 * before that has ended.
 * @param id eight hexadecimal digits
 * @throws OpsError `locked` after a minute
 */
export async function lockId(call: Call, server: RestoreSession, id: string): Promise<void> {
  const text = `SET lock_timeout = '${LOCK_TIMEOUT}'; SELECT pg_advisory_lock(${LOCK_CLASS}, x'${id}'::int); SET lock_timeout = 0`;
  await server.query(call, text, undefined, { timeoutMs: null });
}

/** For what has to be finished, or cleaned up, when its call has ended. */
export function shielded(call: Call, timeoutMs: number): Call {
  return createCall({ actor: call.actor, timeoutMs, signal: new AbortController().signal });
}
