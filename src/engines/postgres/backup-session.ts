/** The session that a part of a backup keeps from its beginning to its end. */
import type { Call } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { PostgresConnection } from "./connect.ts";
import { sqlState } from "./errors.ts";
import { refuseTransactionPooler, type SessionNeed } from "./migration-pooler.ts";
import { type LentSession, type Row, untilAborted } from "./session.ts";

/** Limits of the server, the database or the role that would end the session while its snapshot is needed. Some are of newer servers only. */
const LIMITS =
  "statement_timeout,idle_in_transaction_session_timeout,idle_session_timeout,transaction_timeout";

const SETTINGS = `SELECT set_config('search_path', 'pg_catalog', false)
  UNION ALL SELECT set_config(name, '0', false) FROM pg_settings WHERE name = ANY(string_to_array($1, ','))`;

/**
 * pg_dump sets what it needs in its session. Through a pooler that lends a backend for one transaction its settings (an empty search_path among
 * them) would stay in the sessions of others.
 */
const NEED: SessionNeed = { reason: "pg_dump needs a session", setting: "BACKUP_DATABASE_URL" };

export class PartSession {
  readonly connection: PostgresConnection;
  readonly #session: LentSession;
  readonly #ended: AbortController;

  private constructor(connection: PostgresConnection, session: LentSession, ended: AbortController) {
    this.connection = connection;
    this.#session = session;
    this.#ended = ended;
  }

  /**
   * Connects, past poolers that keep a session together.
   * @param connection ours alone
   * @throws OpsError `not_found` for a database that is not there, `failed` behind a pooler that lends backends for a transaction
   */
  static async open(call: Call, connection: PostgresConnection): Promise<PartSession> {
    const ended = new AbortController();
    // the session outlives the call of the phase that opens it
    const lending = connection.lend({ ...call, signal: ended.signal });
    const session = await untilAborted(lending, call).catch((error: unknown) => {
      throw explainConnect(connection, error);
    });
    const own = new PartSession(connection, session, ended);
    try {
      await refuseTransactionPooler(connection, call, session, NEED);
      await own.query(call, SETTINGS, [LIMITS]);
      return own;
    } catch (error) {
      own.close();
      throw error;
    }
  }

  /** Asks under the call of the phase that asks. The rows of the last statement. */
  async query<R extends object = Row>(call: Call, text: string, params?: readonly unknown[]): Promise<R[]> {
    try {
      return await untilAborted(this.#session.query<R>(text, params), call);
    } catch (error) {
      throw this.connection.explain(error);
    }
  }

  /** Ends it, and with it its snapshot. */
  close(): void {
    this.#ended.abort();
    this.#session.release(true);
  }
}

function explainConnect(connection: PostgresConnection, error: unknown): unknown {
  const { address, database } = connection.where;
  if (sqlState(error) !== "3D000") return error;
  return new OpsError({
    code: "not_found",
    engine: "postgres",
    message: `PostgreSQL at ${address} has no database "${database}"`,
    hint: "check the names in OPSCTL_BACKUP_DATABASES (or --databases) and in the URL",
  });
}
