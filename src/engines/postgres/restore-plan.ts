/** Everything that can be known before a database is restored. Reads only. */
import type { Call } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { RestoreFile, RestorePlan } from "../../restore/port.ts";
import { requireTools } from "./client-tools.ts";
import type { PostgresConnection } from "./connect.ts";
import { identifier, literal } from "./quoting.ts";
import type { DumpNeeds } from "./restore-contents.ts";
import { RestoreSession } from "./restore-session.ts";

/** What a database takes beside its dump: indexes, and the rest of its pages. A dump has neither. */
const ROOM = 1.5;

const SERVER = `SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int / 10000 AS major,
    pg_is_in_recovery() AS standby, pg_backend_pid() AS pid, rolsuper AS super, rolcreatedb OR rolsuper AS creates_databases,
    rolcreaterole OR rolsuper AS creates_roles
  FROM pg_roles WHERE rolname = current_user`;
export interface ServerFacts {
  version: string;
  major: number;
  standby: boolean;
  pid: number;
  super: boolean;
  creates_databases: boolean;
  creates_roles: boolean;
}

const LIVE = `SELECT oid::int8 AS oid, pg_get_userbyid(datdba) AS owner, pg_has_role(datdba, 'MEMBER') AS is_owner, datallowconn AS is_open,
    to_jsonb(d) AS settings, pg_encoding_to_char(encoding) AS encoding,
    (SELECT spcname FROM pg_tablespace t WHERE t.oid = d.dattablespace) AS tablespace,
    (SELECT count(*) FROM pg_stat_activity WHERE datid = d.oid AND usesysid IS NOT NULL) AS sessions,
    (SELECT count(*) FROM pg_prepared_xacts WHERE database = d.datname) AS prepared,
    (SELECT count(*) FROM pg_replication_slots WHERE database = d.datname) AS slots
  FROM pg_database d WHERE datname = $1`;
export interface LiveDatabase {
  oid: number;
  owner: string;
  is_owner: boolean;
  is_open: boolean;
  /** Columns of pg_database: of a newer server more. */
  settings: Record<string, string | number | boolean | null>;
  encoding: string;
  tablespace: string;
  sessions: number;
  prepared: number;
  slots: number;
}

const EXTENSIONS = `SELECT w.name, a.name IS NOT NULL AS offered,
    current_setting('is_superuser') = 'on' OR NOT v.superuser OR v.trusted AS permitted
  FROM unnest($1::text[]) w (name) LEFT JOIN pg_available_extensions a ON a.name = w.name
    LEFT JOIN pg_available_extension_versions v ON v.name = a.name AND v.version = a.default_version ORDER BY w.name`;
const ROLES = `SELECT w.name, r.oid IS NOT NULL AS offered, coalesce(pg_has_role(r.oid, 'MEMBER'), false) AS permitted
  FROM unnest($1::text[]) w (name) LEFT JOIN pg_roles r ON r.rolname = w.name ORDER BY w.name`;
const TABLESPACES = `SELECT w.name, t.oid IS NOT NULL AS offered, coalesce(has_tablespace_privilege(t.oid, 'CREATE'), false) AS permitted
  FROM unnest($1::text[]) w (name) LEFT JOIN pg_tablespace t ON t.spcname = w.name ORDER BY w.name`;

interface Wanted {
  name: string;
  offered: boolean;
  permitted: boolean;
}

export async function serverFacts(call: Call, server: RestoreSession): Promise<ServerFacts> {
  return (await server.query<ServerFacts>(call, SERVER))[0]!;
}

export async function liveDatabase(
  call: Call,
  server: RestoreSession,
  name: string,
): Promise<LiveDatabase | undefined> {
  return (await server.query<LiveDatabase>(call, LIVE, [name]))[0];
}

/** @throws OpsError `failed` for a server in which this user can make no database, or not of this dump */
export async function requireServer(
  call: Call,
  server: RestoreSession,
  facts: ServerFacts,
  file: RestoreFile,
  from: number | null,
): Promise<void> {
  const { address, user } = server.connection.where;
  if (facts.pid !== server.greeted) {
    throw refused(
      `PostgreSQL at ${address} is behind a connection pooler, which keeps sessions to databases that a restore renames`,
      "name the server itself",
    );
  }
  if (facts.standby)
    throw refused(`PostgreSQL at ${address} is a standby, which is read-only`, "name the primary");
  if (!facts.creates_databases) {
    throw refused(
      `the user "${user}" may not create databases at ${address}`,
      `as a superuser: ALTER ROLE "${user}" CREATEDB`,
    );
  }
  if (from !== null && from > facts.major) {
    throw refused(
      `${file.path} is a dump of PostgreSQL ${from}, and the server at ${address} is version ${facts.major}`,
      `restore it into PostgreSQL ${from} or newer`,
    );
  }
  await requireTools(call, ["pg_restore"], Math.max(facts.major, from ?? 0), address);
}

/** What of the dump's needs is left out. */
export interface Omitted {
  tablespaces: boolean;
  /** Roles that are not there, or to which this user may give nothing. */
  roles: string[];
}

/** `needed`: they must be there. `coming`: another part may bring them first, if this user may make roles. `optional`: it can do without. */
export type RoleNeed = "needed" | "coming" | "optional";

/**
 * @throws OpsError `failed` naming the extensions, roles or tablespaces that are missing, or that this user may not use
 */
export async function requireNeeds(
  call: Call,
  server: RestoreSession,
  needs: DumpNeeds,
  file: RestoreFile,
  roleNeed: RoleNeed,
): Promise<Omitted> {
  const { address, user } = server.connection.where;
  const ask = (text: string, names: Set<string>) => server.query<Wanted>(call, text, [[...names]]);
  const facts = await serverFacts(call, server);

  const extensions = await ask(EXTENSIONS, needs.extensions);
  const absent = namesOf(extensions, ({ offered }) => !offered);
  if (absent) {
    throw refused(
      `the dump needs extensions that the server at ${address} does not have: ${absent}`,
      "install them on the server (Debian: postgresql-VERSION-NAME), then restore again",
    );
  }
  const forbidden = namesOf(extensions, ({ permitted }) => !permitted);
  if (forbidden) {
    throw refused(
      `the user "${user}" may not create the extensions ${forbidden} at ${address}`,
      "restore as a superuser",
    );
  }

  const roles = await missingRoles(call, server, needs, facts, roleNeed);
  const tablespaces = namesOf(await ask(TABLESPACES, needs.tablespaces), (wanted) => !wanted.permitted);
  if (tablespaces && file.kind === "postgres-plain") {
    throw refused(
      `the script puts tables into tablespaces that are not there or closed at ${address}: ${tablespaces}`,
      "CREATE TABLESPACE for each, or restore a dump in custom format, which can do without",
    );
  }
  return { tablespaces: tablespaces !== "", roles };
}

async function missingRoles(
  call: Call,
  server: RestoreSession,
  needs: DumpNeeds,
  facts: ServerFacts,
  need: RoleNeed,
): Promise<string[]> {
  const { address, user } = server.connection.where;
  const [owners, grantees] = await Promise.all(
    [needs.owners, needs.grantees].map((names) => server.query<Wanted>(call, ROLES, [[...names]])),
  );
  const missing = [...owners!, ...grantees!].filter(({ offered }) => !offered).map(({ name }) => name);
  const foreign = owners!.filter(({ offered, permitted }) => offered && !permitted).map(({ name }) => name);
  if (need === "optional") return [...new Set([...missing, ...foreign])];
  if (missing.length > 0 && (need === "needed" || !facts.creates_roles)) {
    throw refused(
      `roles that own objects of the dump, or are granted some, are missing at ${address}: ${[...new Set(missing)].join(", ")}`,
      "restore the part globals as well, or CREATE ROLE for each, then restore again",
    );
  }
  if (foreign.length > 0) {
    throw refused(
      `the user "${user}" may not give objects to their owners ${foreign.join(", ")} at ${address}`,
      `restore as a superuser, or GRANT these roles TO "${user}"`,
    );
  }
  return [...new Set(missing)];
}

/** @throws OpsError `failed` for a live database that this user cannot rename */
export function requireExchangeable(server: RestoreSession, name: string, live: LiveDatabase): void {
  const { address, user } = server.connection.where;
  if (!live.is_owner) {
    throw refused(
      `the user "${user}" may not rename the database "${name}" at ${address}: it belongs to "${live.owner}"`,
      `restore as "${live.owner}" or a superuser`,
    );
  }
  if (live.prepared > 0) {
    throw refused(
      `the database "${name}" at ${address} has ${live.prepared} prepared transactions, which keep it from being renamed`,
      "COMMIT PREPARED or ROLLBACK PREPARED each of them (see pg_prepared_xacts)",
    );
  }
}

/** `41 tables, 9113 kB` */
export async function describeLive(
  call: Call,
  server: RestoreSession,
  connection: PostgresConnection,
  live: LiveDatabase,
): Promise<string> {
  const [row] = await server.query<{ size: string }>(
    call,
    "SELECT pg_size_pretty(pg_database_size($1::oid)) AS size",
    [live.oid],
  );
  if (!live.is_open) return `${row!.size}, closed to connections`;
  const session = await RestoreSession.open(call, connection.sibling());
  try {
    const [found] = await session.query<{ tables: number }>(
      call,
      `SELECT count(*) AS tables FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'`,
    );
    return `${found!.tables} tables, ${row!.size}`;
  } finally {
    await session.close();
  }
}

export function planOf(
  facts: ServerFacts,
  file: RestoreFile,
  live: LiveDatabase | undefined,
  overwrites: string,
  omitted: Omitted,
  jobs: number,
): RestorePlan {
  const program =
    file.kind === "postgres-plain" ? "psql, in one transaction," : `pg_restore with ${jobs} jobs`;
  const notes: string[] = [];
  if (file.kind === "postgres-plain")
    notes.push("a script is executed as it is: restore only what you trust");
  if (omitted.roles.length > 0) {
    notes.push(`the roles ${omitted.roles.join(", ")} are missing: the part globals must bring them`);
  }
  if (omitted.tablespaces) notes.push("its tablespaces are not there: everything goes into the default one");
  if (live && live.sessions > 0) notes.push(`${live.sessions} sessions in it are ended when it is swapped`);
  if (live && live.slots > 0) {
    notes.push(`${live.slots} replication slots stay with the database that is there now`);
  }
  return {
    server_version: facts.version,
    overwrites,
    how: live
      ? `${program} into a database beside it, then swapped by renaming`
      : `${program} into a new database, then renamed`,
    undo: live ? "kept" : "empty",
    needs: { bytes: Math.ceil(file.size_bytes * ROOM), path: null },
    notes,
  };
}

/** How CREATE DATABASE makes one like the live one, or like that of the dump. */
export function creationOf(live: LiveDatabase | undefined, needs: DumpNeeds): string {
  if (!live) return needs.locale ?? "";
  return likeLive(live);
}

function likeLive({ settings, encoding, tablespace }: LiveDatabase): string {
  const text = (column: string) => {
    const value = settings[column];
    return typeof value === "string" ? literal(value) : undefined;
  };
  // from 17 on one column for all providers but libc
  const locale = text("datlocale") ?? text("daticulocale");
  const provider = { i: "icu", b: "builtin", c: "libc" }[String(settings["datlocprovider"] ?? "c")] ?? "libc";
  const parts = [
    `ENCODING '${encoding}' LC_COLLATE ${text("datcollate")} LC_CTYPE ${text("datctype")}`,
    provider !== "libc" &&
      `LOCALE_PROVIDER ${provider} ${provider === "icu" ? "ICU_LOCALE" : "BUILTIN_LOCALE"} ${locale}`,
    provider === "icu" && text("daticurules") && `ICU_RULES ${text("daticurules")}`,
    // that of the template may be taken by everybody, but named by few
    tablespace !== "pg_default" && `TABLESPACE ${identifier(tablespace)}`,
  ];
  return parts.filter(Boolean).join(" ");
}

function namesOf(wanted: readonly Wanted[], isMeant: (wanted: Wanted) => boolean): string {
  return wanted
    .filter(isMeant)
    .map(({ name }) => name)
    .join(", ");
}

function refused(message: string, hint: string): OpsError {
  return new OpsError({ code: "failed", engine: "postgres", message, hint });
}
