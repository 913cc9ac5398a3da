/** Whether an invalid unique index can be built: while values occur twice every attempt fails, after it has read the whole table. */
import type { Call } from "../../call.ts";
import type { PostgresConnection } from "./connect.ts";
import { sqlState } from "./errors.ts";
import type { LentSession } from "./session.ts";

/** How long the look at a table may take, and wait for its lock, ms. */
const LOOK_MS = 10_000;
const LOCK_MS = 1_000;

interface Keys {
  table: string;
  keys: string[];
  predicate: string | null;
  /** NULLS NOT DISTINCT. */
  nullsEqual: boolean;
}

const KEYS = `SELECT quote_ident(n.nspname) || '.' || quote_ident(t.relname) AS "table", pg_get_expr(i.indpred, i.indrelid) AS predicate,
    coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::bool, false) AS "nullsEqual",
    ARRAY(SELECT pg_get_indexdef(i.indexrelid, k, false) FROM generate_series(1, i.indnkeyatts) k) AS keys
  FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace
  WHERE i.indexrelid = to_regclass($1)`;

/**
 * The columns whose values occur twice, as the index has them. Null: there are none, or it could not be told: the table is too large for a
 * look of ten seconds, somebody holds it, or this user may not read it.
 */
export async function duplicatedKeys(
  call: Call,
  connection: PostgresConnection,
  index: string,
): Promise<string | null> {
  const session = await connection.bare().lend(call);
  try {
    return await look(session, index);
  } catch (error) {
    if (sqlState(error) === undefined) throw connection.explain(error);
    return null;
  } finally {
    session.release(true);
  }
}

async function look(session: LentSession, index: string): Promise<string | null> {
  await session.query(
    `BEGIN READ ONLY; SET LOCAL statement_timeout = ${LOOK_MS}; SET LOCAL lock_timeout = ${LOCK_MS}`,
  );
  const [found] = await session.query<Keys>(KEYS, [index]);
  if (found === undefined) return null;
  const { table, keys, predicate, nullsEqual } = found;
  const conditions = [
    ...(predicate === null ? [] : [`(${predicate})`]),
    ...(nullsEqual ? [] : keys.map((key) => `(${key}) IS NOT NULL`)),
  ];
  const where = conditions.length > 0 ? `WHERE ${conditions.join(" AND ")}` : "";
  const twice = `SELECT EXISTS (SELECT FROM ONLY ${table} ${where} GROUP BY ${keys.join(", ")} HAVING count(*) > 1) AS twice`;
  const [row] = await session.query<{ twice: boolean }>(twice, undefined, { timeoutMs: 2 * LOOK_MS });
  return row!.twice ? keys.join(", ") : null;
}
