/**
 * References to rows that are not there. A file runs with foreign keys off, because a table is rebuilt by dropping it, which would delete
 * the rows of its children (https://sqlite.org/lang_altertable.html#otheralter); so they are checked before it is kept.
 */
import type Database from "better-sqlite3";
import { messageOf } from "./errors.ts";

/** Tables, and rows of each, that a message names. */
const SHOWN = 5;

/** Rows of a table that refer to rows that a parent table does not have. */
export interface Broken {
  table: string;
  parent: string;
  count: number;
}

/** The broken references of a database, and its tables. */
export interface ReferenceCheck {
  broken: readonly Broken[];
  /** Tables whose foreign key has no unique column to refer to: they cannot be checked; with SQLite's reason. */
  unchecked: readonly string[];
  /** Lower case. */
  tables: ReadonlySet<string>;
}

export function checkReferences(database: Database.Database): ReferenceCheck {
  const tables = database
    .prepare<[], { name: string; sql: string }>(
      "SELECT name, sql FROM main.sqlite_schema WHERE type = 'table'",
    )
    .all();
  const names = new Set(tables.map(({ name }) => name.toLowerCase()));
  // also spares virtual tables whose module is not there: SQLite cannot open them
  const children = tables.filter(({ sql }) => /references/i.test(sql) && !/^create\s+virtual/i.test(sql));
  if (children.length === 0) return { broken: [], unchecked: [], tables: names };
  try {
    return { broken: brokenIn(database, null), unchecked: [], tables: names };
  } catch {
    // one key that cannot be checked ends the check of all: table by table, the others are checked
    return {
      ...checkEach(
        database,
        children.map(({ name }) => name),
      ),
      tables: names,
    };
  }
}

function checkEach(database: Database.Database, names: readonly string[]): Omit<ReferenceCheck, "tables"> {
  const broken: Broken[] = [];
  const unchecked: string[] = [];
  for (const name of names) {
    try {
      broken.push(...brokenIn(database, name));
    } catch (error) {
      unchecked.push(messageOf(error));
    }
  }
  return { broken, unchecked };
}

/** Broken references of a table, of all with null. */
function brokenIn(database: Database.Database, table: string | null): Broken[] {
  return database
    .prepare<[string | null], Broken>(
      `SELECT "table", parent, count(*) AS count FROM pragma_foreign_key_check(?, 'main') GROUP BY 1, 2`,
    )
    .all(table);
}

/**
 * What `after` has more than `before`. Broken references of a table that was renamed or replaced meanwhile are those it had under its old name.
 */
export function newlyBroken(before: ReferenceCheck, after: ReferenceCheck): Broken[] {
  const known = new Map(before.broken.map((one) => [keyOf(one), one.count]));
  const increased = after.broken.flatMap((one) => {
    const count = one.count - (known.get(keyOf(one)) ?? 0);
    return count > 0 ? [{ ...one, count }] : [];
  });
  const was = (name: string) => before.tables.has(name.toLowerCase());
  const is = (name: string) => after.tables.has(name.toLowerCase());
  const isGone = ({ table, parent }: Broken) => (was(table) && !is(table)) || (was(parent) && !is(parent));
  const isNew = ({ table, parent }: Broken) => !was(table) || (!was(parent) && is(parent));
  let carried = before.broken.filter(isGone).reduce((sum, { count }) => sum + count, 0);
  return increased.filter((one) => {
    const isCarried = isNew(one) && one.count <= carried;
    if (isCarried) carried -= one.count;
    return !isCarried;
  });
}

function keyOf({ table, parent }: Broken): string {
  return JSON.stringify([table.toLowerCase(), parent.toLowerCase()]);
}

/** `orders → customers: 3 rows (rowid 7, 8, 9)`, for at most five tables and five rows each. */
export function describeBroken(database: Database.Database, broken: readonly Broken[]): string {
  const rows = database.prepare<[string, string], number | null>(
    `SELECT rowid FROM pragma_foreign_key_check(?, 'main') WHERE parent = ? COLLATE NOCASE ORDER BY 1 LIMIT ${SHOWN}`,
  );
  const parts = broken.slice(0, SHOWN).map(({ table, parent, count }) => {
    const ids = rows
      .pluck()
      .all(table, parent)
      .filter((rowid) => rowid !== null);
    const shown = ids.length === 0 ? "" : ` (rowid ${ids.join(", ")}${count > ids.length ? ", …" : ""})`;
    return `${table} → ${parent}: ${count} ${count === 1 ? "row" : "rows"}${shown}`;
  });
  return parts.join("; ") + (broken.length > SHOWN ? `; and ${broken.length - SHOWN} more` : "");
}
