/** What a user may read of a database, and what an operator should know of its dump. */
import type { Call } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { PartSession } from "./backup-session.ts";

/** How many names a message holds. */
const SHOWN = 3;

/** Tables and sequences that pg_dump reads: not those of extensions, unless their rows are the user's. */
const UNREADABLE = `SELECT n.nspname || '.' || c.relname AS name, row_security_active(c.oid) AS filtered, count(*) OVER () AS total
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'S') AND c.relpersistence <> 't'
    AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
    AND (EXISTS (SELECT FROM pg_extension e WHERE c.oid = ANY(e.extconfig))
      OR NOT EXISTS (SELECT FROM pg_depend d
        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'))
    AND (row_security_active(c.oid) OR NOT has_schema_privilege(n.oid, 'USAGE') OR NOT has_table_privilege(c.oid, 'SELECT'))
  ORDER BY filtered, name LIMIT ${SHOWN}`;

/** pg_read_all_data does not cover large objects. */
const UNREADABLE_OBJECTS = `SELECT m.oid::text AS name, count(*) OVER () AS total
  FROM pg_largeobject_metadata m
  WHERE NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
    AND current_setting('lo_compat_privileges') = 'off' AND NOT pg_has_role(m.lomowner, 'USAGE')
    AND NOT EXISTS (SELECT FROM aclexplode(m.lomacl) a
      WHERE a.privilege_type = 'SELECT' AND (a.grantee = 0 OR pg_has_role(a.grantee, 'USAGE')))
  ORDER BY m.oid LIMIT ${SHOWN}`;

const PECULIARITIES = `SELECT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS super,
  pg_is_in_recovery() AS standby,
  (SELECT count(*) FROM pg_foreign_table) AS foreign_tables,
  (SELECT count(*) FROM pg_user_mappings) AS mappings,
  (SELECT count(s.oid) FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
    WHERE d.datname = current_database()) AS subscriptions,
  (SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relpersistence = 'u') AS unlogged`;

interface Unreadable {
  name: string;
  total: number;
  filtered?: boolean;
}

/**
 * pg_dump would fail at the first of these, after it has written much.
 * @throws OpsError `failed` naming what the user may not read
 */
export async function requireReadable(call: Call, session: PartSession): Promise<void> {
  const tables = await session.query<Unreadable>(call, UNREADABLE);
  if (tables.length > 0) {
    const isFiltered = tables.every(({ filtered }) => filtered);
    throw refused(
      session,
      tables,
      isFiltered ? "tables with row-level security" : "tables and sequences",
      isFiltered ? "ALTER ROLE … BYPASSRLS" : "GRANT pg_read_all_data TO …",
    );
  }
  const objects = await session.query<Unreadable>(call, UNREADABLE_OBJECTS);
  if (objects.length > 0) {
    throw refused(session, objects, "large objects", "GRANT SELECT ON LARGE OBJECT … for each");
  }
}

function refused(session: PartSession, found: readonly Unreadable[], what: string, remedy: string): OpsError {
  const { address, database, user } = session.connection.where;
  const total = found[0]!.total;
  const names = found.map(({ name }) => name).join(", ");
  const more = total > found.length ? `, and ${total - found.length} more` : "";
  return new OpsError({
    code: "failed",
    engine: "postgres",
    message: `the user "${user}" may not read all of the database "${database}" at ${address}: ${what} ${names}${more}`,
    hint: `${remedy} (\`opsctl backup grants\` prints all that a backup needs), or name another user in BACKUP_DATABASE_URL`,
  });
}

interface Peculiarities {
  super: boolean;
  standby: boolean;
  foreign_tables: number;
  mappings: number;
  subscriptions: number;
  unlogged: number;
}

/** What the dump of this database does not hold, or holds although one may not expect it: a line each. */
export async function notesOn(call: Call, session: PartSession): Promise<string[]> {
  const [row] = await session.query<Peculiarities>(call, PECULIARITIES);
  const { super: isSuper, standby, foreign_tables, mappings, subscriptions, unlogged } = row!;
  const notes: string[] = [];
  if (standby) {
    notes.push("taken from a standby: as of its replay, and a conflict with recovery can end the dump");
  }
  if (standby && unlogged > 0) notes.push(`${unlogged} unlogged tables have no rows on a standby`);
  if (foreign_tables > 0) notes.push(`${foreign_tables} foreign tables are in it without their rows`);
  if (subscriptions > 0 && !isSuper) {
    notes.push(`${subscriptions} subscriptions are missing: only a superuser may read them`);
  }
  if (isSuper && mappings + subscriptions > 0) {
    notes.push(
      "user mappings or subscriptions are in it, which may hold passwords of other servers: encrypt it",
    );
  }
  return notes;
}
