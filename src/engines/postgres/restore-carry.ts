/** What belongs to a database and not to its content: a dump does not bring it, the live database has it. */
import type { Call } from "../../call.ts";
import { identifier, literal } from "./quoting.ts";
import type { RestoreSession } from "./restore-session.ts";

/** Their values are lists; as one text they would be one name. */
const LISTS: ReadonlySet<string> = new Set([
  "local_preload_libraries",
  "search_path",
  "session_preload_libraries",
  "shared_preload_libraries",
  "temp_tablespaces",
  "unix_socket_directories",
]);

const DATABASE = `SELECT datname AS name, pg_get_userbyid(datdba) AS owner, datconnlimit AS connections, datacl IS NULL AS is_default,
    datistemplate AS is_template, shobj_description(oid, 'pg_database') AS comment
  FROM pg_database WHERE oid = $1`;
const GRANTS = `SELECT CASE a.grantee WHEN 0 THEN NULL ELSE pg_get_userbyid(a.grantee) END AS grantee, a.privilege_type AS privilege, a.is_grantable AS grantable
  FROM pg_database d, aclexplode(d.datacl) a WHERE d.oid = $1`;
const SETTINGS = `SELECT CASE s.setrole WHEN 0 THEN NULL ELSE pg_get_userbyid(s.setrole) END AS role, c.text AS setting
  FROM pg_db_role_setting s, unnest(s.setconfig) WITH ORDINALITY c (text, number) WHERE s.setdatabase = $1 ORDER BY s.setrole, c.number`;

interface Grant {
  /** Null: everybody. */
  grantee: string | null;
  privilege: string;
  grantable: boolean;
}

interface Setting {
  /** Null: every role. */
  role: string | null;
  /** `name=value` */
  setting: string;
}

interface Properties {
  name: string;
  owner: string;
  connections: number;
  is_template: boolean;
  is_default: boolean;
  comment: string | null;
  grants: Grant[];
  settings: Setting[];
}

/**
 * Gives a database the owner, privileges, settings (also those of roles in it), connection limit and comment of another one, and whether it is
 * a template. All of it or nothing; may be repeated. The grants are the owner's afterwards, whoever gave them.
 * @throws OpsError `failed` when this user may not
 */
export async function carryOver(call: Call, server: RestoreSession, from: number, to: number): Promise<void> {
  const [source, target] = [await propertiesOf(call, server, from), await propertiesOf(call, server, to)];
  const statements = [...ownership(source, target), ...settings(source, target)];
  await server.query(call, ["BEGIN", ...statements, "COMMIT"].join(";\n")).catch(async (error: unknown) => {
    await server.query(call, "ROLLBACK");
    throw error;
  });
}

/** A database that is not open to everybody has no copy that is: called before there is anything to see in it. */
export async function closeLike(call: Call, server: RestoreSession, from: number, to: number): Promise<void> {
  const source = await propertiesOf(call, server, from);
  const isOpen = source.grants.some(({ grantee, privilege }) => grantee === null && privilege === "CONNECT");
  if (source.is_default || isOpen) return;
  const { name } = await propertiesOf(call, server, to);
  await server.query(call, `REVOKE CONNECT ON DATABASE ${identifier(name)} FROM PUBLIC`);
}

async function propertiesOf(call: Call, server: RestoreSession, oid: number): Promise<Properties> {
  const [row] = await server.query<Omit<Properties, "grants" | "settings">>(call, DATABASE, [oid]);
  return {
    ...row!,
    grants: await server.query<Grant>(call, GRANTS, [oid]),
    settings: await server.query<Setting>(call, SETTINGS, [oid]),
  };
}

function ownership(source: Properties, target: Properties): string[] {
  const database = identifier(target.name);
  return [
    `ALTER DATABASE ${database} OWNER TO ${identifier(source.owner)}`,
    `ALTER DATABASE ${database} CONNECTION LIMIT ${source.connections} IS_TEMPLATE ${source.is_template}`,
    `COMMENT ON DATABASE ${database} IS ${source.comment === null ? "NULL" : literal(source.comment)}`,
    ...grants(source, target, source.owner),
  ];
}

function grants(source: Properties, target: Properties, owner: string): string[] {
  if (source.is_default && target.is_default) return [];
  const on = `ON DATABASE ${identifier(target.name)}`;
  const given = source.is_default ? defaultGrants(owner) : source.grants;
  const known = new Set([null, owner, ...[...source.grants, ...target.grants].map(({ grantee }) => grantee)]);
  return [
    ...[...known].map((grantee) => `REVOKE ALL ${on} FROM ${roleOf(grantee)}`),
    ...given.map(
      ({ grantee, privilege, grantable }) =>
        `GRANT ${privilege} ${on} TO ${roleOf(grantee)}${grantable ? " WITH GRANT OPTION" : ""}`,
    ),
  ];
}

function defaultGrants(owner: string): Grant[] {
  return [
    { grantee: null, privilege: "CONNECT, TEMPORARY", grantable: false },
    { grantee: owner, privilege: "ALL", grantable: false },
  ];
}

function roleOf(grantee: string | null): string {
  return grantee === null ? "PUBLIC" : identifier(grantee);
}

function settings(source: Properties, target: Properties): string[] {
  const database = identifier(target.name);
  const scope = (role: string | null) =>
    role === null ? `ALTER DATABASE ${database}` : `ALTER ROLE ${identifier(role)} IN DATABASE ${database}`;
  const roles = new Set(target.settings.map(({ role }) => role));
  return [
    ...[...roles].map((role) => `${scope(role)} RESET ALL`),
    ...source.settings.map(({ role, setting }) => {
      const at = setting.indexOf("=");
      const name = setting.slice(0, at);
      return `${scope(role)} SET ${identifier(name)} TO ${settingOf(name, setting.slice(at + 1))}`;
    }),
  ];
}

function settingOf(name: string, value: string): string {
  if (!LISTS.has(name) || value === "") return literal(value);
  return listOf(value).map(literal).join(", ");
}

/** The names in `"$user", public`. */
function listOf(value: string): string[] {
  return [...value.matchAll(/"((?:[^"]|"")*)"|[^\s,"]+/g)].map(([whole, quoted]) =>
    quoted === undefined ? whole : quoted.replaceAll('""', '"'),
  );
}
