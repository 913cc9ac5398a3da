import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { neo4jMigrations } from "../../src/engines/neo4j/migrations.ts";
import type { MigrationTarget } from "../../src/migrate/port.ts";
import { defaultSets } from "../../src/migrate/sets.ts";
import { applySets } from "../../src/migrate/shipped.ts";
import { testCall } from "../support/calls.ts";
import { type OpenNeo4j, openNeo4j } from "../support/neo4j.ts";

const GUIDE_INDEX = "CREATE INDEX agent_name FOR (a:Agent) ON (a.name)";
const GUIDE_CONSTRAINT = "CREATE CONSTRAINT agent_name_unique FOR (a:Agent) REQUIRE a.name IS UNIQUE";

describe("Neo4j migrations", () => {
  let neo4j: OpenNeo4j;
  let target: MigrationTarget;
  const call = testCall(300_000);
  const init = (dryRun = false) => applySets(call, target, defaultSets("neo4j"), dryRun);
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
    expect(first.sets).toMatchObject([{ set: "memory", state: "applied", versions: ["V001", "V002"] }]);
    expect(first.sets[0]!.counts).toMatchObject({ fixes: 0, agents: 0, issues: 0, memories: 0, indexes: 16 });
    const second = await init();
    expect(second).toMatchObject({ changes: [], sets: [{ state: "unchanged", versions: [] }] });
    const indexes = await ask<{ name: string }>(
      "SHOW INDEXES YIELD name, state WHERE state = 'ONLINE' RETURN name",
    );
    for (const name of ["agent_name", "fix_timestamp", "memory_text"])
      expect(indexes).toContainEqual({ name });
    expect(await target.history(call)).toEqual([
      expect.objectContaining({
        ...{ set_name: "memory", version: "V001", seq: 1, state: "applied", statement_index: 0 },
        applied_by: "tester@host",
      }),
      expect.objectContaining({ version: "V002", seq: 2, state: "applied", statement_index: 0 }),
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

  it("applies once when two runners start at once", async () => {
    const [a, b] = await Promise.all([
      init(),
      applySets(call, neo4jMigrations(neo4j.connection), defaultSets("neo4j"), false),
    ]);
    expect([a.sets[0]!.state, b.sets[0]!.state].sort()).toEqual(["applied", "unchanged"]);
  });

  it("waits for an index of the set, and says so when it cannot be built", async () => {
    await init();
    await command("DROP INDEX agent_status");
    await command("CREATE (:Agent {name: 'b', status: reduce(s = '', i IN range(1, 3000) | s + 'xxxx')})");
    await command("CREATE INDEX agent_status FOR (a:Agent) ON (a.status)");
    await expect(target.verify(call, "memory")).rejects.toMatchObject({
      message: expect.stringContaining("could not build the index agent_status"),
      hint: expect.stringContaining("DROP INDEX `agent_status`"),
    });
  });

  it("knows whose a database is", async () => {
    await init();
    await command("CREATE (:Memory {id: 'x'})");
    expect(await target.occupants(call)).toEqual([]);
    await command("CREATE ()");
    expect(await target.occupants(call)).toEqual(["nodes without a label"]);
    await command("CREATE CONSTRAINT book_id FOR (b:Book) REQUIRE b.id IS UNIQUE");
    await command("CREATE (:A), (:B), (:C), (:D)");
    expect(await target.occupants(call)).toEqual([":A", ":B", ":Book", ":C", ":D"]);
    await command("MATCH (n) WHERE n:A OR n:B OR n:C OR n:D DELETE n");
    expect(await target.occupants(call)).toEqual([":Book", "constraint book_id"]);
  });

  it("dumps the schema as a script that makes the same one, byte for byte", async () => {
    await init();
    await command("CREATE INDEX `odd ``name` FOR ()-[r:R]-() ON (r.x, r.y)");
    await command("CREATE TEXT INDEX text_x FOR (n:X) ON (n.x)");
    await command("CREATE POINT INDEX point_x FOR (n:X) ON (n.p)");
    const vector = "{indexConfig: {`vector.dimensions`: 3, `vector.similarity_function`: 'cosine'}}";
    await command(`CREATE VECTOR INDEX vector_x FOR (n:X) ON (n.v) OPTIONS ${vector}`);
    const dump = await target.dump!(call);
    expect(dump).not.toContain("opsctl_");
    expect(dump.match(/^CREATE .*;$/gm)).toHaveLength(20);
    await neo4j.wipe();
    const statements = target.statements(dump).map(({ text }) => text);
    for (const text of statements.reverse()) await command(text);
    expect(await target.dump!(call)).toBe(dump);
  });

  it("writes rows of history all or none", async () => {
    await init();
    const [row, second] = await target.history(call);
    const marked = { ...row!, set_name: "user", version: "V002", seq: 2, state: "applied" as const };
    await target.exclusively(call, 0, async () => {
      await target.record(call, [marked, { ...row!, state: "reverted" }]);
      expect(await target.history(call)).toEqual([{ ...row, state: "reverted" }, second, marked]);
      await command("MATCH (l:opsctl_lock) SET l.holder = 'thief'");
      await expect(target.record(call, [{ ...marked, version: "V003" }, row!])).rejects.toMatchObject({
        code: "locked",
      });
    });
    expect(await target.history(call)).toEqual([{ ...row, state: "reverted" }, second, marked]);
  });

  it("ships a file that plain cypher-shell can run: one statement a semicolon, comments on lines of their own", () => {
    const file = join(import.meta.dirname, "../../init/neo4j/memory/V001-memory-up.cypher");
    const lines = readFileSync(file, "utf8").split("\n");
    expect(lines.filter((line) => /\S.*\/\//.test(line) && !line.startsWith("//"))).toEqual([]);
  });
});
