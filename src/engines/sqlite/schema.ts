import { existsSync } from "node:fs";
import type { Call } from "../../call.ts";
import type { ShippedSet } from "../../migrate/sets.ts";
import { IN_MEMORY, type SqliteConnection, withLock } from "./connect.ts";
import { readHistory } from "./migration-history.ts";

const checked = new WeakSet<SqliteConnection>();
const checking = new WeakMap<SqliteConnection, Promise<void>>();

/**
 * Creates the schema of a new file and refuses one that a newer opsctl wrote. An up-to-date file costs one small read, and loads nothing of
 * what migrates.
 * @throws OpsError `integrity` for a damaged file or one that is no database, `failed` for a newer schema
 */
export async function ensureSchema(
  call: Call,
  connection: SqliteConnection,
  sets: readonly ShippedSet[],
): Promise<void> {
  if (checked.has(connection)) return;
  // reads that come at the same time wait for the first: a schema in memory is made once
  const underWay = checking.get(connection) ?? check(call, connection, sets);
  checking.set(connection, underWay);
  try {
    await underWay;
    checked.add(connection);
  } finally {
    checking.delete(connection);
  }
}

async function check(call: Call, connection: SqliteConnection, sets: readonly ShippedSet[]): Promise<void> {
  if (connection.path === IN_MEMORY) await createInMemory(connection, sets);
  else if (!(await isCurrent(call, connection, sets))) await bringUpToDate(call, connection, sets);
}

async function createInMemory(connection: SqliteConnection, sets: readonly ShippedSet[]): Promise<void> {
  const { shippedMigrations } = await import("../../migrate/files.ts");
  for (const { set } of sets) {
    for (const { up } of shippedMigrations("sqlite", set).migrations) connection.database().exec(up.text);
  }
}

/** Whether the file has the last version of every set, and none that is later. */
async function isCurrent(
  call: Call,
  connection: SqliteConnection,
  sets: readonly ShippedSet[],
): Promise<boolean> {
  const { path } = connection;
  if (!existsSync(path)) return false;
  const history = await withLock(call, path, () => readHistory(connection.database()));
  return sets.every(({ set, latest }) => {
    const applied = history.filter(({ set_name, state }) => set_name === set && state === "applied");
    return Math.max(...applied.map(({ seq }) => seq)) === latest;
  });
}

async function bringUpToDate(
  call: Call,
  connection: SqliteConnection,
  sets: readonly ShippedSet[],
): Promise<void> {
  const { applySets, refuseNewer } = await import("../../migrate/shipped.ts");
  const { sqliteMigrations } = await import("./migrations.ts");
  const target = sqliteMigrations(connection);
  const history = await target.history(call);
  for (const shipped of sets) refuseNewer(history, shipped, `the SQLite file ${connection.path}`);
  await applySets(call, target, sets, false);
}
