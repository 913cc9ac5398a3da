import { existsSync } from "node:fs";
import type Database from "better-sqlite3";
import type { Call } from "../../call.ts";
import type { Journal, JournalEntry, NewWrite } from "../../memory/journal.ts";
import type { Write } from "../../memory/model.ts";
import { stateSets } from "../../migrate/sets.ts";
import type { SqliteConnection } from "./connect.ts";
import { busyOwners, type JournalRow, toWrite, waitingEntries } from "./journal-waiting.ts";
import { ensureSchema } from "./schema.ts";

/** How long a process may take to deliver its own writes before others try; a process that ended frees them at once. */
const OWNED_MS = 60_000;

/** The journal in this host's state file. Reading does not create the file. */
export function sqliteJournal(connection: SqliteConnection): Journal {
  const sets = stateSets();
  const ready = (call: Call) => ensureSchema(call, connection, sets);
  const isEmpty = () => !existsSync(connection.path);

  async function write<T>(call: Call, work: (database: Database.Database) => T): Promise<T> {
    await ready(call);
    return connection.write(call, work);
  }
  async function read<T>(call: Call, empty: T, work: (database: Database.Database) => T): Promise<T> {
    if (isEmpty()) return empty;
    await ready(call);
    return connection.read(work);
  }

  return {
    isEmpty: async () => isEmpty(),
    append: (call, writes, stores) => write(call, (database) => append(database, writes, stores)),

    waiting: (call, store, afterSeq, limit) =>
      read(call, [], (database) => waitingEntries(database, store, afterSeq, limit, [])),

    deliverable: (call, store, afterSeq, limit) =>
      read(call, [], (database) =>
        // one snapshot for both queries: an owner that comes in between must not be missed
        database.transaction(() =>
          waitingEntries(database, store, afterSeq, limit, busyOwners(database, store)),
        )(),
      ),

    remaining: (call, store, seqs) =>
      read(call, new Map(), (database) => {
        const rows = database
          .prepare<[string, string], Pick<JournalEntry, "seq" | "state">>(
            `SELECT seq, state FROM opsctl_journal_targets
             WHERE store = ? AND seq IN (SELECT value FROM json_each(?))`,
          )
          .all(store, JSON.stringify(seqs));
        return new Map(rows.map(({ seq, state }) => [seq, state]));
      }),

    delivered: (call, store, seqs) =>
      write(call, (database) => {
        const list = JSON.stringify(seqs);
        database
          .prepare(
            "DELETE FROM opsctl_journal_targets WHERE store = ? AND seq IN (SELECT value FROM json_each(?))",
          )
          .run(store, list);
        database
          .prepare(
            `DELETE FROM opsctl_journal WHERE seq IN (SELECT value FROM json_each(?))
             AND NOT EXISTS (SELECT 1 FROM opsctl_journal_targets t WHERE t.seq = opsctl_journal.seq)`,
          )
          .run(list);
      }),

    failed: (call, store, seqs, reason, rejected) =>
      write(call, (database) => {
        database
          .prepare(
            `UPDATE opsctl_journal_targets SET attempts = attempts + 1, last_error = ?, state = ?, owned_to = 0
             WHERE store = ? AND seq IN (SELECT value FROM json_each(?))`,
          )
          .run(reason, rejected ? "rejected" : "waiting", store, JSON.stringify(seqs));
      }),

    readdress: (call, from, to) =>
      write(call, (database) => {
        database
          .prepare(
            "UPDATE OR IGNORE opsctl_journal_targets SET store = ? WHERE store = ? AND state = 'waiting'",
          )
          .run(to, from);
      }),

    counts: (call) =>
      read(call, [], (database) =>
        database
          .prepare<[], { store: string; waiting: number; rejected: number }>(
            `SELECT store, count(*) FILTER (WHERE state = 'waiting') AS waiting,
               count(*) FILTER (WHERE state = 'rejected') AS rejected
             FROM opsctl_journal_targets GROUP BY store ORDER BY store`,
          )
          .all(),
      ),

    list: (call, limit) => read(call, [], (database) => entries(database, "1", [limit])),

    entry: (call, seq) => read(call, undefined, (database) => entries(database, "t.seq = ?", [seq, 1])[0]),

    drop: (call, seq) =>
      write(
        call,
        (database) => database.prepare("DELETE FROM opsctl_journal WHERE seq = ?").run(seq).changes > 0,
      ),
  };
}

function entries(database: Database.Database, condition: string, params: readonly number[]): JournalEntry[] {
  return database
    .prepare<unknown[], JournalRow & Omit<JournalEntry, "write">>(
      `SELECT j.*, t.store, t.state, t.attempts, t.last_error AS lastError
       FROM opsctl_journal_targets t JOIN opsctl_journal j USING (seq)
       WHERE ${condition} ORDER BY t.seq, t.store LIMIT ?`,
    )
    .all(...params)
    .map((row) => ({
      seq: row.seq,
      store: row.store,
      state: row.state,
      attempts: row.attempts,
      lastError: row.lastError,
      write: toWrite(row),
    }));
}

function append(database: Database.Database, writes: readonly NewWrite[], stores: readonly string[]) {
  const { last } = database.prepare<[], { last: number }>("SELECT last FROM opsctl_journal_clock").get()!;
  const insert = database.prepare("INSERT INTO opsctl_journal (write_time, payload) VALUES (?, ?)");
  const target = database.prepare(
    "INSERT INTO opsctl_journal_targets (store, seq, owner, owned_to) VALUES (?, ?, ?, ?)",
  );
  // one time for all: a large import must not run ahead of the clocks of other hosts
  const time = Math.max(Date.now(), last + 1);
  const entries = writes.map((write) => {
    const seq = insert.run(time, JSON.stringify(write)).lastInsertRowid as number;
    for (const store of stores) target.run(store, seq, process.pid, Date.now() + OWNED_MS);
    return { seq, write: { ...write, order: time } as Write };
  });
  database.prepare("UPDATE opsctl_journal_clock SET last = ?").run(time);
  return entries;
}
