/** Scripts without a transaction, and indexes that are built beside running queries, on a real server. */
import { afterAll, beforeAll, beforeEach, describe, expect, it, test } from "vitest";
import { executedChecksum } from "../../src/migrate/stepwise.ts";
import { testCall } from "../support/calls.ts";
import { eventually, failure, file, MigrationBench } from "../support/postgres-migrations.ts";

const HEAD = "-- opsctl: no-transaction\n";

let bench: MigrationBench;
beforeAll(async () => {
  bench = await MigrationBench.start();
});
afterAll(() => bench?.stop());
beforeEach(() => bench.empty());

/** Of every index by name. */
async function validity(): Promise<Record<string, boolean>> {
  const rows = await bench.sql<{ name: string; valid: boolean }>(
    `SELECT c.relname AS name, i.indisvalid AS valid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
     WHERE c.relnamespace = 'public'::regnamespace AND NOT i.indisprimary ORDER BY 1`,
  );
  return Object.fromEntries(rows.map(({ name, valid }) => [name, valid]));
}

/** Makes history say that `version` was killed during the statement after the `done` first. */
async function killedAfter(text: string, done: number, version = "V001"): Promise<void> {
  const checksum = executedChecksum(bench.target.statements(text), done);
  await bench.sql(
    `UPDATE opsctl_migrations SET state = 'running', statement_index = $1, checksum = $2, file = version || '-test-up.sql'
     WHERE version = $3`,
    [done, checksum, version],
  );
}

/** Leaves an invalid index, as a build that was killed does. */
async function leaveInvalid(table: string, index: string): Promise<void> {
  await bench.sql(`INSERT INTO ${table} VALUES (1), (1)`);
  await failure(bench.sql(`CREATE UNIQUE INDEX CONCURRENTLY ${index} ON ${table} (x)`));
  await bench.sql(`DELETE FROM ${table}`);
}

describe("a script without a transaction", () => {
  it("keeps what ran before the statement that fails, and goes on with it once it is corrected", async () => {
    const statements = [
      "CREATE TABLE a (x int)",
      "INSERT INTO a VALUES (1)",
      "INSERT INTO aa VALUES (2)",
      "INSERT INTO a VALUES (3)",
    ];
    const text = (third: string) =>
      `${HEAD}${statements[0]};\n${statements[1]};\n${third};\n${statements[3]};`;
    const error = await failure(bench.migrate([file(1, text(statements[2]!))]));
    expect(error).toMatchObject({
      code: "failed",
      hint: expect.stringContaining("the statements before it stay"),
    });
    expect(error.message).toContain('V001-test-up.sql:4:13: relation "aa" does not exist');
    expect(await bench.history()).toMatchObject([{ state: "failed", statement_index: 2 }]);

    // what has run must not be edited
    const edited = text("INSERT INTO a VALUES (2)").replace("VALUES (1)", "VALUES (9)");
    expect(await failure(bench.migrate([file(1, edited)]))).toMatchObject({ code: "integrity" });

    expect(await bench.migrate([file(1, text("INSERT INTO a VALUES (2)"))])).toHaveLength(1);
    expect(await bench.sql("SELECT x FROM a ORDER BY x")).toEqual([{ x: 1 }, { x: 2 }, { x: 3 }]);
    expect(await bench.history()).toMatchObject([{ state: "applied", statement_index: 0 }]);
  });

  it("goes on inside a transaction when the directive was taken out meanwhile", async () => {
    const text = "CREATE TABLE a (x int);\nINSERT INTO nowhere VALUES (1);\nINSERT INTO a VALUES (2);";
    await failure(bench.migrate([file(1, `${HEAD}${text}`)]));
    const corrected = text.replace("nowhere", "a");
    expect(await bench.migrate([file(1, `-- a comment\n${corrected}`)])).toHaveLength(1);
    expect(await bench.sql("SELECT x FROM a ORDER BY x")).toEqual([{ x: 1 }, { x: 2 }]);
  });

  it("rolls back step by step, too", async () => {
    const files = [
      file(1, "CREATE TABLE a (); CREATE TABLE b ()", `${HEAD}DROP TABLE a; DROP TABLE c; DROP TABLE b;`),
    ];
    await bench.migrate(files);
    await failure(bench.migrate(files, { direction: "down" }));
    expect(await bench.history()).toMatchObject([
      { state: "failed", statement_index: 1, file: "V001-test-down.sql" },
    ]);
    const mended = [file(1, "CREATE TABLE a (); CREATE TABLE b ()", `${HEAD}DROP TABLE a; DROP TABLE b;`)];
    expect(await bench.migrate(mended, { direction: "down" })).toHaveLength(1);
    expect(await bench.history()).toMatchObject([
      { state: "reverted", statement_index: 0, file: "V001-test-up.sql" },
    ]);
  });

  it("copies rows, and its settings hold until its end and not in the history", async () => {
    const role = `steps_${process.pid}_${Date.now()}`;
    await bench.sql(
      `CREATE ROLE ${role}; GRANT ${role} TO current_user; GRANT ALL ON SCHEMA public TO ${role}`,
    );
    try {
      const text = `${HEAD}CREATE SCHEMA s; GRANT ALL ON SCHEMA s TO ${role}; SET search_path = s; SET ROLE ${role};
        CREATE TABLE a (x int);\nCOPY a FROM stdin;\n1\n2\n\\.\nINSERT INTO a VALUES (3);`;
      expect(await bench.migrate([file(1, text), file(2, "CREATE TABLE fresh ()")])).toHaveLength(2);
      expect(await bench.value("SELECT sum(x) FROM s.a")).toBe(6);
      expect(await bench.value("SELECT to_regclass('public.fresh') IS NOT NULL")).toBe(true);
    } finally {
      await bench.sql(`DROP SCHEMA IF EXISTS s CASCADE; DROP OWNED BY ${role} CASCADE; DROP ROLE ${role}`);
    }
  });

  test.each([
    ["VACUUM"],
    ["VACUUM (ANALYZE) a"],
    ["CREATE INDEX CONCURRENTLY ON a (x)"],
    ["DROP INDEX CONCURRENTLY a_i"],
    ["REINDEX TABLE CONCURRENTLY a"],
    ["REINDEX (CONCURRENTLY, VERBOSE) INDEX a_i"],
    ["REINDEX SCHEMA public"],
    ["ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY"],
  ])("%s runs alone in a file that says nothing of transactions", async (text) => {
    const tables = `CREATE TABLE a (x int); CREATE INDEX a_i ON a (x);
      CREATE TABLE p (x int) PARTITION BY LIST (x); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1)`;
    expect(await bench.migrate([file(1, tables), file(2, `-- alone\n${text};\n`)])).toHaveLength(2);
    expect((await bench.history()).map(({ state }) => state)).toEqual(["applied", "applied"]);
  });
});

describe("CREATE INDEX CONCURRENTLY", () => {
  const TABLE = file(1, "CREATE TABLE a (x int); INSERT INTO a VALUES (1), (1);");
  const BUILD = "CREATE UNIQUE INDEX CONCURRENTLY a_x ON a (x)";

  it("that finds duplicates leaves no invalid index, and builds once they are gone", async () => {
    for (const text of [BUILD, "CREATE UNIQUE INDEX CONCURRENTLY ON public.a (x)"]) {
      const files = [TABLE, file(2, text)];
      const error = await failure(bench.migrate(files));
      expect(error).toMatchObject({
        code: "failed",
        message: expect.stringContaining("could not create unique index"),
      });
      expect(error.message).toMatch(/^V002-test-up\.sql:1:1: /);
      expect(await validity()).toEqual({});
      expect(bench.log.join("\n")).toMatch(/dropped the invalid index public\.a_x/);
      expect(await bench.history()).toMatchObject([
        { state: "applied" },
        { state: "failed", statement_index: 0 },
      ]);
      await bench.sql("DELETE FROM a");
      expect(await bench.migrate(files)).toHaveLength(1);
      expect(Object.values(await validity())).toEqual([true]);
      await bench.empty();
    }
  });

  it("IF NOT EXISTS does not take an invalid index for the real one", async () => {
    await bench.migrate([TABLE]);
    await bench.sql("DELETE FROM a");
    await leaveInvalid("a", "a_x");
    expect(await validity()).toEqual({ a_x: false });
    await bench.migrate([TABLE, file(2, BUILD.replace("a_x", "IF NOT EXISTS a_x"))]);
    expect(await validity()).toEqual({ a_x: true });
    expect(bench.log.join("\n")).toContain("dropped the invalid index public.a_x");
  });

  it("that was killed is looked for: built, invalid, or not there at all", async () => {
    const text = `${HEAD}SELECT 1;\n${BUILD};\nSELECT 2;`;
    const table = file(1, "CREATE TABLE a (x int);");
    for (const state of ["valid", "invalid", "absent"]) {
      await failure(bench.migrate([table, file(2, text.replace("SELECT 2", "SELECT nope"))]));
      await killedAfter(text, 1, "V002");
      if (state !== "valid") await bench.sql("DROP INDEX a_x");
      if (state === "invalid") await leaveInvalid("a", "a_x");
      const oid = await bench.value("SELECT to_regclass('a_x')::oid::int");
      expect(await bench.migrate([table, file(2, text)])).toHaveLength(1);
      expect(await validity()).toEqual({ a_x: true });
      const isSame = (await bench.value("SELECT to_regclass('a_x')::oid::int")) === oid;
      expect(isSame).toBe(state === "valid");
      await bench.empty();
    }
  });

  it("that was killed and has no name needs a person", async () => {
    const text = `${HEAD}CREATE INDEX CONCURRENTLY ON a (x);`;
    await failure(bench.migrate([TABLE, file(2, `${HEAD}SELECT nope`)]));
    await killedAfter(text, 0, "V002");
    expect(await failure(bench.migrate([TABLE, file(2, text)]))).toMatchObject({
      code: "unknown_outcome",
      hint: expect.stringContaining("repair"),
    });
  });

  it("DROP INDEX CONCURRENTLY that was killed may have done it", async () => {
    const text = `${HEAD}DROP INDEX CONCURRENTLY a_x;\nSELECT 1;`;
    for (const isGone of [true, false]) {
      const table = file(1, "CREATE TABLE a (x int); CREATE INDEX a_x ON a (x);");
      await failure(bench.migrate([table, file(2, `${HEAD}SELECT nope`)]));
      await killedAfter(text, 0, "V002");
      if (isGone) await bench.sql("DROP INDEX a_x");
      expect(await bench.migrate([table, file(2, text)])).toHaveLength(1);
      expect(await validity()).toEqual({});
      await bench.empty();
    }
  });

  it("REINDEX CONCURRENTLY drops what it leaves", async () => {
    // an index over a function that begins to fail
    const setup = file(
      1,
      `CREATE TABLE a (x int); INSERT INTO a VALUES (1); CREATE TABLE allowed ();
       CREATE FUNCTION f(x int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
         $$ BEGIN IF to_regclass('public.allowed') IS NULL THEN RAISE 'refused'; END IF; RETURN x; END $$;
       CREATE INDEX a_f ON a (f(x));`,
    );
    await bench.migrate([setup]);
    await bench.sql("DROP TABLE allowed");
    const files = [setup, file(2, "REINDEX TABLE CONCURRENTLY a")];
    expect((await failure(bench.migrate(files))).message).toContain("refused");
    expect(await validity()).toEqual({ a_f: true });
    expect(bench.log.join("\n")).toContain("dropped the invalid index public.a_f_ccnew");
    // killed: the copy of an earlier attempt goes first
    await failure(bench.sql("REINDEX INDEX CONCURRENTLY a_f"));
    expect(await validity()).toEqual({ a_f: true, a_f_ccnew: false });
    await killedAfter("REINDEX TABLE CONCURRENTLY a", 0, "V002");
    await bench.sql("CREATE TABLE allowed ()");
    expect(await bench.migrate(files)).toHaveLength(1);
    expect(await validity()).toEqual({ a_f: true });
  });

  it("is not built twice at once", async () => {
    await bench.migrate([TABLE]);
    await bench.sql("DELETE FROM a");
    // a writer holds the other build up
    const release = await bench.hold("INSERT INTO a VALUES (7)");
    const building = (await bench.open()).query(testCall(), BUILD);
    await eventually(validity).toEqual({ a_x: false });
    const error = await failure(bench.migrate([TABLE, file(2, BUILD)]));
    expect(error.code).toBe("locked");
    expect(error.message).toMatch(/backend \d+ builds the index public\.a_x/);
    await release();
    await building;
    expect(await validity()).toEqual({ a_x: true });
  });

  it("waits for writers without a limit, and says for whom", async () => {
    await bench.migrate([TABLE]);
    await bench.sql("DELETE FROM a");
    const release = await bench.hold("INSERT INTO a VALUES (7)");
    const running = bench.migrate([TABLE, file(2, BUILD)], { limits: { lockTimeoutMs: 50 } });
    const waits = /WARNING V002-test-up\.sql waits for backend \d+ \(opsctl, from .*idle in transaction/;
    await eventually(() => bench.log.join("\n")).toMatch(waits);
    await release();
    expect(await running).toHaveLength(1);
    expect(await validity()).toEqual({ a_x: true });
  });
});
