import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { MEMORY_INDEXES, neo4jMigrations } from "../../src/engines/neo4j/migrations.ts";
import { splitCypher } from "../../src/engines/neo4j/statements.ts";
import { shippedMigrations } from "../../src/migrate/files.ts";
import type { Migration, MigrationTarget } from "../../src/migrate/port.ts";
import { setsOf } from "../../src/migrate/sets.ts";
import { applySets } from "../../src/migrate/shipped.ts";
import { testCall } from "../support/calls.ts";
import { type OpenNeo4j, openNeo4j } from "../support/neo4j.ts";

const GUIDE_INDEX = "CREATE INDEX agent_name FOR (a:Agent) ON (a.name)";
const GUIDE_CONSTRAINT = "CREATE CONSTRAINT agent_name_unique FOR (a:Agent) REQUIRE a.name IS UNIQUE";

describe("Neo4j migrations", () => {
  let neo4j: OpenNeo4j;
  let target: MigrationTarget;
  const call = testCall(300_000);
  const init = (dryRun = false) => applySets(call, target, setsOf("neo4j"), dryRun);
  const command = (query: string) => neo4j.connection.command(call, query);
  const ask = <T = Record<string, unknown>>(query: string) => neo4j.connection.read<T>(call, query);
  const constraints = async () =>
    (await ask<{ name: string }>("SHOW CONSTRAINTS YIELD name RETURN name ORDER BY name")).map(
      ({ name }) => name,
    );

  beforeAll(() => {
    neo4j = openNeo4j();
    target = neo4jMigrations(neo4j.connection);
  });
  beforeEach(() => neo4j.wipe());
  afterAll(() => neo4j?.connection.close());

  it("applies the set once, with the guide's names, and counts", async () => {
    expect(await target.history(call)).toEqual([]);
    const first = await init();
    expect(first.changes).toEqual([]);
    expect(first.sets).toMatchObject([{ set: "memory", state: "applied", versions: ["V001"] }]);
    expect(first.sets[0]!.counts).toMatchObject({ fixes: 0, agents: 0, issues: 0, memories: 0, indexes: 15 });
    const second = await init();
    expect(second).toMatchObject({ changes: [], sets: [{ state: "unchanged", versions: [] }] });
    const indexes = await ask<{ name: string }>(
      "SHOW INDEXES YIELD name, state WHERE state = 'ONLINE' RETURN name",
    );
    for (const name of MEMORY_INDEXES) expect(indexes).toContainEqual({ name });
    expect(await target.history(call)).toEqual([
      expect.objectContaining({
        set_name: "memory",
        version: "V001",
        seq: 1,
        state: "applied",
        applied_by: "tester@host",
        statement_index: first.sets[0] && splitCypher(shippedMigrations("neo4j", "memory")[0]!.text).length,
      }),
    ]);
  });

  it("plans without writing", async () => {
    await command(GUIDE_INDEX);
    const plan = await init(true);
    expect(plan.changes).toHaveLength(1);
    expect(plan.statements).toContain("CREATE INDEX fix_timestamp IF NOT EXISTS FOR (f:Fix) ON (f.ts)");
    expect(await constraints()).toEqual([]);
    expect(await ask("MATCH (n) RETURN n")).toEqual([]);
  });

  it("replaces the index of the guides, also when somebody made it again later", async () => {
    const change = {
      name: "index agent_name",
      before: "RANGE INDEX on Agent.name",
      after: "constraint agent_name",
    };
    await command("CREATE (:Agent {name: 'a'})");
    await command(GUIDE_INDEX);
    expect((await init()).changes).toEqual([change]);
    expect(await constraints()).toContain("agent_name");
    await command("DROP CONSTRAINT agent_name");
    await command(GUIDE_INDEX);
    expect(await init()).toMatchObject({ changes: [change], sets: [{ state: "unchanged" }] });
    expect(await constraints()).toContain("agent_name");
    expect((await init()).changes).toEqual([]);
  });

  it("replaces the constraint of the guides", async () => {
    await command(GUIDE_CONSTRAINT);
    expect((await init()).changes).toMatchObject([{ name: "constraint agent_name_unique" }]);
    expect(await constraints()).toContain("agent_name");
    expect(await constraints()).not.toContain("agent_name_unique");
  });

  it("names agents that stand in the way of the constraint, and drops nothing", async () => {
    await command("UNWIND range(1, 7) AS n UNWIND [1, 2] AS twice CREATE (:Agent {name: 'agent-' + n})");
    await command(GUIDE_INDEX);
    const failure = { code: "failed", message: expect.stringContaining('"agent-1" (2 times)') };
    await expect(init(true)).rejects.toMatchObject(failure);
    await expect(init()).rejects.toMatchObject(failure);
    expect(await ask("SHOW INDEXES YIELD name WHERE name = 'agent_name' RETURN name")).toHaveLength(1);
  });

  it("resumes a file where it stopped", async () => {
    const broken = migration(
      "CREATE (:Trace {n: 1}); CREATE (:Trace {n: 2}); NONSENSE; CREATE (:Trace {n: 3});",
    );
    await target.prepare(call, [], false);
    await expect(target.apply(call, broken, row(broken))).rejects.toMatchObject({
      code: "failed",
      message: expect.stringMatching(/^test\/V001-broken-up\.cypher, statement 3 of 4: .*NONSENSE/),
    });
    expect(await target.history(call)).toMatchObject([{ state: "failed", statement_index: 2 }]);
    const mended = { ...broken, text: broken.text.replace("NONSENSE", "RETURN 1") };
    await target.apply(call, mended, row(broken));
    expect(await target.history(call)).toMatchObject([{ state: "applied", statement_index: 4 }]);
    expect(await ask("MATCH (t:Trace) RETURN t.n AS n ORDER BY n")).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
  });

  it("starts from the beginning when the file that failed was mended", async () => {
    const broken = migration("MERGE (:Trace {n: 1}); NONSENSE;");
    await target.prepare(call, [], false);
    await expect(target.apply(call, broken, row(broken))).rejects.toThrow();
    const mended = { ...migration("MERGE (:Trace {n: 0}); RETURN 1;"), checksum: "sha256:other" };
    await target.apply(call, mended, row(mended));
    expect(await target.history(call)).toMatchObject([{ state: "applied", checksum: "sha256:other" }]);
    expect(await ask("MATCH (t:Trace) RETURN t.n AS n ORDER BY n")).toEqual([{ n: 0 }, { n: 1 }]);
  });

  it("keeps a second runner out, and says who holds the lock", async () => {
    await target.prepare(call, [], false);
    const other = neo4jMigrations(neo4j.connection);
    await target.exclusively(call, async () => {
      const waiting = other.exclusively(testCall(700), async () => "never");
      await expect(waiting).rejects.toMatchObject({
        code: "locked",
        message: expect.stringContaining("tester@host"),
      });
    });
    expect(await other.exclusively(call, async () => "free again")).toBe("free again");
  });

  it("applies once when two runners start at once", async () => {
    const [a, b] = await Promise.all([
      init(),
      applySets(call, neo4jMigrations(neo4j.connection), setsOf("neo4j"), false),
    ]);
    expect([a.sets[0]!.state, b.sets[0]!.state].sort()).toEqual(["applied", "unchanged"]);
  });

  it("takes over the lock of a dead runner, and fences the sleeper off", async () => {
    await target.prepare(call, [], false);
    const file = migration("CREATE (:Trace)");
    const other = neo4jMigrations(neo4j.connection);
    await target.exclusively(call, async () => {
      await command("MATCH (l:opsctl_lock) SET l.expires_at = timestamp() - 1");
      expect(await other.exclusively(call, async () => "taken over")).toBe("taken over");
      await expect(target.apply(call, file, row(file))).rejects.toMatchObject({ code: "locked" });
    });
    expect(await ask("MATCH (t:Trace) RETURN t")).toEqual([]);
    expect(await target.history(call)).toEqual([]);
  });

  it("splits Cypher at semicolons outside quotes and comments", () => {
    expect(splitCypher("// a; b\nRETURN 'x;\\'y' ; /* c; */ RETURN \"z;\" AS `q;``r`;\n\n;")).toEqual([
      "RETURN 'x;\\'y'",
      'RETURN "z;" AS `q;``r`',
    ]);
    expect(splitCypher("RETURN 1/2; RETURN/**/3 // end")).toEqual(["RETURN 1/2", "RETURN 3"]);
    expect(splitCypher("RETURN 'http://host/;'")).toEqual(["RETURN 'http://host/;'"]);
    expect(splitCypher(" \n// nothing\n")).toEqual([]);
  });

  it("ships a file that plain cypher-shell can run: one statement a semicolon, comments on lines of their own", () => {
    const file = join(import.meta.dirname, "../../init/neo4j/memory/V001-memory-up.cypher");
    const lines = readFileSync(file, "utf8").split("\n");
    expect(lines.filter((line) => /\S.*\/\//.test(line) && !line.startsWith("//"))).toEqual([]);
  });
});

function migration(text: string): Migration {
  const file = "V001-broken-up.cypher";
  return { set: "test", version: "V001", seq: 1, file, description: "broken", checksum: "sha256:x", text };
}

function row({ set, version, seq, file, description, checksum }: Migration) {
  return {
    set_name: set,
    version,
    seq,
    file,
    description,
    checksum,
    applied_by: "tester@host",
    applied_at: 1_700_000_000_000,
    tool_version: "0.0.0",
  };
}
