import type { Call } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { CleanupItem } from "../../maintain/port.ts";
import type { PostgresConnection } from "./connect.ts";
import { sqlState } from "./errors.ts";
import { identifier } from "./quoting.ts";
import { LOCK_CLASS, openServer } from "./restore-session.ts";

/** A restore of another host may wait between its steps for so long. */
export const WAITS_MS = 7 * 86_400_000;
const OCCUPIED = "a session is in it";
const PATIENT = { timeoutMs: null };

interface Row {
  name: string;
  id: string;
  isDrill: boolean;
  size: number | null;
}

/** Without a lock of its id, and without sessions in it; dropped by whoever owns it. */
const LEFT = `SELECT d.datname AS name, m[2] AS id, m[1] IS NOT NULL AS "isDrill",
    CASE WHEN has_database_privilege(d.oid, 'CONNECT') THEN pg_database_size(d.oid) END AS size
  FROM pg_database d, regexp_match(d.datname, '__opsctl_(drill_)?([0-9a-f]{8})$') m
  WHERE m IS NOT NULL AND pg_has_role(d.datdba, 'USAGE') AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.datid = d.oid)
    AND NOT EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'advisory' AND l.classid::int8 = ${LOCK_CLASS} AND l.objsubid = 2
      AND l.objid::int8 = ('x' || m[2])::bit(32)::int8)
  ORDER BY d.datname`;

/** Ages of databases, ms, by the file that is written when one is made. Those of other tablespaces are not there. */
const AGES = `SELECT datname AS name,
    (extract(epoch FROM now() - (pg_stat_file('base/' || oid || '/PG_VERSION', true)).modification) * 1000)::float8 AS age
  FROM pg_database WHERE datname = ANY ($1)`;

/**
 * Databases that drills and restores left.
 *
 * - `…__opsctl_drill_ID`: a drill holds the advisory lock of its id from before it creates the database until after it has dropped it. Without
 *   that lock its process is gone, wherever it ran.
 * - `…__opsctl_ID`: loaded by a restore and never swapped. A restore holds the lock while it works and lets go of it between its steps, so a free
 *   lock says nothing. Restores of this host that are not over are in `kept`; one of another host is not known here: only a database that has
 *   been there for a week is taken, and only where the server tells its age.
 * - `…__opsctl_old_ID`: the live data before a restore, which `restore --rollback` brings back and `restore --forget` drops. Never taken: an id that
 *   this host does not know is a restore of another host, and this its only way back.
 *
 * @param kept ids of restores that are not over or can be undone, and names of their databases
 */
export async function postgresLeftovers(
  call: Call,
  connection: PostgresConnection,
  kept: readonly string[],
  waitsMs = WAITS_MS,
): Promise<CleanupItem[]> {
  const rows = (await connection.query<Row>(call, LEFT)).filter(
    ({ name, id }) => !kept.includes(id) && !kept.includes(name),
  );
  const loaded = rows.filter(({ isDrill }) => !isDrill).map(({ name }) => name);
  const ages = await agesOf(call, connection, loaded);
  return rows
    .filter(({ name, isDrill }) => isDrill || (ages.get(name) ?? -1) >= waitsMs)
    .map((row) => ({
      subject: `database ${row.name} on ${connection.where.address}`,
      why: row.isDrill ? "its drill is not running any more" : "a restore loaded it, and never went on",
      count: 1,
      size_bytes: row.size,
      remove: (own: Call) => drop(own, connection, row),
    }));
}

/** Of these databases, ms. Nothing for a user who may not know. */
export async function agesOf(
  call: Call,
  connection: PostgresConnection,
  names: readonly string[],
): Promise<ReadonlyMap<string, number>> {
  if (names.length === 0) return new Map();
  try {
    const rows = await connection.query<{ name: string; age: number | null }>(call, AGES, [names]);
    return new Map(rows.map(({ name, age }) => [name, age ?? -1]));
  } catch (error) {
    if (sqlState(error) === "42501") return new Map();
    throw error;
  }
}

/** @throws OpsError `locked` when somebody works with it after all */
async function drop(call: Call, connection: PostgresConnection, { name, id }: Row): Promise<void> {
  const server = await openServer(call, connection.bare(), name);
  try {
    const text = `SELECT pg_try_advisory_lock(${LOCK_CLASS}, x'${id}'::int) AS free`;
    const [lock] = await server.query<{ free: boolean }>(call, text);
    if (!lock!.free) throw inUse(connection, name, "its drill or restore runs");
    const inside =
      "SELECT 1 FROM pg_stat_activity a JOIN pg_database d ON d.oid = a.datid WHERE d.datname = $1";
    // the server itself would wait for them for five seconds, and then say so
    if ((await server.query(call, inside, [name])).length > 0) throw inUse(connection, name, OCCUPIED);
    const template = "SELECT 1 FROM pg_database WHERE datname = $1 AND datistemplate";
    if ((await server.query(call, template, [name])).length > 0)
      await server.query(call, `ALTER DATABASE ${identifier(name)} IS_TEMPLATE false`);
    await server.query(call, `DROP DATABASE IF EXISTS ${identifier(name)}`, undefined, PATIENT);
  } catch (error) {
    throw sqlState(error) === "55006" ? inUse(connection, name, OCCUPIED) : error;
  } finally {
    await server.close();
  }
}

function inUse({ where }: PostgresConnection, name: string, why: string): OpsError {
  return new OpsError({
    code: "locked",
    engine: "postgres",
    message: `the database "${name}" at ${where.address} is in use: ${why}`,
    hint: "leave it to the next cleanup, or end the session",
  });
}
