/** Looks at a copy of a SQLite file: whether it is whole, and what it holds. It may come from anywhere: nothing in it is trusted. */
import Database from "better-sqlite3";
import { OpsError } from "../../errors.ts";
import { messageOf, sqliteError } from "./errors.ts";

export interface Found {
  /** `tables` and `rows`, without those that SQLite and virtual tables keep for themselves. */
  counts: Record<string, number>;
  /** Rows by table. */
  breakdown: Record<string, number>;
  /** What an operator should know, a line each. */
  notes: string[];
}

/** Findings that are read at first: enough to see whether one of them is damage. */
const FINDINGS = 100;
const ALL_FINDINGS = 1_000_000;
const FINDING_CHARS = 300;
/**
 * Findings of `integrity_check` about values that a schema does not allow, not about the file: it can be read, and restored, as it is
 * (pragma.c of SQLite: NOT NULL, STRICT, CHECK, affinity).
 */
const ABOUT_VALUES =
  /^(NULL value in|non-\w+ value in|NUMERIC value in|TEXT value in|CHECK constraint failed)/;

/**
 * @param path of the copy, opened for reading only
 * @param name of the file that it is a copy of, for messages
 * @throws OpsError `integrity` naming the first damage that was found
 */
export function checkCopy(path: string, name: string): Found {
  return examined(name, () => {
    const database = new Database(path, { readonly: true, fileMustExist: true });
    try {
      return examine(database, name, true);
    } finally {
      database.close();
    }
  });
}

/** @param isDeep false: what it holds is counted, and no more looked at than that takes */
export function examine(database: Database.Database, name: string, isDeep: boolean): Found {
  database.pragma("trusted_schema = OFF");
  database.pragma("cell_size_check = ON");
  const notes = isDeep ? [...checkPages(database, name), ...checkForeignKeys(database)] : [];
  const { breakdown, uncounted } = countRows(database);
  if (uncounted.length > 0) notes.push(`not counted: ${uncounted.join(", ")}`);
  const rows = Object.values(breakdown);
  const counts = { tables: rows.length, rows: rows.reduce((sum, count) => sum + count, 0) };
  return { counts, breakdown, notes };
}

/** What `work` finds. @throws OpsError `integrity` for damage that SQLite met on the way */
export function examined<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (isDamage(error)) throw damaged(name, error.message);
    throw sqliteError(error, name);
  }
}

export function damaged(name: string, finding: string): OpsError {
  return new OpsError({
    code: "integrity",
    engine: "sqlite",
    message: `SQLite file ${name} is damaged: ${short(finding)}`,
    hint: "restore it from an older backup, or try `sqlite3 FILE .recover`",
  });
}

/** On one line; a name in it may be as long as a file. */
function short(finding: string): string {
  return finding.slice(0, FINDING_CHARS).replaceAll(/\s+/g, " ").trim();
}

/** @returns notes @throws OpsError `integrity` for damage */
function checkPages(database: Database.Database, name: string): string[] {
  try {
    const first = findings(database, name, String(FINDINGS));
    const all = first.count < FINDINGS ? first : findings(database, name, String(ALL_FINDINGS));
    return notesOf(all);
  } catch (error) {
    if (!isRefused(error)) throw error;
    return checkEachTable(database, name);
  }
}

/** Where a table uses a collation or function that only its program has, SQLite refuses to check anything: the other tables can be checked. */
function checkEachTable(database: Database.Database, name: string): string[] {
  return tablesOf(database).flatMap((table) => {
    try {
      return notesOf(findings(database, name, quoted(table)));
    } catch (error) {
      if (!isRefused(error)) throw error;
      return [`table ${short(table)} was not checked: ${short(messageOf(error))}`];
    }
  });
}

interface Findings {
  count: number;
  first: string | undefined;
}

function notesOf({ count, first }: Findings): string[] {
  if (first === undefined) return [];
  return [`${count} values are not as the schema wants them; the first: ${short(first)}`];
}

/**
 * Damage of pages is found before anything else, so values cannot hide it from a short look.
 * @param scope a number of findings, or a quoted table
 * @throws OpsError `integrity` at the first that is damage
 */
function findings(database: Database.Database, name: string, scope: string): Findings {
  let count = 0;
  let first: string | undefined;
  const check = database.prepare<[], string>(`PRAGMA integrity_check(${scope})`).pluck();
  for (const finding of check.iterate()) {
    if (finding === "ok") continue;
    if (!ABOUT_VALUES.test(finding)) throw damaged(name, finding);
    count += 1;
    first ??= finding;
  }
  return { count, first };
}

/** Rows whose parents are missing are no damage: SQLite checks foreign keys only where a program asks for it. */
function checkForeignKeys(database: Database.Database): string[] {
  try {
    const { count, child, parent } = database
      .prepare<[], { count: number; child: string | null; parent: string | null }>(
        `SELECT count(*) AS count, min("table") AS child, min(parent) AS parent FROM pragma_foreign_key_check`,
      )
      .get()!;
    return count === 0
      ? []
      : [`${count} rows refer to rows that are not there, for example ${short(`${child} → ${parent}`)}`];
  } catch (error) {
    if (!isRefused(error)) throw error;
    return [`foreign keys were not checked: ${messageOf(error)}`];
  }
}

/** Of a virtual table as many as its module says; those of modules that are not here are left out. */
function countRows(database: Database.Database): { breakdown: Record<string, number>; uncounted: string[] } {
  const rows: [table: string, count: number][] = [];
  const uncounted: string[] = [];
  for (const table of tablesOf(database)) {
    try {
      const count = database.prepare<[], number>(`SELECT count(*) FROM main.${quoted(table)}`).pluck();
      rows.push([table, count.get()!]);
    } catch (error) {
      if (!isRefused(error)) throw error;
      uncounted.push(short(table));
    }
  }
  return { breakdown: Object.fromEntries(rows), uncounted };
}

/** Without those that SQLite and virtual tables keep for themselves. */
function tablesOf(database: Database.Database): string[] {
  return database
    .prepare<[], string>(
      `SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'virtual')
         AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name`,
    )
    .pluck()
    .all();
}

function quoted(table: string): string {
  return `"${table.replaceAll('"', '""')}"`;
}

/** SQLite refuses the question; the file itself is not what is wrong. */
function isRefused(error: unknown): boolean {
  return error instanceof Database.SqliteError && error.code.startsWith("SQLITE_ERROR");
}

function isDamage(error: unknown): error is Error {
  return error instanceof Database.SqliteError && error.code.startsWith("SQLITE_CORRUPT");
}
