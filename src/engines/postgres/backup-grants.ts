/** The role that a backup needs, as a script for psql. */

import { connectionString, identifier } from "./quoting.ts";

const ROLE = "opsctl_backup";

/**
 * SQL that creates a login which can read everything and write nothing, for psql as a superuser. It may run again: it then adds what is new.
 * It holds no password: \password asks for one and sends its digest only.
 * @param databases names of those that are backed up
 */
export function postgresGrants(databases: readonly string[], role = ROLE): string {
  return `${[header(role), ...databases.map((name) => inDatabase(name, role))].join("\n")}\n`;
}

function header(role: string): string {
  const name = identifier(role);
  return `-- Creates the role ${comment(role)} for backups: it reads everything and writes nothing. Run this with psql as a superuser, and again when
-- there are new databases or large objects. Then give it a password, in psql: \\password ${comment(role)}
\\set ON_ERROR_STOP on
SELECT 'CREATE ROLE ${name.replaceAll("'", "''")}' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = ${literal(role)}) \\gexec
-- BYPASSRLS: pg_dump refuses tables with row-level security otherwise
ALTER ROLE ${name} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION INHERIT BYPASSRLS;
ALTER ROLE ${name} SET default_transaction_read_only = on;
GRANT pg_read_all_data TO ${name};`;
}

/** pg_read_all_data does not cover large objects, and their rights are those of each one. */
function inDatabase(database: string, role: string): string {
  const connection = connectionString(database).replaceAll('"', '""');
  return `
GRANT CONNECT ON DATABASE ${identifier(database)} TO ${identifier(role)};
\\connect -reuse-previous=on "${connection}"
SELECT format('GRANT SELECT ON LARGE OBJECT %s TO %I', oid, ${literal(role)}) FROM pg_largeobject_metadata \\gexec`;
}

function literal(text: string): string {
  return text.includes("\\")
    ? ` E'${text.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`
    : `'${text.replaceAll("'", "''")}'`;
}

function comment(text: string): string {
  return text.replaceAll(/[\r\n]/g, " ");
}
