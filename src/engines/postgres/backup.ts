import type { BackupOptions, BackupPart } from "../../backup/port.ts";
import type { Call } from "../../call.ts";
import { DatabasePart } from "./backup-database.ts";
import { GlobalsPart } from "./backup-globals.ts";
import type { PostgresConnection } from "./connect.ts";

/** Without templates, and without those that a DROP DATABASE left behind half way (-2). */
const DATABASES =
  "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate AND datconnlimit <> -2 ORDER BY datname";

/**
 * A part for each database and one for what they share: roles, memberships, tablespaces.
 * @throws OpsError when all databases are asked for and the server does not answer
 */
export async function postgresBackup(
  call: Call,
  connection: PostgresConnection,
  { databases }: BackupOptions,
): Promise<BackupPart[]> {
  // poolers in session mode take no limits in the greeting
  const server = connection.bare();
  const others = databases === "all" ? await allDatabases(call, server) : databases;
  const names = new Set([connection.where.database, ...others]);
  const parts: BackupPart[] = [...names].map((name) => new DatabasePart(server.sibling(name)));
  return [...parts, new GlobalsPart(server.sibling())];
}

async function allDatabases(call: Call, server: PostgresConnection): Promise<string[]> {
  const rows = await server.query<{ datname: string }>(call, DATABASES);
  return rows.map(({ datname }) => datname);
}
