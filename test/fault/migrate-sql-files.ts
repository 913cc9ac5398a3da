/** Files for the two engines that speak SQL. Their marks: rows of the table `ledger`, and the tables and indexes that they make. */
import { type Marked, type MarkedFile, numbers, versionOf } from "./migrate-subject.ts";

export const NO_TRANSACTION = "-- opsctl: no-transaction\n";

/** A row in the ledger: twice when it runs twice. */
export function row(mark: string): Marked {
  return { text: `INSERT INTO ledger (mark) VALUES ('${mark}');`, adds: mark };
}

/** Every fifth file has no transaction; `special` gives the statements of those. */
export function sqlFiles(
  special: (number: number, version: string) => Omit<MarkedFile, "version">,
): MarkedFile[] {
  return numbers().map((number) => {
    const version = versionOf(number);
    if (number === 1) return { version, ...beginning };
    return { version, ...(number % 5 === 0 ? special(number, version) : ordinary(version)) };
  });
}

/** The ledger stays when its file is rolled back: it is what is counted. */
const beginning: Omit<MarkedFile, "version"> = {
  up: [{ text: "CREATE TABLE ledger (mark text NOT NULL);", adds: "ledger" }, row("V001")],
  down: [row("V001 down")],
};

function ordinary(version: string): Omit<MarkedFile, "version"> {
  const table = `t_${version.toLowerCase()}`;
  return {
    up: [
      row(`${version} first`),
      { text: `CREATE TABLE ${table} (id integer PRIMARY KEY, name text);`, adds: table },
      { text: `INSERT INTO ${table} VALUES (1, 'a; b'), (2, 'c');` },
      { text: `ALTER TABLE ${table} ADD COLUMN note text;` },
      row(`${version} last`),
    ],
    down: [row(`${version} down`), { text: `DROP TABLE ${table};`, removes: table }],
  };
}
