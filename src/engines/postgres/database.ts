import type { Call } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { Change } from "../../migrate/port.ts";
import type { PostgresConnection } from "./connect.ts";
import { sqlState } from "./errors.ts";

/** Databases that servers usually have: the way in when the wanted one is not there yet. */
const MAINTENANCE = ["postgres", "template1"];

/** True when the server answers that there is no such database. @throws OpsError for every other failure */
export async function isMissing(connection: PostgresConnection, call: Call): Promise<boolean> {
  try {
    await connection.query(call, "SELECT 1");
    return false;
  } catch (error) {
    if (sqlState(error) === "3D000") return true;
    throw error;
  }
}

/** Runs `work` in a database of the server that is there. */
export async function inMaintenance<T>(
  connection: PostgresConnection,
  call: Call,
  work: (maintenance: PostgresConnection) => Promise<T>,
): Promise<T> {
  for (const database of MAINTENANCE) {
    const maintenance = connection.sibling(database);
    try {
      if (await isMissing(maintenance, call)) continue;
      return await work(maintenance);
    } catch (error) {
      // closed to this user: the other one may be open
      const isLast = database === MAINTENANCE.at(-1);
      if (isLast || !["42501", "28000"].includes(sqlState(error) ?? "")) throw error;
    } finally {
      await maintenance.close();
    }
  }
  throw notCreatable(connection);
}

/**
 * Creates the database when it is missing. Survives somebody else creating it at the same time.
 * @throws OpsError `failed` when this user may not create it
 */
export async function prepareDatabase(
  connection: PostgresConnection,
  call: Call,
  dryRun: boolean,
): Promise<Change[]> {
  if (!(await isMissing(connection, call))) return [];
  const { database } = connection.where;
  const isOurs = await inMaintenance(connection, call, async (maintenance) => {
    const rows = await maintenance.query<{ permitted: boolean }>(
      call,
      "SELECT rolcreatedb OR rolsuper AS permitted FROM pg_roles WHERE rolname = current_user",
    );
    if (!rows[0]?.permitted) throw notCreatable(connection);
    return dryRun || createDatabase(maintenance, call, database);
  });
  return isOurs ? [{ name: `database ${database}`, before: null, after: "created" }] : [];
}

/** @returns false when somebody else was faster */
async function createDatabase(maintenance: PostgresConnection, call: Call, name: string): Promise<boolean> {
  const quoted = `"${name.replaceAll('"', '""')}"`;
  try {
    // template0: the only one that takes any encoding, and nobody is ever connected to it
    await maintenance.query(call, `CREATE DATABASE ${quoted} ENCODING 'UTF8' TEMPLATE template0`);
    return true;
  } catch (error) {
    if (await exists(maintenance, call, name)) return false;
    throw error;
  }
}

async function exists(maintenance: PostgresConnection, call: Call, name: string): Promise<boolean> {
  return (await maintenance.query(call, "SELECT 1 FROM pg_database WHERE datname = $1", [name])).length > 0;
}

function notCreatable({ where: { address, database, user } }: PostgresConnection): OpsError {
  return new OpsError({
    code: "failed",
    engine: "postgres",
    message:
      `PostgreSQL at ${address} has no database "${database}", ` + `and the user "${user}" may not create it`,
    hint: `as a superuser: CREATE DATABASE "${database}" OWNER "${user}" ENCODING 'UTF8' TEMPLATE template0`,
  });
}
