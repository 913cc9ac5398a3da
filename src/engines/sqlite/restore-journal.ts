import type Database from "better-sqlite3";
import type { FileKind } from "../../backup/port.ts";
import type { Call } from "../../call.ts";
import { stateSets } from "../../migrate/sets.ts";
import type { PartRecord, RestoreJournal, RestoreRecord } from "../../restore/journal.ts";
import type { Saved } from "../../restore/port.ts";
import type { SqliteConnection } from "./connect.ts";
import { ensureSchema } from "./schema.ts";

type RestoreRow = Omit<RestoreRecord, "parts">;
type PartRow = Omit<PartRecord, "saved" | "kinds"> & { restore_id: string; kinds: string; saved: string };

const INSERT_RESTORE = `INSERT INTO opsctl_restores
    (id, name, path, sha256, folder, state, actor, started_at, finished_at, request)
  VALUES (@id, @name, @path, @sha256, @folder, @state, @actor, @started_at, @finished_at, @request)`;
const INSERT_PART = `INSERT INTO opsctl_restore_parts
    (restore_id, position, engine, name, identity, source, kinds, undo, safety, state, saved)
  VALUES (@restore_id, @position, @engine, @name, @identity, @source, @kinds, @undo, @safety, @state, @saved)`;
const RESTORES = `SELECT id, name, path, sha256, folder, state, actor, started_at, finished_at, request
  FROM opsctl_restores ORDER BY seq`;
const PARTS = `SELECT restore_id, engine, name, identity, source, kinds, undo, safety, state, saved
  FROM opsctl_restore_parts ORDER BY restore_id, position`;

/** The restores of this host, in its state file: a commit there is on the disk when it returns (`synchronous` is FULL). */
export function sqliteRestoreJournal(connection: SqliteConnection): RestoreJournal {
  const sets = stateSets();
  async function write<T>(call: Call, work: (database: Database.Database) => T): Promise<T> {
    await ensureSchema(call, connection, sets);
    return connection.write(call, work);
  }

  return {
    begin: (call, { parts, ...restore }) =>
      write(call, (database) => {
        database.prepare(INSERT_RESTORE).run(restore);
        const insert = database.prepare(INSERT_PART);
        parts.forEach(({ saved, kinds, ...part }, position) => {
          const texts = { kinds: kinds.join(), saved: JSON.stringify(saved) };
          insert.run({ restore_id: restore.id, position, ...part, ...texts });
        });
      }),

    update: (call, id, { state, finished_at: finishedAt }) =>
      write(call, (database) =>
        change(database, "opsctl_restores", { state, finished_at: finishedAt }, { id }),
      ),

    updatePart: (call, id, { engine, name }, { state, saved, safety }) =>
      write(call, (database) => {
        const changes = { state, safety, saved: saved === undefined ? undefined : JSON.stringify(saved) };
        change(database, "opsctl_restore_parts", changes, { restore_id: id, engine, name });
      }),

    async list(call) {
      await ensureSchema(call, connection, sets);
      // one transaction: a restore is never seen with parts of another moment
      return connection.read((database) => database.transaction(() => readAll(database))());
    },
  };
}

type Value = string | number | null;

/**
 * Sets the columns that are not undefined, of the one row that the key names.
 * @throws Error when there is none
 */
function change(
  database: Database.Database,
  table: string,
  changes: Readonly<Record<string, Value | undefined>>,
  key: Readonly<Record<string, Value>>,
): void {
  const given = Object.entries(changes).filter(([, value]) => value !== undefined);
  const where = Object.entries(key);
  // without a change the key is looked up all the same
  const columns = given.length > 0 ? given : where;
  const assigned = columns.map(([column]) => `${column} = ?`).join(", ");
  const matched = where.map(([column]) => `${column} = ?`).join(" AND ");
  const { changes: count } = database
    .prepare(`UPDATE ${table} SET ${assigned} WHERE ${matched}`)
    .run(...columns.map(([, value]) => value), ...where.map(([, value]) => value));
  if (count !== 1) throw new Error(`${table} has no row ${where.map(([, value]) => value).join(" ")}`);
}

function readAll(database: Database.Database): RestoreRecord[] {
  const parts = Map.groupBy(database.prepare<[], PartRow>(PARTS).all(), ({ restore_id: restore }) => restore);
  return database
    .prepare<[], RestoreRow>(RESTORES)
    .all()
    .map((restore) => ({ ...restore, parts: (parts.get(restore.id) ?? []).map(toPart) }));
}

function toPart({ restore_id: _, kinds, saved, ...part }: PartRow): PartRecord {
  return { ...part, kinds: kinds.split(",") as FileKind[], saved: JSON.parse(saved) as Saved };
}
