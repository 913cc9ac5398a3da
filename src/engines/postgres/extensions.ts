import type { Call } from "../../call.ts";
import type { Change } from "../../migrate/port.ts";
import type { PostgresConnection } from "./connect.ts";
import { inMaintenance, isMissing } from "./database.ts";
import { sqlState } from "./errors.ts";

/** What the files of a set use. `required`: without it the set cannot be applied. */
const EXTENSIONS: Readonly<Record<string, { name: string; required: boolean }>> = {
  memory: { name: "pg_trgm", required: false },
  vectors: { name: "vector", required: true },
  embeddings: { name: "vector", required: true },
};

interface ExtensionState {
  isInstalled: boolean;
  /** Null when it is installed or this user may install it. */
  obstacle: string | null;
}

/** Why a set cannot be applied here, or null. Works for a database that is still to be created, too. */
export async function unavailableReason(
  connection: PostgresConnection,
  call: Call,
  set: string,
): Promise<string | null> {
  if (await isMissing(connection, call)) {
    return inMaintenance(connection, call, (maintenance) => reasonIn(maintenance, call, set, true));
  }
  return reasonIn(connection, call, set, false);
}

async function reasonIn(
  connection: PostgresConnection,
  call: Call,
  set: string,
  isNew: boolean,
): Promise<string | null> {
  const encoding = await connection.query<{ encoding: string }>(
    call,
    "SELECT current_setting('server_encoding') AS encoding",
  );
  if (!isNew && encoding[0]!.encoding !== "UTF8") {
    return `the database has the encoding ${encoding[0]!.encoding}: only UTF8 can hold every text`;
  }
  const extension = EXTENSIONS[set];
  if (!extension?.required) return null;
  return (await stateOf(connection, call, extension.name, isNew)).obstacle;
}

/**
 * Installs what the sets use. What is optional and cannot be had is logged; the set's file gets by without
 * it.
 */
export async function prepareExtensions(
  connection: PostgresConnection,
  call: Call,
  sets: readonly string[],
  dryRun: boolean,
): Promise<Change[]> {
  // only a dry run can meet a database that is still missing
  if (dryRun && (await isMissing(connection, call))) {
    return inMaintenance(connection, call, (maintenance) => prepareIn(maintenance, call, sets, true, true));
  }
  return prepareIn(connection, call, sets, dryRun, false);
}

async function prepareIn(
  connection: PostgresConnection,
  call: Call,
  sets: readonly string[],
  dryRun: boolean,
  isNew: boolean,
): Promise<Change[]> {
  const changes: Change[] = [];
  for (const set of sets) {
    const name = EXTENSIONS[set]?.name;
    if (name === undefined) continue;
    const { isInstalled, obstacle } = await stateOf(connection, call, name, isNew);
    if (isInstalled) continue;
    if (obstacle !== null) call.log("WARNING", `PostgreSQL: ${obstacle}; the set "${set}" does without it`);
    // planned for another set already
    else if (dryRun && changes.some((change) => change.name === `extension ${name}`)) continue;
    else if (dryRun || (await install(connection, call, name))) {
      changes.push({ name: `extension ${name}`, before: null, after: "created" });
    }
  }
  return changes;
}

/** @returns false when somebody else was faster; IF NOT EXISTS would not tell */
async function install(connection: PostgresConnection, call: Call, name: string): Promise<boolean> {
  try {
    await connection.query(call, `CREATE EXTENSION ${name}`);
    return true;
  } catch (error) {
    if (["23505", "42710"].includes(sqlState(error) ?? "")) return false;
    throw error;
  }
}

async function stateOf(
  connection: PostgresConnection,
  call: Call,
  name: string,
  isNew: boolean,
): Promise<ExtensionState> {
  const rows = await connection.query<{ installed: boolean; offered: boolean; permitted: boolean }>(
    call,
    `SELECT e.extname IS NOT NULL AND NOT $2 AS installed, v.name IS NOT NULL AS offered,
       NOT v.superuser OR current_setting('is_superuser') = 'on'
         OR (v.trusted AND ($2 OR has_database_privilege(current_database(), 'CREATE'))) AS permitted
     FROM (SELECT $1::text AS name) wanted
     LEFT JOIN pg_extension e ON e.extname = wanted.name
     LEFT JOIN pg_available_extensions a ON a.name = wanted.name
     LEFT JOIN pg_available_extension_versions v ON v.name = a.name AND v.version = a.default_version`,
    [name, isNew],
  );
  const { installed, offered, permitted } = rows[0]!;
  if (installed) return { isInstalled: true, obstacle: null };
  return { isInstalled: false, obstacle: obstacleOf(connection, name, offered, permitted) };
}

function obstacleOf(
  { where }: PostgresConnection,
  name: string,
  isOffered: boolean,
  isPermitted: boolean,
): string | null {
  if (!isOffered) return `the extension "${name}" is not installed on the server ${where.address}`;
  if (isPermitted) return null;
  const remedy = `as a superuser: CREATE EXTENSION ${name}`;
  return `the user "${where.user}" may not create the extension "${name}" (${remedy})`;
}
