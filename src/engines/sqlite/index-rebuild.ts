/**
 * An index made anew beside the one that answers. Both kinds of kill are harmless: what is there is a whole number of steps, and the next
 * run goes on. While it is being made, triggers note which records change, whoever changes them.
 */
import { randomUUID } from "node:crypto";
import type Database from "better-sqlite3";
import type { Call } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import { INDEX_VERSION } from "../../memory/analyze.ts";
import { setsOf } from "../../migrate/sets.ts";
import { sqliteConnection } from "./connect.ts";
import { sqliteError } from "./errors.ts";
import { IndexEntries, LIVE, requireKnownIndex } from "./index-entries.ts";
import { FIRST_ROW, rowReader } from "./index-records.ts";
import { SmallSteps } from "./index-steps.ts";
import { beginRun, claimRun, endRun, NEXT, removeOld, requireRun, retire, runState } from "./index-tables.ts";
import { refuseNewerIndex } from "./index-version.ts";
import { derivedSetter } from "./memory-write.ts";
import type { FilePlace } from "./open.ts";
import { ensureSchema } from "./schema.ts";

/** Records that changed meanwhile, of which the step that swaps takes care itself: with a busy writer there are always some. */
const LAST_CHANGES = 20;

/**
 * Makes entries, document frequencies and sums anew from the visible records, and with them what the records themselves keep of their text.
 * Records, events, agents and tombstones stay. The old index answers until the new one takes its place.
 * @returns how many records were indexed
 * @throws OpsError `locked` when another process took over
 */
export async function rebuildIndex(call: Call, { path, foreign }: FilePlace): Promise<number> {
  const own = sqliteConnection(path, foreign);
  try {
    if (!foreign) await ensureSchema(call, own, setsOf("sqlite"));
    return await new Rebuild(call, own.database(), path).run();
  } catch (error) {
    throw sqliteError(error, path);
  } finally {
    await own.close();
  }
}

class Rebuild {
  readonly #call: Call;
  readonly #database: Database.Database;
  readonly #steps: SmallSteps;
  readonly #token = randomUUID();

  constructor(call: Call, database: Database.Database, path: string) {
    this.#call = call;
    this.#database = database;
    this.#steps = new SmallSteps(call, database, path);
    // tables of an index are renamed one by one, and what else speaks of them by name stays as it is
    database.unsafeMode(true);
    database.pragma("legacy_alter_table = ON");
  }

  async run(): Promise<number> {
    await removeOld(this.#database, this.#steps);
    while (!(await this.#steps.run(() => this.#begin()))) await removeOld(this.#database, this.#steps);
    const entries = new IndexEntries(this.#database, NEXT);
    await this.#fill(entries);
    let indexed: number | undefined;
    while (indexed === undefined) {
      await this.#catchUp(entries);
      indexed = await this.#steps.run(() => this.#swap(entries));
    }
    await removeOld(this.#database, this.#steps);
    return indexed;
  }

  /** @returns false: what was begun for an older version is out of the way now */
  #begin(): boolean {
    requireKnownIndex(this.#database);
    const begun = runState(this.#database);
    if (!begun) {
      beginRun(this.#database, this.#token);
      return true;
    }
    refuseNewerIndex(begun.version, this.#database.name);
    if (begun.version === INDEX_VERSION) {
      claimRun(this.#database, this.#token);
      return true;
    }
    retire(this.#database, NEXT);
    endRun(this.#database);
    return false;
  }

  async #fill(entries: IndexEntries): Promise<void> {
    const next = rowReader(this.#database, "row_id > ?");
    const setDerived = derivedSetter(this.#database);
    const setCursor = this.#database.prepare("UPDATE opsctl_index_run SET cursor = ?");
    const total = this.#database
      .prepare<[], number>("SELECT count(*) FROM memori_metadata WHERE deleted_at IS NULL")
      .pluck()
      .get()!;
    for (let last = runState(this.#database)!.cursor; last !== null; ) {
      const { size } = this.#steps;
      const rows = next([last], size);
      // records that come after the last one are among the changes
      last = rows.length < size ? null : rows.at(-1)!.row;
      const done = await this.#steps.run(() => {
        const { documents } = this.#requireRun();
        entries.reset();
        for (const { row, prepared } of rows) {
          entries.add(row, prepared);
          setDerived(row, prepared);
        }
        setCursor.run(last);
        entries.flush();
        return documents + rows.length;
      });
      this.#call.progress({ label: "indexing", done, total, unit: "rows" });
    }
  }

  /** Takes over what changed since the run began, until only a few changes are left. */
  async #catchUp(entries: IndexEntries): Promise<void> {
    for (;;) {
      const changes = this.#changes(this.#steps.size);
      if (changes.length <= LAST_CHANGES) return;
      const fresh = this.#fresh(changes);
      await this.#steps.run(() => {
        this.#requireRun();
        this.#take(entries, changes, fresh);
      });
    }
  }

  #changes(limit: number): { seq: number; record: number }[] {
    return this.#database
      .prepare<[number], { seq: number; record: number }>(
        "SELECT seq, record FROM opsctl_index_changes ORDER BY seq LIMIT ?",
      )
      .all(Math.max(limit, LAST_CHANGES + 1));
  }

  /** The changed records as they are now. One that changes again before it is taken has another line, after these. */
  #fresh(changes: readonly { record: number }[]) {
    const list = JSON.stringify([...new Set(changes.map(({ record }) => record))]);
    return rowReader(this.#database, "row_id IN (SELECT value FROM json_each(?))")([list], changes.length);
  }

  #take(
    entries: IndexEntries,
    changes: readonly { seq: number; record: number }[],
    fresh: ReturnType<ReturnType<typeof rowReader>>,
  ): void {
    const setDerived = derivedSetter(this.#database);
    entries.reset();
    for (const record of new Set(changes.map((change) => change.record))) entries.remove(record);
    for (const { row, prepared } of fresh) {
      entries.add(row, prepared);
      setDerived(row, prepared);
    }
    const last = changes.at(-1)?.seq ?? FIRST_ROW;
    this.#database.prepare("DELETE FROM opsctl_index_changes WHERE seq <= ?").run(last);
    entries.flush();
  }

  /** @returns records of the index, which is the one that answers from here on; undefined: too much has changed since */
  #swap(entries: IndexEntries): number | undefined {
    this.#requireRun();
    const changes = this.#changes(0);
    if (changes.length > LAST_CHANGES) return undefined;
    this.#take(entries, changes, this.#fresh(changes));
    const { documents } = this.#requireRun();
    retire(this.#database, LIVE);
    this.#database.exec(
      `ALTER TABLE ${NEXT.entries} RENAME TO ${LIVE.entries};
       ALTER TABLE ${NEXT.terms} RENAME TO ${LIVE.terms};
       UPDATE ${LIVE.sums} SET (documents, title_length, body_length, index_version) =
         (SELECT documents, title_length, body_length, index_version FROM ${NEXT.sums})`,
    );
    endRun(this.#database);
    return documents;
  }

  #requireRun() {
    const state = requireRun(this.#database, this.#token);
    if (state) return state;
    throw new OpsError({
      code: "locked",
      engine: "sqlite",
      message: `another process makes the full-text index of the SQLite file ${this.#database.name} anew`,
      hint: "let it finish, then look with opsctl doctor",
    });
  }
}
