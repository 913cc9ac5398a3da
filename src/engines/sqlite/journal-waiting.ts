import type Database from "better-sqlite3";
import type { Write } from "../../memory/model.ts";

export interface JournalRow {
  seq: number;
  write_time: number;
  payload: string;
}

export interface Entry {
  seq: number;
  write: Write;
}

/** Neo4j keeps a transaction in its heap: 346 MiB of texts in one broke a server with 512 MiB. */
const BATCH_CHARACTERS = 8 * 1024 * 1024;

/** What waits for a store, but for what the processes in `busy` are about to deliver; as much as fits one transaction. */
export function waitingEntries(
  database: Database.Database,
  store: string,
  afterSeq: number,
  limit: number,
  busy: readonly number[],
): Entry[] {
  const rows = database
    .prepare<unknown[], JournalRow>(
      `SELECT j.* FROM opsctl_journal_targets t JOIN opsctl_journal j USING (seq)
       WHERE t.store = ? AND t.state = 'waiting' AND t.seq > ?
         AND NOT (t.owned_to > ? AND t.owner IN (SELECT value FROM json_each(?)))
       ORDER BY t.seq LIMIT ?`,
    )
    .iterate(store, afterSeq, Date.now(), JSON.stringify(busy), limit);
  const batch: Entry[] = [];
  let characters = 0;
  for (const row of rows) {
    characters += row.payload.length;
    if (batch.length > 0 && characters > BATCH_CHARACTERS) break;
    batch.push({ seq: row.seq, write: toWrite(row) });
  }
  return batch;
}

/** Other living processes of this host that have just written something for this store and are about to deliver it. */
export function busyOwners(database: Database.Database, store: string): number[] {
  return database
    .prepare<unknown[], { owner: number }>(
      "SELECT DISTINCT owner FROM opsctl_journal_targets WHERE store = ? AND owned_to > ?",
    )
    .all(store, Date.now())
    .map(({ owner }) => owner)
    .filter((pid) => pid !== process.pid && isAlive(pid));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it lives, as somebody else
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

export function toWrite(row: JournalRow): Write {
  return { ...JSON.parse(row.payload), order: row.write_time };
}
