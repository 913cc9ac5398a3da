import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Thread, useThread } from "../../src/engines/sqlite/backup-thread.ts";
import { BackupFolder } from "./sqlite-backup-kit.ts";

/** Most of a small backup is the start of its threads: they are kept. */
const threads: Thread[] = [];
beforeAll(() => {
  threads.push(useThread("copying"), useThread("checking"));
});
afterAll(() => {
  for (const thread of threads) thread.release();
});

let files: BackupFolder;
beforeEach(() => {
  files = new BackupFolder();
});
afterEach(() => files.remove());

describe("what is counted", () => {
  test("every table but those that SQLite and virtual tables keep for themselves", async () => {
    files.sql(`
      CREATE TABLE plain (id INTEGER PRIMARY KEY AUTOINCREMENT, a);
      INSERT INTO plain (a) VALUES (1), (2);
      CREATE TABLE "two ""words"" 'and' [more]" (a PRIMARY KEY) WITHOUT ROWID;
      INSERT INTO "two ""words"" 'and' [more]" VALUES (1), (2), (3);
      CREATE TABLE generated (a, b AS (a * 2) STORED, c AS (a + 1)) ;
      INSERT INTO generated (a) VALUES (5);
      CREATE TABLE strict (a INTEGER) STRICT;
      CREATE VIRTUAL TABLE words USING fts5 (text);
      INSERT INTO words VALUES ('one'), ('two');
      CREATE VIEW everything AS SELECT * FROM plain, plain, plain;
      CREATE TABLE "select" ("group"); INSERT INTO "select" VALUES (NULL)`);
    const { copied, file } = await files.backup();
    const breakdown = {
      generated: 1,
      plain: 2,
      select: 1,
      strict: 0,
      [`two "words" 'and' [more]`]: 3,
      words: 2,
    };
    expect(copied).toMatchObject({ counts: { tables: 6, rows: 9 }, breakdown, notes: [] });
    expect(await files.parseFile(file)).toEqual({ counts: { tables: 6, rows: 9 }, breakdown });
  });

  /** After the values: a program that writes schemas by itself. */
  const NOT_NULL = `PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'CREATE TABLE t (a NOT NULL)'`;
  const oddities: { what: string; make: (path: string) => void; notes: RegExp[]; breakdown: object }[] = [
    {
      what: "a virtual table whose module is not here",
      make: (path) =>
        files.sql(
          `CREATE TABLE t (a); PRAGMA writable_schema = ON;
           INSERT INTO sqlite_schema VALUES ('table', 'v', 'v', 0, 'CREATE VIRTUAL TABLE v USING absent(a)')`,
          path,
        ),
      notes: [/^not counted: v$/],
      breakdown: { t: 0 },
    },
    {
      what: "an index whose collation only its program has",
      make: (path) =>
        files.sql(
          `CREATE TABLE t (a); CREATE INDEX i ON t (a); INSERT INTO t VALUES ('x'); CREATE TABLE u (a);
           PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'CREATE INDEX i ON t (a COLLATE absent)' WHERE name = 'i'`,
          path,
        ),
      notes: [/^table t was not checked: no such collation sequence: absent$/],
      breakdown: { t: 1, u: 0 },
    },
    {
      what: "values that the schema does not allow",
      make: (path) => files.sql(`CREATE TABLE t (a); INSERT INTO t VALUES (NULL), (NULL); ${NOT_NULL}`, path),
      notes: [/^2 values are not as the schema wants them; the first: NULL value in t\.a$/],
      breakdown: { t: 2 },
    },
    {
      what: "more of them than are read at first",
      make: (path) =>
        files.sql(
          `CREATE TABLE t (a);
           INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 150) SELECT NULL FROM n;
           ${NOT_NULL}`,
          path,
        ),
      notes: [/^150 values are not/],
      breakdown: { t: 150 },
    },
    {
      what: "rows whose parents are missing",
      make: (path) =>
        files.sql(
          `PRAGMA foreign_keys = OFF; CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p REFERENCES p); INSERT INTO c VALUES (4)`,
          path,
        ),
      notes: [/^1 rows refer to rows that are not there, for example c → p$/],
      breakdown: { c: 1, p: 0 },
    },
  ];
  test.each(oddities)("$what: a note, and the file is copied", async ({ make, notes, breakdown }) => {
    make(files.path);
    const { copied, file } = await files.backup();
    expect(copied.breakdown).toEqual(breakdown);
    expect(copied.notes).toEqual(notes.map((note) => expect.stringMatching(note)));
    expect(await files.parseFile(file)).toMatchObject({ breakdown });
  });
});
