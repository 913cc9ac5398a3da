import type { Call } from "../../call.ts";
import { shippedMigrations } from "../../migrate/files.ts";
import { applySets, refuseNewer } from "../../migrate/runner.ts";
import type { ShippedSet } from "../../migrate/sets.ts";
import { IN_MEMORY, type SqliteConnection } from "./connect.ts";
import { sqliteMigrations } from "./migrations.ts";

const checked = new WeakSet<SqliteConnection>();

/**
 * Creates the schema of a new file and refuses one that a newer opsctl wrote. An up-to-date file costs one small read.
 * @throws OpsError `integrity` for a damaged file or one that is no database, `failed` for a newer schema
 */
export async function ensureSchema(
  call: Call,
  connection: SqliteConnection,
  sets: readonly ShippedSet[],
): Promise<void> {
  if (checked.has(connection)) return;
  if (connection.path === IN_MEMORY) {
    for (const { set } of sets) {
      for (const { text } of shippedMigrations("sqlite", set)) connection.database().exec(text);
    }
  } else {
    const target = sqliteMigrations(connection);
    const history = await target.history(call);
    const isCurrent = sets.every(({ set, latest }) =>
      history.some((row) => row.set_name === set && row.seq === latest && row.state === "applied"),
    );
    for (const shipped of sets) refuseNewer(history, shipped, `the SQLite file ${connection.path}`);
    if (!isCurrent) await applySets(call, target, sets, false);
  }
  checked.add(connection);
}
