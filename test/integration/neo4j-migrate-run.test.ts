import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { shippedMigrations } from "../../src/migrate/files.ts";
import { retryVersion } from "../../src/migrate/repair.ts";
import { testCall } from "../support/calls.ts";
import { type OpenNeo4j, openNeo4j } from "../support/neo4j.ts";
import { type Files, filesOn, sourceOf } from "./neo4j-files.ts";

describe("scripts on Neo4j", () => {
  let neo4j: OpenNeo4j;
  let files: Files;
  const call = testCall(300_000);
  const command = (query: string) => neo4j.connection.command(call, query);
  const column = async <T>(query: string) =>
    (await neo4j.connection.read<{ x: T }>(call, query)).map(({ x }) => x);
  const traces = () => column<number>("MATCH (t:Trace) RETURN t.n AS x ORDER BY x");
  const indexes = () =>
    column<string>(
      "SHOW INDEXES YIELD name, type WHERE type <> 'LOOKUP' AND NOT name STARTS WITH 'opsctl' RETURN name AS x ORDER BY x",
    );
  const failure = (promise: Promise<unknown>) =>
    promise.then(
      () => expect.unreachable("it succeeded"),
      (error) => error,
    );

  beforeAll(() => {
    neo4j = openNeo4j();
    files = filesOn(neo4j.connection);
  });
  beforeEach(() => neo4j.wipe());
  afterAll(() => neo4j?.connection.close());

  it("runs schema, data, loops over transactions and queries of one file, in their order", async () => {
    const source = sourceOf(`// one file of every kind
      CREATE CONSTRAINT trace_n FOR (t:Trace) REQUIRE t.n IS UNIQUE;
      CREATE (:Trace {n: 1});
      CREATE (:Trace {n: 2, text: 'a;b'});
      CREATE INDEX trace_text FOR (t:Trace) ON (t.text);
      UNWIND range(3, 12) AS n CALL (n) { CREATE (:Trace {n: n}) } IN TRANSACTIONS OF 2 ROWS;
      MATCH (t:Trace) WHERE t.n > 10 RETURN t;
      DROP INDEX trace_text;
      MATCH (t:Trace) WHERE t.n > 10 DETACH DELETE t`);
    await files.up(source);
    expect(await traces()).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(await indexes()).toEqual(["trace_n"]);
    const [row] = await files.rows();
    expect(row).toMatchObject({
      ...{ set_name: "user", version: "V001", state: "applied", statement_index: 0 },
      ...{
        checksum: source.migrations[0]!.up.checksum,
        file: "V001-test-up.cypher",
        applied_by: "tester@host",
      },
    });
    expect(Object.keys(row!)).toHaveLength(12);
  });

  it("keeps nothing of a file on data alone when one of its statements fails, not even a row", async () => {
    const text =
      "CREATE (:Trace {n: 1});\nCREATE (:Trace {n: 2});\n  CREATE (:Trace {n: 3} WHERE);\nCREATE (:Trace {n: 4});\nCREATE (:Trace {n: 5});";
    const error = await failure(files.up(sourceOf("CREATE (:Trace {n: 0})", text)));
    expect(error).toMatchObject({
      code: "failed",
      hint: expect.stringContaining("nothing of the file was kept"),
    });
    expect(error.message).toMatch(
      /^V002-test-up\.cypher:3:30: Invalid input '\)'.*\n {2}3 \| {3}CREATE \(:Trace \{n: 3\} WHERE\);\n {4}\| {30}\^$/,
    );
    expect(await traces()).toEqual([0]);
    expect(await files.states()).toEqual(["V001 applied 0"]);
    await files.up(sourceOf("CREATE (:Trace {n: 0})", text.replace(" WHERE", "")));
    expect(await traces()).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it("stops where a schema statement fails, and goes on there when the file was corrected", async () => {
    const text =
      "CREATE INDEX a FOR (t:T) ON (t.a);\nCREATE INDEX b FOR (t:T) ON (t.a);\nCREATE INDEX c FOR (t:T) ON (t.c);";
    const error = await failure(files.up(sourceOf(text)));
    expect(error.message).toContain("V001-test-up.cypher:2:1: There already exists an index (:T {a})");
    expect(error.hint).toContain("the statement before it is kept");
    expect(await files.states()).toEqual(["V001 failed 1"]);
    await files.up(sourceOf(text.replace("INDEX b FOR (t:T) ON (t.a)", "INDEX b FOR (t:T) ON (t.b)")));
    expect(await indexes()).toEqual(["a", "b", "c"]);
    expect(await files.states()).toEqual(["V001 applied 0"]);
  });

  it("rolls a segment of data back, and keeps what was recorded before it", async () => {
    const text =
      "CREATE INDEX a FOR (t:T) ON (t.a);\nCREATE (:Trace {n: 1});\nUNWIND [1, 0] AS n CREATE (:Trace {n: 1 / n});\nCREATE INDEX b FOR (t:T) ON (t.b)";
    const error = await failure(files.up(sourceOf(text)));
    expect(error.message).toContain("V001-test-up.cypher:3:1: Neo.ClientError.Statement.ArithmeticError");
    expect(await traces()).toEqual([]);
    expect(await files.states()).toEqual(["V001 failed 1"]);
    await files.up(sourceOf(text.replace("[1, 0]", "[1, 1]")));
    expect(await traces()).toEqual([1, 1, 1]);
    expect(await indexes()).toEqual(["a", "b"]);
  });

  it("evaluates rows that nobody reads: a query can be an assertion", async () => {
    const error = await failure(files.up(sourceOf("UNWIND range(3000, 0, -1) AS n RETURN 1 / n")));
    expect(error.message).toContain("ArithmeticError");
    await files.up(sourceOf("UNWIND range(1, 3000) AS n CREATE (t:Trace {n: n}) RETURN t"));
    expect(await traces()).toHaveLength(3_000);
  });

  describe("a schema statement that was under way when a runner was killed", () => {
    const CASES: [string, string, string][] = [
      ["CREATE INDEX a FOR (t:T) ON (t.a)", "CREATE INDEX a FOR (t:T) ON (t.a)", "a"],
      [
        "CREATE CONSTRAINT a FOR (t:T) REQUIRE t.a IS UNIQUE",
        "CREATE CONSTRAINT a FOR (t:T) REQUIRE t.a IS UNIQUE",
        "a",
      ],
      ["CREATE INDEX a IF NOT EXISTS FOR (t:T) ON (t.a)", "CREATE INDEX a FOR (t:T) ON (t.a)", "a"],
      ["DROP INDEX a", "RETURN 1", ""],
      ["DROP CONSTRAINT a", "RETURN 1", ""],
    ];
    const broken = async (text: string, state: "running" | "failed") => {
      const source = sourceOf(`CREATE (:Trace {n: 1});\n${text};\nCREATE (:Trace {n: 2})`);
      await failure(files.up(sourceOf("CREATE (:Trace {n: 1});\nCREATE INDEX FOR;")));
      await command(`MATCH (h:opsctl_migrations) SET h.state = '${state}'`);
      return source;
    };

    it.each(CASES)("is done when it had taken effect: %s", async (text, effect, index) => {
      await command(effect);
      await files.up(await broken(text, "running"));
      expect(await indexes()).toEqual(index === "" ? [] : [index]);
      expect(await traces()).toEqual([1, 2]);
      expect(await files.states()).toEqual(["V001 applied 0"]);
    });

    it("is no excuse for an index that somebody else made: when it was refused, in a later statement, in another shape", async () => {
      await command("CREATE INDEX a FOR (t:T) ON (t.a)");
      const refused = failure(files.up(await broken("CREATE INDEX a FOR (t:T) ON (t.a)", "failed")));
      expect((await refused).message).toContain("EquivalentSchemaRuleAlreadyExists");
      await neo4j.wipe();
      await command("CREATE INDEX a FOR (t:T) ON (t.a)");
      const later = "CREATE INDEX b FOR (t:T) ON (t.b);\nCREATE INDEX a FOR (t:T) ON (t.a)";
      const second = await failure(files.up(await broken(later, "running")));
      expect(second.message).toContain("V001-test-up.cypher:3:1: An equivalent index already exists");
      await neo4j.wipe();
      await command("CREATE INDEX a FOR (t:T) ON (t.other)");
      const other = await failure(files.up(await broken("CREATE INDEX a FOR (t:T) ON (t.a)", "running")));
      expect(other.message).toContain("There already exists an index called 'a'");
      // still in doubt
      expect(await files.states()).toEqual(["V001 running 1"]);
    });
  });

  it("does not repeat a loop over transactions by itself, unless it failed before its first one", async () => {
    const text = (from: number) =>
      `UNWIND range(${from}, -1, -1) AS n CALL (n) { CREATE (:Trace {n: 10 / n}) } IN TRANSACTIONS OF 1 ROW`;
    const none = await failure(files.up(sourceOf(text(0))));
    expect(none).toMatchObject({
      code: "failed",
      hint: expect.stringContaining("nothing of the file was kept"),
    });
    expect(await files.states()).toEqual(["V001 failed 0"]);
    const source = sourceOf(text(2));
    const some = await failure(files.up(source));
    expect(some.hint).toContain("the batches it had done are kept");
    expect(await traces()).toEqual([5, 10]);
    expect(await files.states()).toEqual(["V001 running 0"]);
    await expect(files.up(source)).rejects.toMatchObject({ code: "unknown_outcome" });
    const settled = sourceOf(text(2).replace("10 / n", "7"));
    await retryVersion(call, files.target, settled, {
      lockWaitMs: 0,
      limits: { lockTimeoutMs: 1_000, statementTimeoutMs: null },
      onDone: () => {},
    });
    expect(await traces()).toEqual([5, 7, 7, 7, 7, 10]);
    expect(await files.states()).toEqual(["V001 applied 0"]);
  });

  it("rolls back, in several steps too", async () => {
    const source = sourceOf({
      up: "CREATE INDEX a FOR (t:T) ON (t.a);\nCREATE (:Trace {n: 1})",
      down: "MATCH (t:Trace) DELETE t;\nDROP INDEX a;\nCREATE (:Trace {n: -1})",
    });
    await files.up(source);
    await files.down(source);
    expect(await indexes()).toEqual([]);
    expect(await traces()).toEqual([-1]);
    expect(await files.states()).toEqual(["V001 reverted 0"]);
    await files.up(source);
    await command("DROP INDEX a");
    expect((await failure(files.down(source))).message).toContain(
      "V001-test-down.cypher:2:1: Unable to drop index",
    );
    expect(await files.rows()).toMatchObject([
      { state: "failed", file: "V001-test-down.cypher", statement_index: 1 },
    ]);
    await command("CREATE INDEX a FOR (t:T) ON (t.a)");
    await files.down(source);
    expect(await files.states()).toEqual(["V001 reverted 0"]);
    expect(await traces()).toEqual([-1]);
  });

  it("refuses to delete what opsctl keeps: nodes of the history, and the lock", async () => {
    const source = sourceOf("CREATE (:Trace {n: 1})", "CREATE (:Trace {n: 2});\nMATCH (n) DETACH DELETE n");
    const error = await failure(files.up(source));
    expect(error).toMatchObject({ code: "failed", hint: expect.stringContaining("WHERE NOT n:opsctl_lock") });
    expect(error.message).toContain("V002-test-up.cypher:2:1: ");
    expect(await traces()).toEqual([1]);
    expect(await files.states()).toEqual(["V001 applied 0"]);
    const rows = sourceOf("CREATE (:Trace {n: 1})", "MATCH (h:opsctl_migrations) DELETE h");
    expect((await failure(files.up(rows))).message).toContain("V002-test-up.cypher:1:1: ");
    const spared = "MATCH (n) WHERE NOT n:opsctl_lock AND NOT n:opsctl_migrations DETACH DELETE n";
    await files.up(sourceOf("CREATE (:Trace {n: 1})", spared));
    expect(await traces()).toEqual([]);
    expect(await files.states()).toEqual(["V001 applied 0", "V002 applied 0"]);
  });

  it("says so when a loop over transactions has deleted the history", async () => {
    const loop = "MATCH (n) CALL (n) { DETACH DELETE n } IN TRANSACTIONS";
    const error = await failure(files.up(sourceOf("CREATE (:Trace {n: 1})", loop)));
    expect(error).toMatchObject({
      code: "integrity",
      hint: expect.stringContaining("opsctl migrate baseline"),
    });
  });

  it("records guarded statements on the schema together, and goes on at the one that fails", async () => {
    const guarded = (label: string) => `CREATE INDEX ${label} IF NOT EXISTS FOR (t:T) ON (t.${label})`;
    const text = [...["a", "b", "c"].map(guarded), "DROP INDEX nothing IF EXISTS"].join(";\n");
    expect((await failure(files.up(sourceOf(text.replace("(t.c)", "(t.c"))))).message).toContain("cypher:3:");
    expect(await files.states()).toEqual(["V001 failed 2"]);
    await command("MATCH (h:opsctl_migrations) SET h.state = 'running'");
    await files.up(sourceOf(`${text};\nCREATE (:Trace {n: 1})`));
    expect(await indexes()).toEqual(["a", "b", "c"]);
    expect(await files.states()).toEqual(["V001 applied 0"]);
  });

  it("drops an index again that could not be built, and builds it when the data is mended", async () => {
    await command("CREATE (:Trace {n: 1, big: reduce(s = '', i IN range(1, 3000) | s + 'xxxx')})");
    for (const name of ["big_text", ""]) {
      const source = sourceOf(`CREATE INDEX ${name} FOR (t:Trace) ON (t.big)`);
      const error = await failure(files.up(source));
      expect(error.message).toMatch(
        /V001-test-up\.cypher:1:1: .* could not build the index .*too large.*dropped again/,
      );
      expect(await indexes()).toEqual([]);
      expect(await files.states()).toEqual(["V001 failed 0"]);
    }
    await command("MATCH (t:Trace) SET t.big = 'small'");
    await files.up(sourceOf("CREATE INDEX big_text FOR (t:Trace) ON (t.big)"));
    expect(await indexes()).toEqual(["big_text"]);
  });

  it("quotes no stored value", async () => {
    await command("CREATE CONSTRAINT trace_s FOR (t:Trace) REQUIRE t.s IS UNIQUE");
    await command(
      "CREATE (:Trace {s: 'the secret'}), (:Other {s: 'the secret'}), (:Other {s: 'the secret'})",
    );
    const texts = [
      "MATCH (o:Other) CREATE (:Trace {s: o.s})",
      "CREATE CONSTRAINT other_s FOR (o:Other) REQUIRE o.s IS UNIQUE",
      "MATCH (o:Other) RETURN date(o.s)",
    ];
    for (const text of texts) {
      const error = await failure(files.up(sourceOf(text)));
      expect(error.message).toMatch(/\(?Neo\.\w+\.\w+\.\w+\)?/);
      expect(error.message).not.toContain("the secret");
      await command("MATCH (h:opsctl_migrations) DELETE h");
    }
  });

  it("ends a statement that takes longer than it may", async () => {
    const long = "UNWIND range(1, 1000000000) AS i WITH i WHERE i % 7 = 8 RETURN count(*)";
    const loop = `UNWIND range(1, 100000000) AS i CALL (i) { WITH i WHERE i < 0 CREATE (:Trace) } IN TRANSACTIONS OF 100000 ROWS`;
    for (const text of [
      `CREATE (:Trace {n: 1});\n${long}`,
      `CREATE INDEX a IF NOT EXISTS FOR (t:T) ON (t.a);\n${loop}`,
    ]) {
      const error = await failure(files.up(sourceOf(text), { statementTimeoutMs: 300 }));
      expect(error).toMatchObject({ code: "failed", hint: expect.stringContaining("--statement-timeout") });
      expect(error.message).toContain("V001-test-up.cypher:2:1: ");
      expect(await traces()).toEqual([]);
    }
    const running = "SHOW TRANSACTIONS YIELD currentQuery WHERE currentQuery CONTAINS 'UNWIND' RETURN 1 AS x";
    await expect.poll(() => column(`${running} // not this one`)).toHaveLength(1);
  });

  it("runs the down file of a shipped set after its up file: nothing of the schema is left", async () => {
    const before = await files.target.dump!(call);
    const { migrations, place } = shippedMigrations("neo4j", "memory");
    const source = { ...sourceOf(), set: "memory", place, migrations };
    await files.up(source);
    expect(await files.target.dump!(call)).toContain("CREATE CONSTRAINT `agent_name`");
    // one step a call
    for (const _ of migrations) await files.down(source);
    expect(await files.target.dump!(call)).toBe(before);
  });
});
