/** Scripts in one transaction, on a real server. */
import { afterAll, beforeAll, beforeEach, describe, expect, it, test } from "vitest";
import { eventually, failure, file, MigrationBench } from "../support/postgres-migrations.ts";

let bench: MigrationBench;
beforeAll(async () => {
  bench = await MigrationBench.start();
});
afterAll(() => bench?.stop());
beforeEach(() => bench.empty());

const exists = (name: string) => bench.value("SELECT to_regclass($1) IS NOT NULL", [name]);

describe("a file and its row of history", () => {
  it("go up and down, and up again", async () => {
    const files = [
      file(1, "CREATE TABLE a (x int);\nINSERT INTO a VALUES (1);", "DROP TABLE a;"),
      file(2, "CREATE TABLE b (x int)", "DROP TABLE b"),
    ];
    expect(await bench.migrate(files)).toEqual(["V001-test-up.sql", "V002-test-up.sql"]);
    expect(await bench.migrate(files)).toEqual([]);
    expect(await bench.history()).toMatchObject([
      { version: "V001", state: "applied", checksum: files[0]!.up.checksum, applied_by: "tester@host" },
      { version: "V002", state: "applied", statement_index: 0 },
    ]);
    expect(await bench.migrate(files, { direction: "down" })).toEqual(["V002-test-down.sql"]);
    expect((await bench.history()).map(({ state }) => state)).toEqual(["applied", "reverted"]);
    expect(await exists("b")).toBe(false);
    expect(await bench.migrate(files)).toEqual(["V002-test-up.sql"]);
    expect((await bench.history()).map(({ state }) => state)).toEqual(["applied", "applied"]);
  });

  test.each([
    ["only a comment", "-- nothing yet\n/* ; */"],
    ["many empty statements", ";;;CREATE TABLE a (x int);;;"],
    ["astral letters", "CREATE TABLE \"😀\" (ü text DEFAULT '😀');"],
    ["a savepoint's word in a string", "SELECT 'COMMIT; ROLLBACK';"],
    ["an isolation level", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; CREATE TABLE a (x int);"],
    [
      "a body with semicolons",
      "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END; SELECT f();",
    ],
    [
      "a rule with semicolons",
      "CREATE TABLE a (x int); CREATE RULE r AS ON INSERT TO a DO ALSO (SELECT 1; SELECT 2);",
    ],
    ["a large result", "SELECT repeat('x', 1000) FROM generate_series(1, 50000);"],
    ["a last statement without semicolon", "CREATE TABLE a (x int); CREATE TABLE b (x int) -- end"],
    ["strings that are continued", "SELECT E'a' -- more; follows\n  -- and ' more\n 'b\\';' ; SELECT 2"],
  ])("%s runs", async (_, text) => {
    expect(await bench.migrate([file(1, text)])).toHaveLength(1);
    expect(await bench.history()).toMatchObject([{ state: "applied" }]);
  });

  it("keeps rows of COPY … FROM stdin as they are", async () => {
    const text = [
      "CREATE TABLE a (n int, t text);",
      "COPY a (n, t) FROM stdin;",
      "1\tone; 'two' -- $$",
      "2\t\\N",
      "3\té😀\\\\",
      "\\.",
      "COPY a FROM STDIN WITH (FORMAT csv);",
      '4,"x;\ny"',
      "\\.",
      "COPY a FROM STDIN;",
      "\\.",
      "INSERT INTO a SELECT 5, count(*)::text FROM a;",
    ].join("\n");
    expect(await bench.migrate([file(1, text)])).toHaveLength(1);
    expect(await bench.sql("SELECT n, t FROM a ORDER BY n")).toEqual([
      { n: 1, t: "one; 'two' -- $$" },
      { n: 2, t: null },
      { n: 3, t: "é😀\\" },
      { n: 4, t: "x;\ny" },
      { n: 5, t: "4" },
    ]);
  });

  it("copies many rows, and says which line of the file is wrong among them", async () => {
    const rows = Array.from({ length: 60_000 }, (_, n) => `${n}\t${"x".repeat(40)}\n`);
    const start = "CREATE TABLE a (n int, t text);\nCOPY a FROM stdin;\n";
    expect(await bench.migrate([file(1, `${start}${rows.join("")}\\.\n`)])).toHaveLength(1);
    expect(await bench.value("SELECT count(*) FROM a")).toBe(60_000);
    await bench.empty();
    rows[10] = "secret-value\tx\n";
    const error = await failure(bench.migrate([file(1, `${start}${rows.join("")}\\.\n`)]));
    expect(error.message).toContain("V001-test-up.sql:13:1: invalid input syntax for type integer");
    expect(await exists("a")).toBe(false);
    // the session takes the next file
    expect(await bench.migrate([file(1, `${start}1\tx\n\\.\n`)])).toHaveLength(1);
  });

  it("takes golang-migrate's BEGIN and COMMIT around a file for its own", async () => {
    const files = [file(1, "BEGIN;\nCREATE TABLE a (x int);\nCREATE TABLE b (x int);\nCOMMIT;\n")];
    expect(await failure(bench.migrate(files))).toMatchObject({ code: "usage" });
    expect(await bench.migrate(files, { format: "golang-migrate" })).toHaveLength(1);
    await bench.empty();
    const broken = [file(1, "BEGIN;\nCREATE TABLE a (x int);\nCREATE TABEL b (x int);\nCOMMIT;\n")];
    const error = await failure(bench.migrate(broken, { format: "golang-migrate" }));
    expect(error.message).toContain("V001-test-up.sql:3:8: syntax error");
    expect(await exists("a")).toBe(false);
  });
});

describe("what fails", () => {
  const SEVEN = [
    "CREATE TABLE a (x int);",
    "CREATE TABLE b (x int);",
    "CREATE TABEL c (x int);",
    ...[4, 5, 6, 7].map((n) => `CREATE TABLE t${n} (x int);`),
  ].join("\n");

  it("keeps nothing of a file whose third statement of seven is wrong, and nothing after it", async () => {
    const error = await failure(
      bench.migrate([file(1, "CREATE TABLE z ()"), file(2, SEVEN), file(3, "SELECT 1")]),
    );
    expect(error.code).toBe("failed");
    expect(error.message).toBe(
      [
        'V002-test-up.sql:3:8: syntax error at or near "TABEL" (SQLSTATE 42601)',
        "  3 | CREATE TABEL c (x int);",
        "    |        ^",
      ].join("\n"),
    );
    expect(error.hint).toContain("nothing of the file was kept");
    expect((await bench.history()).map(({ version }) => version)).toEqual(["V001"]);
    expect([await exists("a"), await exists("z")]).toEqual([false, true]);
  });

  test.each<[string, string, string]>([
    [
      "an error without a position",
      "SELECT 1;\nSELECT 2;\n  CREATE TABLE a ();\nCREATE TABLE a ();",
      ':4:1: relation "a" already',
    ],
    ["a place behind astral letters", "SELECT '😀😀', x FROM none", ':1:21: relation "none" does not exist'],
    [
      "a place in a late statement",
      "SELECT '😀';\nSELECT 1;\nSELECT '😀' || nope;",
      ':3:15: column "nope" does not exist',
    ],
    [
      "a failing body",
      "CREATE TABLE a ();\n\nDO $$\nBEGIN\n  RAISE 'no %', 7;\nEND $$;",
      ":3:1: no 7 (SQLSTATE P0001, in PL/pgSQL function inline_code_block line 3 at RAISE)",
    ],
    [
      "what depends on it",
      "CREATE TABLE a (x int PRIMARY KEY); CREATE TABLE b (x int REFERENCES a);\nDROP TABLE a;",
      ":2:1: cannot drop table a because other objects depend on it: constraint b_x_fkey on table b depends on table a",
    ],
    [
      "after COPY",
      "CREATE TABLE a (x int);\nCOPY a FROM stdin;\n1\n\\.\nSELECT * FROM b;",
      ':5:15: relation "b" does not exist',
    ],
    [
      "COPY into nothing",
      "SELECT 1;\nCOPY nowhere FROM stdin;\n1\n\\.\n",
      ':2:1: relation "nowhere" does not exist',
    ],
    [
      "an atomic body that hides a COMMIT",
      "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1 case; END; COMMIT; SELECT 1 end;",
      "cannot insert multiple commands",
    ],
    [
      "a procedure that commits",
      "CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$;\nCALL p();",
      ":2:1: invalid transaction termination",
    ],
  ])("%s is placed", async (_, text, message) => {
    const error = await failure(bench.migrate([file(1, text)]));
    expect(error.code).toBe("failed");
    expect(error.message).toContain(message);
    expect(await bench.history()).toEqual([]);
    expect(await exists("a")).toBe(false);
  });

  it("values of rows stay out of the message", async () => {
    await bench.migrate([file(1, "CREATE TABLE a (x text UNIQUE); INSERT INTO a VALUES ('canary-1');")]);
    const texts = [
      "INSERT INTO a VALUES ('canary' || '-1');",
      "ALTER TABLE a ALTER x TYPE int USING x::int;",
      "ALTER TABLE a ADD CHECK (x <> 'other' AND length(x) < 3);",
      "CREATE TABLE b (y text REFERENCES a (x)); INSERT INTO b SELECT x || 'x' FROM a;",
    ];
    for (const text of texts) {
      const error = await failure(
        bench.migrate([
          file(1, "CREATE TABLE a (x text UNIQUE); INSERT INTO a VALUES ('canary-1');"),
          file(2, text),
        ]),
      );
      expect(`${error.message}${error.hint}${error.stack}`.replace(text, "")).not.toContain("canary-1");
      expect(error.message).toMatch(/SQLSTATE 2[23]/);
    }
  });

  it("deferred constraints are asked before the end, and nothing is kept", async () => {
    const text = `CREATE TABLE a (x int PRIMARY KEY);
      CREATE TABLE b (x int REFERENCES a DEFERRABLE INITIALLY DEFERRED);
      INSERT INTO b VALUES (1);`;
    const error = await failure(bench.migrate([file(1, text)]));
    expect(error).toMatchObject({
      code: "failed",
      message: expect.stringContaining("foreign key constraint"),
    });
    expect(await exists("a")).toBe(false);
  });

  it("a file that drops the history is refused whole", async () => {
    const files = [
      file(1, "CREATE TABLE a ()"),
      file(2, "DROP SCHEMA public CASCADE; CREATE SCHEMA public;"),
    ];
    const error = await failure(bench.migrate(files));
    expect(error.message).toContain(
      "V002-test-up.sql: the history of migrations, public.opsctl_migrations, is gone",
    );
    expect((await bench.history()).map(({ version }) => version)).toEqual(["V001"]);
    expect(await exists("a")).toBe(true);
  });
});

describe("refused before anything runs", () => {
  test.each<[string, string]>([
    ["CREATE TABLE a ();\n  COMMIT;", ":2:3: COMMIT: the file runs in a transaction"],
    ["CREATE TABLE a ();\n/* c */ commit and chain;", ":2:9: COMMIT"],
    ["BEGIN; CREATE TABLE a (); COMMIT;", ":1:1: BEGIN"],
    ["START TRANSACTION; SELECT 1;", ":1:1: START TRANSACTION"],
    ["CREATE TABLE a (); END;", ":1:20: END"],
    ["CREATE TABLE a (); ROLLBACK;", ":1:20: ROLLBACK"],
    ["CREATE TABLE a (); ABORT;", ":1:20: ABORT"],
    ["SAVEPOINT s; SELECT 1;", ":1:1: SAVEPOINT"],
    ["RELEASE s;", ":1:1: RELEASE"],
    ["ROLLBACK TO s;", ":1:1: ROLLBACK"],
    ["PREPARE TRANSACTION 'x';", ":1:1: PREPARE TRANSACTION"],
    ["COMMIT PREPARED 'x';", ":1:1: COMMIT PREPARED"],
    [
      "-- opsctl: no-transaction\nSELECT 1; BEGIN; SELECT 2; COMMIT;",
      ":2:11: BEGIN: in this file every statement commits",
    ],
    ["CREATE TABLE a ();\n\\i other.sql\n", ":2:1: \\i is a command of psql"],
    ["\\restrict abc\nCREATE TABLE a ();\n\\unrestrict abc\n", ":1:1: \\restrict is a command of psql"],
    ["CREATE TABLE a ();\nSELECT 'x", ":2:8: this string never ends"],
    ["CREATE TABLE a ();\nSELECT $a$x$b$", ":2:8: this string never ends"],
    ["CREATE TABLE a (); /* /* */", ":1:20: this comment never ends"],
    ["CREATE TABLE a (x int);\nCOPY a FROM stdin;\n1\n", ":2:1: the data of this COPY never ends"],
    ["COPY (SELECT 1) TO STDOUT;", ":1:1: COPY … TO STDOUT"],
    ["CREATE TABLE a (); SELECT '\0';", ":1:28: a NUL byte"],
    [
      "CREATE TABLE a (x int);\nCREATE INDEX CONCURRENTLY i ON a (x);",
      ":2:1: PostgreSQL refuses this statement in a transaction",
    ],
    ["VACUUM; SELECT 1;", ":1:1: PostgreSQL refuses this statement in a transaction"],
    [
      "SELECT 1; ALTER SYSTEM SET work_mem = '8MB'",
      ":1:11: PostgreSQL refuses this statement in a transaction",
    ],
  ])("%j", async (text, message) => {
    const error = await failure(bench.migrate([file(1, "CREATE TABLE first ()"), file(2, text)]));
    expect(error).toMatchObject({
      code: "usage",
      message: expect.stringContaining(`V002-test-up.sql${message}`),
    });
    expect(error.hint).toMatch(
      /take it out|write it as SQL|delete the lines|close what|end it with|save the file|no-transaction/,
    );
    // not even the file before it, and no history
    expect([await exists("first"), await exists("opsctl_migrations")]).toEqual([false, false]);
  });
});

describe("the session", () => {
  it("is fresh for every file", async () => {
    const role = `role_${process.pid}_${Date.now()}`;
    await bench.sql(
      `CREATE ROLE ${role}; GRANT ${role} TO current_user; GRANT ALL ON SCHEMA public TO ${role}`,
    );
    try {
      const files = [
        file(
          1,
          `CREATE SCHEMA s; SET search_path = s; CREATE TABLE in_s (); SET work_mem = '9MB'; SET lock_timeout = 1;
          PREPARE p AS SELECT 1; CREATE TEMP TABLE tmp (); DECLARE c CURSOR WITH HOLD FOR SELECT 1; LISTEN ch;
          SET standard_conforming_strings = off;`,
        ),
        file(2, `SET SESSION AUTHORIZATION ${role}; CREATE TABLE by_session ();`),
        file(3, `SET ROLE ${role}; CREATE TABLE by_role ();`),
        file(
          4,
          `CREATE TABLE seen AS SELECT current_setting('search_path') AS path, current_user AS who, session_user AS session,
          current_setting('work_mem') AS mem, (SELECT count(*) FROM pg_prepared_statements) AS prepared,
          (SELECT count(*) FROM pg_cursors) AS cursors, to_regclass('tmp') IS NULL AS no_temp, 'a\\' AS literal,
          (SELECT count(*) FROM pg_listening_channels()) AS channels, current_setting('application_name') AS app`,
        ),
      ];
      expect(await bench.migrate(files)).toHaveLength(4);
      const [fresh] =
        await bench.sql(`SELECT current_setting('search_path') AS path, current_user AS who, session_user AS session,
        current_setting('work_mem') AS mem`);
      expect(await bench.sql("SELECT * FROM seen")).toEqual([
        { ...fresh, prepared: 0, cursors: 0, no_temp: true, literal: "a\\", channels: 0, app: "opsctl" },
      ]);
      expect(
        await bench.sql("SELECT tableowner FROM pg_tables WHERE tablename IN ('by_role', 'by_session')"),
      ).toEqual([{ tableowner: role }, { tableowner: role }]);
    } finally {
      await bench.sql(`DROP OWNED BY ${role} CASCADE; DROP ROLE ${role}`);
      await bench.sql("DROP SCHEMA IF EXISTS s CASCADE");
    }
  });

  it("says what the files say: warnings aloud, notices in detail", async () => {
    await bench.migrate([
      file(1, "DO $$ BEGIN RAISE WARNING 'look here'; RAISE NOTICE 'by the way'; END $$;"),
    ]);
    expect(bench.log).toContain("WARNING PostgreSQL: look here");
    expect(bench.log).toContain("DEBUG PostgreSQL: by the way");
  });

  it("keeps the time limit of one statement, and has none without", async () => {
    const slow = [file(1, "CREATE TABLE a (); SELECT pg_sleep(0.4);")];
    const error = await failure(bench.migrate(slow, { limits: { statementTimeoutMs: 100 } }));
    expect(error).toMatchObject({ code: "failed", hint: expect.stringContaining("--statement-timeout") });
    expect(error.message).toContain("V001-test-up.sql:1:20: ");
    expect(await bench.migrate(slow)).toHaveLength(1);
  });

  it("ends with the call, and nothing is kept", async () => {
    const controller = new AbortController();
    const running = bench.migrate([file(1, "CREATE TABLE a (); SELECT pg_sleep(60);")], {
      signal: controller.signal,
    });
    const sleeping =
      "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()";
    await eventually(() => bench.value(sleeping)).toBe(1);
    controller.abort();
    expect((await failure(running)).code).toBe("failed");
    // the statement itself is cancelled on the server
    await eventually(() => bench.value(sleeping)).toBe(0);
    expect(await exists("a")).toBe(false);
  });
});
