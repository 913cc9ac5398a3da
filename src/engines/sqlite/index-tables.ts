/** The tables of an index that is being made, and what is left of one that was replaced. */
import type Database from "better-sqlite3";
import { INDEX_VERSION } from "../../memory/analyze.ts";
import type { IndexTables } from "./index-entries.ts";
import { FIRST_ROW } from "./index-records.ts";
import type { SmallSteps } from "./index-steps.ts";

/** The index that is being made; `sums` says also how far. */
export const NEXT: IndexTables = {
  entries: "opsctl_index_next",
  terms: "opsctl_index_terms",
  sums: "opsctl_index_run",
};

export interface RunState {
  /** Records after this row are not in the new index; null: all are. */
  cursor: number | null;
  documents: number;
  version: number;
}

/** Of the index that is being made; undefined: none is. */
export function runState(database: Database.Database): RunState | undefined {
  if (!hasTable(database, NEXT.sums)) return undefined;
  return database
    .prepare<[], RunState>(`SELECT cursor, documents, index_version AS version FROM ${NEXT.sums}`)
    .get();
}

/** The state, when the run still belongs to this process. */
export function requireRun(database: Database.Database, token: string): RunState | undefined {
  if (!hasTable(database, NEXT.sums)) return undefined;
  const owner = database.prepare<[], string>(`SELECT token FROM ${NEXT.sums}`).pluck().get();
  return owner === token ? runState(database) : undefined;
}

/** Makes the tables, and the triggers that note what changes from here on. Inside the caller's transaction. */
export function beginRun(database: Database.Database, token: string): void {
  const noted = (row: string) => `INSERT INTO opsctl_index_changes (record) VALUES (${row});`;
  database.exec(
    `CREATE VIRTUAL TABLE ${NEXT.entries} USING fts5 (title, body, shape, tokenize = "ascii tokenchars '_'");
     CREATE TABLE ${NEXT.terms} (term TEXT NOT NULL PRIMARY KEY, df INTEGER NOT NULL) WITHOUT ROWID;
     CREATE TABLE ${NEXT.sums} (token TEXT NOT NULL, cursor INTEGER, documents INTEGER NOT NULL,
       title_length INTEGER NOT NULL, body_length INTEGER NOT NULL, index_version INTEGER NOT NULL);
     CREATE TABLE opsctl_index_changes (seq INTEGER PRIMARY KEY, record INTEGER NOT NULL);
     CREATE TRIGGER opsctl_index_inserted AFTER INSERT ON memori_metadata BEGIN ${noted("new.row_id")} END;
     CREATE TRIGGER opsctl_index_updated AFTER UPDATE OF row_id, key, content, details, deleted_at ON memori_metadata
       BEGIN ${noted("old.row_id")} ${noted("new.row_id")} END;
     CREATE TRIGGER opsctl_index_deleted AFTER DELETE ON memori_metadata BEGIN ${noted("old.row_id")} END;`,
  );
  database.prepare(`INSERT INTO ${NEXT.sums} VALUES (?, ?, 0, 0, 0, ?)`).run(token, FIRST_ROW, INDEX_VERSION);
}

/** Goes on with what another process began: that one notices at its next step. */
export function claimRun(database: Database.Database, token: string): void {
  database.prepare(`UPDATE ${NEXT.sums} SET token = ?`).run(token);
}

/** Takes the triggers away, and what they noted. */
export function endRun(database: Database.Database): void {
  database.exec(
    `DROP TRIGGER IF EXISTS opsctl_index_inserted; DROP TRIGGER IF EXISTS opsctl_index_updated;
     DROP TRIGGER IF EXISTS opsctl_index_deleted; DROP TABLE IF EXISTS opsctl_index_changes;
     DROP TABLE IF EXISTS ${NEXT.sums}`,
  );
}

const OLD = "opsctl_index_old_";
/** The large ones behind an FTS5 table (https://sqlite.org/fts5.html#fts5_data_structures). */
const BEHIND = ["data", "idx", "content", "docsize"];

/**
 * Takes an index out of use, however damaged it is: its tables get names of their own, from which `removeOld` takes them away. To drop them as
 * they are would take seconds where they are large.
 * @param database in unsafe mode: it protects the tables behind an FTS5 table
 */
export function retire(database: Database.Database, { entries, terms }: IndexTables): void {
  for (const part of BEHIND) {
    if (!hasTable(database, `${entries}_${part}`)) continue;
    database.exec(`ALTER TABLE ${entries}_${part} RENAME TO ${OLD}${part}`);
  }
  database.exec(`DROP TABLE ${entries}; ALTER TABLE ${terms} RENAME TO ${OLD}terms`);
}

export function oldTables(database: Database.Database): string[] {
  return database
    .prepare<[string], string>("SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name GLOB ?")
    .pluck()
    .all(`${OLD}*`);
}

/** Empties what was replaced, some rows a step, and drops it. */
export async function removeOld(database: Database.Database, steps: SmallSteps): Promise<void> {
  for (const table of oldTables(database)) {
    for (let isEmpty = false; !isEmpty; ) {
      isEmpty = await steps.run(() => {
        if (!hasTable(database, table)) return true;
        const { changes } = database.prepare(`DELETE FROM ${table} LIMIT ?`).run(steps.size);
        if (changes > 0) return false;
        database.exec(`DROP TABLE ${table}`);
        return true;
      });
    }
  }
}

function hasTable(database: Database.Database, name: string): boolean {
  return database.prepare("SELECT 1 FROM main.sqlite_schema WHERE name = ?").get(name) !== undefined;
}
