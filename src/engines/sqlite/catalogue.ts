import type Database from "better-sqlite3";
import type { Catalogue } from "../../backup/port.ts";
import type { Call } from "../../call.ts";
import { stateSets } from "../../migrate/sets.ts";
import type { SqliteConnection } from "./connect.ts";
import { ensureSchema } from "./schema.ts";

/** The archives that this host made, in its state file. */
export function sqliteCatalogue(connection: SqliteConnection): Catalogue {
  const sets = stateSets();
  async function write<T>(call: Call, work: (database: Database.Database) => T): Promise<T> {
    await ensureSchema(call, connection, sets);
    return connection.write(call, work);
  }

  return {
    nextSequence: (call, least) =>
      write(
        call,
        (database) =>
          database
            .prepare<[number], number>(
              "UPDATE opsctl_archive_sequence SET last = max(last, ?) + 1 RETURNING last",
            )
            .pluck()
            .get(least)!,
      ),

    add: (call, { name, path, sha256, sequence, created_at: createdAt, state }) =>
      write(call, (database) => {
        database
          .prepare(
            `INSERT INTO opsctl_archives (sequence, name, path, sha256, created_at, state) VALUES (?, ?, ?, ?, ?, ?)
             ON CONFLICT (sequence) DO UPDATE SET name = excluded.name, path = excluded.path, sha256 = excluded.sha256,
               created_at = excluded.created_at, state = excluded.state`,
          )
          .run(sequence, name, path, sha256, createdAt, state);
      }),

    async knows(call, sha256) {
      await ensureSchema(call, connection, sets);
      return connection.read(
        (database) =>
          database.prepare("SELECT 1 FROM opsctl_archives WHERE sha256 = ? LIMIT 1").get(sha256) !==
          undefined,
      );
    },
  };
}
