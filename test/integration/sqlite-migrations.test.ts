import { afterEach, beforeEach, describe, expect, it, test } from "vitest";
import { executedChecksum } from "../../src/migrate/stepwise.ts";
import { MigratedFile } from "./sqlite-folder.ts";

let file: MigratedFile;
beforeEach(() => {
  file = new MigratedFile();
});
afterEach(() => file.remove());

const SHOP = `
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER NOT NULL REFERENCES customers (id) ON DELETE CASCADE);
INSERT INTO customers VALUES (1, 'a'), (2, 'b');
INSERT INTO orders VALUES (10, 1), (11, 1), (12, 2);
`;
const REBUILD = `
CREATE TABLE customers_new (id INTEGER PRIMARY KEY, name TEXT NOT NULL DEFAULT '', country TEXT);
INSERT INTO customers_new (id, name) SELECT id, name FROM customers;
DROP TABLE customers;
ALTER TABLE customers_new RENAME TO customers;
`;

describe("foreign keys", () => {
  it("a table that is rebuilt keeps the rows of its children, ON DELETE CASCADE or not", async () => {
    await file.up({ "V001-shop-up.sql": SHOP, "V002-rebuild-up.sql": REBUILD });
    expect(file.values("SELECT id FROM orders ORDER BY id")).toEqual([10, 11, 12]);
    expect(file.values("SELECT count(*) FROM pragma_foreign_key_check")).toEqual([0]);
    expect(file.values("SELECT sql FROM sqlite_schema WHERE name = 'orders'")[0]).toMatch(
      /REFERENCES customers \(id\)/,
    );
    // and they are on again for whoever uses the connection next
    expect(file.connection.database().pragma("foreign_keys", { simple: true })).toBe(1);
  });

  it("a file that leaves children without their parents is refused and keeps nothing", async () => {
    await file.up({ "V001-shop-up.sql": SHOP });
    await expect(
      file.up({ "V002-x-up.sql": "CREATE TABLE more (a);\nDELETE FROM customers WHERE id = 1" }),
    ).rejects.toMatchObject({
      code: "failed",
      message: expect.stringMatching(
        /^V002-x-up\.sql .*orders → customers: 2 rows \(rowid 10, 11\).*nothing/,
      ),
      hint: expect.stringContaining("ON DELETE CASCADE"),
    });
    expect(file.tables()).toEqual(["customers", "orders"]);
    expect(file.values("SELECT id FROM customers")).toEqual([1, 2]);
    expect(await file.row()).toMatchObject({ version: "V001", state: "applied" });
  });

  it("dropping the parents for good is refused, too", async () => {
    await file.up({ "V001-shop-up.sql": SHOP });
    await expect(file.up({ "V002-x-up.sql": "DROP TABLE customers" })).rejects.toThrow(
      /orders → customers: 3/,
    );
  });

  const OLD = `${SHOP} DELETE FROM customers WHERE id = 2;`;
  test.each<[string, string]>([
    ["other tables", "CREATE TABLE more (a)"],
    ["the parent is rebuilt", REBUILD],
    ["the parent is renamed", "ALTER TABLE customers RENAME TO clients"],
    ["the child is renamed", "ALTER TABLE orders RENAME TO purchases"],
    ["both are", "ALTER TABLE orders RENAME TO purchases; ALTER TABLE customers RENAME TO clients"],
    ["the broken rows go", "DELETE FROM orders WHERE customer = 2"],
  ])("old violations are no obstacle: %s", async (_, text) => {
    file.sql(OLD);
    const up = file.target;
    await up.prepare(file.call, ["user"], false);
    file.files({ "V001-x-up.sql": text });
    await adopt();
    expect(await file.up()).toEqual(["V001"]);
    const warnings = file.log.filter((line) => line.startsWith("WARNING"));
    const isMended = text.startsWith("DELETE");
    expect(warnings).toHaveLength(isMended ? 0 : 1);
    if (!isMended) expect(warnings[0]).toMatch(/→ \w+: 1 row \(rowid 12\)/);
  });

  it("a new violation beside old ones is refused", async () => {
    file.sql(OLD);
    await file.target.prepare(file.call, ["user"], false);
    await adopt();
    await expect(file.up({ "V001-x-up.sql": "DELETE FROM customers" })).rejects.toThrow(
      /orders → customers: 2/,
    );
  });

  it("what another program breaks between two files is not the second one's fault", async () => {
    const files = {
      "V001-shop-up.sql": SHOP,
      "V002-x-up.sql": "CREATE TABLE a (b)",
      "V003-x-up.sql": "CREATE TABLE c (d)",
    };
    const onDone = () => file.sql("INSERT INTO orders (customer) VALUES (99)");
    await file.up(files, { onDone });
    expect(file.tables()).toEqual(["a", "c", "customers", "orders"]);
    await expect(file.up({ "V004-x-up.sql": "INSERT INTO orders (customer) VALUES (99)" })).rejects.toThrow(
      /orders → customers: 1 row/,
    );
  });

  it("a key that refers to nothing unique is reported, and is no obstacle", async () => {
    await file.up({
      "V001-x-up.sql":
        "CREATE TABLE p (code INT); CREATE TABLE c (x REFERENCES p (code)); INSERT INTO c VALUES (1)",
    });
    expect(file.log.join()).toContain('foreign key mismatch - "c" referencing "p"');
  });

  it("a virtual table whose module is not there does not disturb", async () => {
    file.with((database) => {
      database.unsafeMode();
      database.pragma("writable_schema = ON");
      database
        .prepare(
          "INSERT INTO sqlite_schema VALUES ('table', 'v', 'v', 0, 'CREATE VIRTUAL TABLE v USING missing (references)')",
        )
        .run();
    });
    await adopt();
    expect(
      await file.up({ "V001-x-up.sql": "CREATE TABLE a (b INTEGER PRIMARY KEY, c REFERENCES a)" }),
    ).toEqual(["V001"]);
    await expect(file.up({ "V002-x-up.sql": "INSERT INTO a VALUES (1, 5)" })).rejects.toThrow(/a → a: 1 row/);
    expect(await file.target.occupants(file.call)).toEqual(["a", "v"]);
    expect(await file.target.dump!(file.call)).toContain("USING missing");
  });

  /** Files come on top of what is there. */
  async function adopt(): Promise<void> {
    await file.target.prepare(file.call, ["user"], false);
    await file.target.exclusively(file.call, 1000, () =>
      file.target.record(file.call, [
        {
          set_name: "user",
          version: "0",
          seq: 0,
          file: "",
          description: "",
          checksum: "",
          state: "applied",
          statement_index: 0,
          applied_by: "t",
          applied_at: 1,
          duration_ms: 0,
          tool_version: "0",
        },
      ]),
    );
  }
});

describe("a file that fails", () => {
  const SEVEN = [
    "CREATE TABLE a (x)",
    "INSERT INTO a VALUES (1)",
    "CREATE TABEL b (x)",
    "SELECT 1",
    "SELECT 2",
    "SELECT 3",
    "SELECT 4",
  ];

  it("a syntax error in statement 3 of 7: place, caret, nothing kept; the file before stays", async () => {
    await expect(
      file.up({
        "V001-x-up.sql": "CREATE TABLE z (a)",
        "V002-seven-up.sql": `-- first\n${SEVEN.join(";\n")};\n`,
      }),
    ).rejects.toMatchObject({
      code: "failed",
      message: 'V002-seven-up.sql:4:8: near "TABEL": syntax error\n  4 | CREATE TABEL b (x);\n    |        ^',
      hint: "nothing of the file was kept; correct the file and run the command again",
    });
    expect(file.tables()).toEqual(["z"]);
    expect(await file.target.history(file.call)).toMatchObject([{ version: "V001", state: "applied" }]);
    await file.up({ "V002-seven-up.sql": SEVEN.join(";").replace("TABEL", "TABLE") });
    expect(file.tables()).toEqual(["a", "b", "z"]);
  });

  test.each<[string, string, string]>([
    ["the second of two equal words", "SELECT a\n FROM FROM t", '2:7: near "FROM"'],
    ["not the word in the comment before", "-- SELEC\n/* SELEC */ SELEC 1", '2:13: near "SELEC"'],
    ["nor the one in a string", "SELECT 'WHEER' WHEER 1 FROM x", '1:22: near "1"'],
    ["what ends too early", "CREATE TABLE t (a,\n  b", "2:4: incomplete input"],
    ["an odd character", "SELECT 1;\nSELECT # 2", '2:8: unrecognized token: "#"'],
    ["a table that is not there", "INSERT INTO  nope VALUES (1)", "1:14: no such table: nope"],
    [
      "a column that is not there",
      "CREATE TABLE t (a); SELECT a, t.nope FROM t",
      "1:33: no such column: t.nope",
    ],
    ["a table that is there", 'CREATE TABLE t (a);\nCREATE TABLE "t" (b)', '2:14: table "t" already exists'],
    [
      "an index that is there",
      "CREATE TABLE t (a); CREATE INDEX i ON t (a);\nCREATE INDEX i ON t (a)",
      "2:14: index i already exists",
    ],
    ["a column twice", "CREATE TABLE t (a, b, A)", "1:23: duplicate column name: A"],
    [
      "a missing column of a table",
      "CREATE TABLE t (a); INSERT INTO t (b) VALUES (1)",
      "1:36: table t has no column named b",
    ],
    ["too many values", "CREATE TABLE t (a); INSERT INTO t VALUES (1, 2)", "1:33: table t has 1 column"],
    ["a function that is not there", "SELECT 1, nope(2)", "1:11: no such function: nope"],
    [
      "a constraint",
      "CREATE TABLE t (a UNIQUE);\n  INSERT INTO t VALUES (1), (1)",
      "2:3: UNIQUE constraint failed: t.a",
    ],
    ["characters beyond the first plane", "SELECT '😀', #", '1:13: unrecognized token: "#"'],
  ])("%s", async (_, text, message) => {
    await expect(file.up({ "V001-x-up.sql": text })).rejects.toThrow(`V001-x-up.sql:${message}`);
    expect(file.tables()).toEqual([]);
    expect(await file.row()).toBeUndefined();
  });

  it("the place of an error is found at once in a long statement, too", async () => {
    const values = "(1), ".repeat(50_000);
    const text = `CREATE TABLE t (a);\nINSERT INTO t VALUES ${values}(1), , (1)`;
    const column = text.indexOf(", , ") + 3 - text.indexOf("INSERT");
    await expect(file.up({ "V001-x-up.sql": text })).rejects.toThrow(`V001-x-up.sql:2:${column}: near ","`);
  });

  it("a full file: nothing of it is kept, what was applied before stays, and it goes on when there is room", async () => {
    await file.up({ "V001-x-up.sql": "CREATE TABLE a (b)" });
    const big = "PRAGMA max_page_count = 20;\nCREATE TABLE c (d);\nINSERT INTO c VALUES (zeroblob(1000000))";
    await expect(file.up({ "V002-big-up.sql": big })).rejects.toMatchObject({
      code: "failed",
      message: expect.stringMatching(
        /^V002-big-up\.sql: SQLite file .* disk is full; nothing of the file was kept$/,
      ),
    });
    expect(file.tables()).toEqual(["a"]);
    expect(file.values("PRAGMA integrity_check")).toEqual(["ok"]);
    expect(await file.target.history(file.call)).toMatchObject([{ version: "V001", state: "applied" }]);
    await file.up({ "V002-big-up.sql": big.replace("20", "2000") });
    expect(file.tables()).toEqual(["a", "c"]);
  });

  it("a file that drops the history, or makes it unwritable", async () => {
    await file.up({ "V001-x-up.sql": "CREATE TABLE a (b)" });
    for (const text of ["DROP TABLE opsctl_migrations", "PRAGMA query_only = 1"]) {
      await expect(file.up({ "V002-x-up.sql": text })).rejects.toThrow(/V002-x-up\.sql cannot be recorded/);
    }
    expect(await file.row()).toMatchObject({ version: "V001", state: "applied" });
  });

  it("ON CONFLICT ROLLBACK ends the transaction: nothing is kept", async () => {
    const text = "CREATE TABLE a (b UNIQUE); INSERT INTO a VALUES (1); INSERT OR ROLLBACK INTO a VALUES (1)";
    await expect(file.up({ "V001-x-up.sql": text })).rejects.toThrow(/UNIQUE constraint failed/);
    expect(file.tables()).toEqual([]);
  });
});

describe("what files may hold", () => {
  it("triggers, virtual tables, selects, pragmas that answer, quotes, CRLF", async () => {
    await file.up({
      "V001-x-up.sql": [
        "CREATE TABLE a (b, c);",
        "CREATE TRIGGER t AFTER INSERT ON a BEGIN",
        "  UPDATE a SET c = CASE WHEN new.b = ';' THEN 'semicolon' ELSE 'none' END WHERE rowid = new.rowid;",
        "END;",
        "CREATE VIRTUAL TABLE f USING fts5 (x);",
        "INSERT INTO a (b) VALUES (';'), ('END;');",
        "SELECT * FROM a; PRAGMA table_info(a); PRAGMA user_version = 7; EXPLAIN SELECT 1",
      ].join("\r\n"),
    });
    expect(file.values("SELECT c FROM a")).toEqual(["semicolon", "none"]);
    expect(file.values("PRAGMA user_version")).toEqual([7]);
  });

  it("triggers that keep a time of change do not call themselves", async () => {
    await file.up({
      "V001-x-up.sql":
        "CREATE TABLE a (b, n INT DEFAULT 0); CREATE TRIGGER t AFTER UPDATE ON a BEGIN UPDATE a SET n = n + 1 WHERE rowid = new.rowid; END; INSERT INTO a (b) VALUES (1)",
      "V002-x-up.sql": "UPDATE a SET b = 2",
    });
    expect(file.values("SELECT n FROM a")).toEqual([1]);
  });

  test.each([
    ["with a transaction", "PRAGMA case_sensitive_like = ON;"],
    ["with a transaction, temporary tables alone", ""],
    [
      "without one",
      "-- opsctl: no-transaction\nPRAGMA foreign_keys = ON; PRAGMA case_sensitive_like = ON; ATTACH ':memory:' AS other;",
    ],
  ])(
    "settings, temporary tables and attached files of a file do not reach the next one: %s",
    async (_, start) => {
      await file.up({
        "V001-x-up.sql": `${start} CREATE TEMP TABLE t (a); CREATE TABLE kept AS SELECT 'A' LIKE 'a' AS x`,
        "V002-x-up.sql": `CREATE TABLE seen AS SELECT 'A' LIKE 'a' AS x, (SELECT foreign_keys FROM pragma_foreign_keys) AS keys,
        (SELECT count(*) FROM sqlite_temp_schema) AS temporary,
        (SELECT count(*) FROM pragma_database_list WHERE name NOT IN ('main', 'temp')) AS files`,
      });
      expect(file.values("SELECT x FROM kept")).toEqual([start === "" ? 1 : 0]);
      expect(file.values("SELECT x || keys || temporary || files FROM seen")).toEqual(["1000"]);
    },
  );

  it("rolls back in the order of application", async () => {
    await file.up({
      "V001-a-up.sql": "CREATE TABLE a (x)",
      "V001-a-down.sql": "DROP TABLE a",
      "V002-b-up.sql": "CREATE TABLE b (x)",
      "V002-b-down.sql": "DROP TABLE b",
    });
    expect(await file.down()).toEqual(["V002"]);
    expect(await file.row()).toMatchObject({ version: "V002", state: "reverted", file: "V002-b-up.sql" });
    expect(await file.down({ to: "0" })).toEqual(["V001"]);
    expect(file.tables()).toEqual([]);
    expect(await file.up()).toEqual(["V001", "V002"]);
  });
});

describe("without a transaction", () => {
  const STEPS =
    "-- opsctl: no-transaction\nPRAGMA journal_mode = WAL;\nCREATE TABLE a (x);\nINSERT INTO a VALUES (1);\nINSERT INTO b VALUES (1);\nVACUUM";

  it("stops at the statement that fails, says so, and goes on there once it is corrected", async () => {
    await expect(file.up({ "V001-x-up.sql": STEPS })).rejects.toMatchObject({
      message: expect.stringContaining("V001-x-up.sql:5:13: no such table: b"),
      hint: "the 3 statements before it are kept; correct the file and run the command again",
    });
    expect(await file.row()).toMatchObject({ state: "failed", statement_index: 3, file: "V001-x-up.sql" });
    await expect(file.up({ "V001-x-up.sql": STEPS.replace("(1)", "(2)") })).rejects.toMatchObject({
      code: "integrity",
    });
    expect(await file.up({ "V001-x-up.sql": STEPS.replace("INTO b", "INTO a") })).toEqual(["V001"]);
    expect(file.values("SELECT count(*) FROM a")).toEqual([2]);
    expect(await file.row()).toMatchObject({ state: "applied", statement_index: 0 });
    expect(file.values("PRAGMA journal_mode")).toEqual(["wal"]);
  });

  it("settings of the part that is done are made again", async () => {
    const steps =
      "-- opsctl: no-transaction\nPRAGMA foreign_keys = ON; CREATE TABLE p (a INTEGER PRIMARY KEY); CREATE TABLE c (a REFERENCES p ON DELETE CASCADE); INSERT INTO p VALUES (1); INSERT INTO c VALUES (1); DELETE FROM q;";
    await expect(file.up({ "V001-x-up.sql": steps })).rejects.toThrow(/no such table: q/);
    await file.up({ "V001-x-up.sql": steps.replace("FROM q", "FROM p") });
    expect(file.values("SELECT count(*) FROM c")).toEqual([0]);
  });

  it("a file without statements, or whose statements are all done, is done", async () => {
    await file.up({ "V001-x-up.sql": "-- opsctl: no-transaction\n" });
    expect(await file.row()).toMatchObject({ version: "V001", state: "applied", statement_index: 0 });
    file.files({ "V002-x-up.sql": "-- opsctl: no-transaction\nCREATE TABLE a (x); VACUUM" });
    await file.up();
    // as a process leaves it that is killed before its last word
    const statements = file.target.statements("CREATE TABLE a (x); VACUUM");
    const checksum = executedChecksum(statements, 2).replaceAll("'", "");
    file.sql(
      `UPDATE opsctl_migrations SET state = 'running', statement_index = 2, checksum = '${checksum}' WHERE version = 'V002'`,
    );
    expect(await file.up()).toEqual(["V002"]);
    expect(await file.row()).toMatchObject({ version: "V002", state: "applied", statement_index: 0 });
  });

  it("every statement of it can be repeated after a kill, because its record is in its transaction", () => {
    const can = (text: string) => file.target.repeatable({ text, offset: 0 });
    for (const text of [
      "INSERT INTO a VALUES (1)",
      "DROP TABLE a",
      "VACUUM",
      "PRAGMA journal_mode = WAL",
      "ATTACH 'into' AS b",
    ]) {
      expect([text, can(text)]).toEqual([text, true]);
    }
    expect(can("VACUUM main INTO 'x.db'")).toBe(false);
  });

  it("blocks BEGIN … COMMIT of other tools' files run whole or not at all", async () => {
    const block = (statement: string) =>
      `-- migrate:up transaction:false\nPRAGMA foreign_keys = OFF;\nBEGIN;\nCREATE TABLE a (x);\n${statement};\nCOMMIT;\nPRAGMA foreign_keys = ON;\n`;
    await expect(file.up({ "20240101000000_x.sql": block("INSERT INTO b VALUES (1)") })).rejects.toThrow(
      /20240101000000_x\.sql:5:13: no such table: b/,
    );
    expect(file.tables()).toEqual([]);
    expect(await file.row()).toMatchObject({ state: "failed", statement_index: 1 });
    expect(await file.up({ "20240101000000_x.sql": block("INSERT INTO a VALUES (1)") })).toHaveLength(1);
    expect(file.values("SELECT x FROM a")).toEqual([1]);
  });
});

it("a golang-migrate file in BEGIN … COMMIT runs in the transaction of its record", async () => {
  await expect(
    file.up({ "1_x.up.sql": "BEGIN;\nCREATE TABLE a (x);\nINSERT INTO b VALUES (1);\nCOMMIT;" }),
  ).rejects.toThrow("1_x.up.sql:3:13: no such table: b");
  expect(file.tables()).toEqual([]);
  expect(await file.row()).toBeUndefined();
  expect(await file.up({ "1_x.up.sql": "BEGIN;\nCREATE TABLE a (x);\nCOMMIT;" })).toEqual(["1"]);
});
