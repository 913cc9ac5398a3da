/** Entries of an older version, made anew where they are. */
import type { Call } from "../../call.ts";
import { INDEX_VERSION } from "../../memory/analyze.ts";
import { setsOf } from "../../migrate/sets.ts";
import { sqliteConnection } from "./connect.ts";
import { sqliteError } from "./errors.ts";
import { IndexEntries, LIVE, requireKnownIndex } from "./index-entries.ts";
import { FIRST_ROW, rowReader } from "./index-records.ts";
import { SmallSteps } from "./index-steps.ts";
import { derivedSetter, withoutEntry } from "./memory-write.ts";
import type { FilePlace } from "./open.ts";
import { ensureSchema } from "./schema.ts";

const OUTDATED = `index_version < ${INDEX_VERSION}`;

/**
 * Makes outdated entries anew in small transactions, each of which leaves entries, document frequencies and sums exact: ended anywhere, the
 * next run goes on. Searches and writers work meanwhile.
 * @returns how many entries were made
 * @throws OpsError
 */
export async function renewIndex(call: Call, { path, foreign }: FilePlace): Promise<number> {
  // an own connection: its statements see what others commit between the steps
  const own = sqliteConnection(path, foreign);
  try {
    await ensureSchema(call, own, setsOf("sqlite"));
    const database = own.database();
    const entries = new IndexEntries(database, LIVE);
    const setDerived = derivedSetter(database);
    const isOutdated = database
      .prepare<[number], number>(
        `SELECT 1 FROM memori_metadata WHERE row_id = ? AND deleted_at IS NULL AND ${OUTDATED}`,
      )
      .pluck();
    const next = rowReader(database, `${OUTDATED} AND row_id > ?`);
    const steps = new SmallSteps(call, database, path);
    let renewed = 0;
    for (let last = FIRST_ROW; ; ) {
      const rows = next([last], steps.size);
      if (rows.length === 0) break;
      renewed += await steps.run(() => {
        requireKnownIndex(database);
        entries.reset();
        const still = rows.filter(({ row }) => isOutdated.get(row) !== undefined);
        for (const { row, prepared } of still) {
          if (!entries.remove(row)) throw withoutEntry();
          entries.add(row, prepared);
          setDerived(row, prepared);
        }
        entries.flush();
        return still.length;
      });
      last = rows.at(-1)!.row;
      call.progress({ label: "renewing entries of the index", done: renewed, unit: "rows" });
    }
    // whatever this program writes is of its version, and an older one is refused from here on
    await steps.run(() => {
      requireKnownIndex(database);
      database.prepare("UPDATE memori_statistics SET index_version = ?").run(INDEX_VERSION);
    });
    return renewed;
  } catch (error) {
    throw sqliteError(error, path);
  } finally {
    await own.close();
  }
}
