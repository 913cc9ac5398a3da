import { execFileSync } from "node:child_process";
import { Redis } from "ioredis";
import neo4j, { type Driver, type Plan } from "neo4j-driver";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DATA_SETS, ownedNames } from "../../src/migrate/sets.ts";
import { Sandbox } from "../support/cli.ts";
import { postgresDatabase } from "../support/servers.ts";
import { type Stack, startStack } from "../support/stack.ts";

const SERVER_SETS = DATA_SETS.filter(({ engine }) => engine !== "sqlite");

/** Every shipped set at once, asked what the guides ask, rolled back and applied again. */
describe("the shipped sets on a real stack", () => {
  let sandbox: Sandbox;
  let stack: Stack;
  let graph: Driver;
  let redis: Redis;
  let sql: pg.Client;

  beforeAll(async () => {
    sandbox = new Sandbox({ shared: true });
    stack = await startStack(sandbox);
    graph = neo4j.driver(stack.neo4j.uri, neo4j.auth.basic(stack.neo4j.username, stack.neo4j.password), {
      disableLosslessIntegers: true,
    });
    redis = new Redis(stack.redis.url);
    sql = new pg.Client({ connectionString: stack.postgres.url });
    await sql.connect();
  });
  afterAll(async () => {
    redis?.disconnect();
    await sql?.end();
    await graph?.close();
    await stack?.stop();
    sandbox?.remove();
  });

  const json = (contract: string, ...args: string[]) => sandbox.json(contract, args, { env: stack.env });
  const ok = (...args: string[]) => sandbox.ok(args, { env: stack.env });
  async function cypher<Row>(query: string): Promise<Row[]> {
    return (await graph.executeQuery(query)).records.map((record) => record.toObject() as Row);
  }
  async function rows<Row extends pg.QueryResultRow>(query: string, values: unknown[] = []): Promise<Row[]> {
    return (await sql.query<Row>(query, values)).rows;
  }
  /** The plan of a query, one operator or node a line. */
  async function cypherPlan(query: string): Promise<string> {
    const { summary } = await graph.executeQuery(`EXPLAIN ${query}`);
    const lines = (plan: Plan): string[] => [
      `${plan.operatorType} ${(plan.arguments as Record<string, string>)["Details"] ?? ""}`,
      ...plan.children.flatMap(lines),
    ];
    return lines(summary.plan as Plan).join("\n");
  }
  it("init all --sets all applies what is missing, and nothing the second time", async () => {
    const first = await json("init", "init", "all", "--sets", "all");
    const states = first["engines"].flatMap(
      ({ engine, sets }: { engine: string; sets: { set: string; state: string }[] }) =>
        sets.map(({ set, state }) => `${engine} ${set} ${state}`),
    );
    expect(states).toEqual([
      "neo4j memory unchanged",
      "neo4j catalog applied",
      "neo4j knowledge applied",
      "postgres memory unchanged",
      "postgres vectors unchanged",
      "postgres sessions applied",
      "postgres embeddings applied",
      "redis namespaces applied",
    ]);
    const countsOf = (engine: string, name: string) =>
      first["engines"]
        .find((row: { engine: string }) => row.engine === engine)
        .sets.find(({ set }: { set: string }) => set === name).counts;
    expect(countsOf("neo4j", "catalog")).toMatchObject({ feeders: 0, compatibilities: 0, indexes: 17 });
    expect(countsOf("neo4j", "knowledge")).toMatchObject({ persons: 0, interests: 0, indexes: 3 });
    expect(countsOf("postgres", "sessions")).toEqual({
      sessions: 0,
      users: 0,
      indexes: 9,
      views: 2,
      triggers: 1,
    });
    expect(countsOf("postgres", "embeddings")).toEqual({
      embeddings: 0,
      messages: 0,
      conversations: 0,
      indexes: 5,
    });
    expect(await json("init", "init", "all", "--sets", "all")).toMatchObject({ changed: false });
    const listed = await json("init --list", "init", "--list");
    expect(
      listed["sets"]
        .filter(({ configured }: { configured: boolean }) => configured)
        .map(({ state, applied }: { state: string; applied: string }) => `${state} ${applied}`),
    ).toEqual(SERVER_SETS.map(({ latest }) => `applied V00${latest}`));
  });

  it("makes nothing but what the sets say they own", async () => {
    const relations = await rows<{ name: string }>(
      `SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind NOT IN ('i', 'I')
       UNION ALL SELECT proname FROM pg_proc p WHERE pronamespace = 'public'::regnamespace
         AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')`,
    );
    const names = relations.map(({ name }) => name).filter((name) => name !== "opsctl_migrations");
    expect(names.sort()).toEqual(ownedNames("postgres").sort());
    const indexes = await cypher<{ names: string[] | null }>(
      "SHOW INDEXES YIELD labelsOrTypes AS names RETURN names",
    );
    const labels = indexes.flatMap(({ names: of }) => of ?? []).filter((name) => !name.startsWith("opsctl_"));
    expect(labels.length).toBeGreaterThan(30);
    expect(ownedNames("neo4j")).toEqual(expect.arrayContaining(labels));
  });

  describe("catalog", () => {
    beforeAll(async () => {
      await cypher(`
        CREATE (ps:PowerSource {gin: '0446200880', name: 'Aristo 500ix', process: 'MIG', current_output: 500}),
          (other:PowerSource {gin: '0445555880', name: 'Warrior 400i', process: 'TIG', current_output: 400}),
          (:Feeder {gin: '0445800880', name: 'RobustFeed U82', cooling_type: 'water'})-[:COMPATIBLE_WITH]->(ps),
          (:Feeder {gin: '0446600880', name: 'RobustFeed Pro', cooling_type: 'gas'})-[:COMPATIBLE_WITH {since: date('2025-01-15')}]->(ps),
          (:Feeder {gin: '0460526887', name: 'Feed 3004'})-[:COMPATIBLE_WITH]->(other),
          (:Torch {gin: '0700025577', name: 'PSF 510w', amperage: 500, cooling: 'water'})-[:COMPATIBLE_WITH]->(ps),
          (:Accessory {gin: '0465416880', name: 'Aristo remote control', category: 'remote'})-[:COMPATIBLE_WITH]->(ps)`);
    });

    const FEEDERS = `MATCH (ps:PowerSource {gin: '0446200880'})
      MATCH (feeder:Feeder)-[:COMPATIBLE_WITH]->(ps)
      RETURN feeder`;

    it("answers which feeders are compatible with a power source, from its GIN", async () => {
      const found = await cypher<{ feeder: { properties: { name: string } } }>(FEEDERS);
      expect(found.map(({ feeder }) => feeder.properties.name).sort()).toEqual([
        "RobustFeed Pro",
        "RobustFeed U82",
      ]);
      expect(await cypherPlan(FEEDERS)).toMatch(/NodeUniqueIndexSeek.*PowerSource/);
    });

    it("keeps a GIN unique in each kind of product", async () => {
      for (const label of ["PowerSource", "Feeder", "Cooler", "Interconnector", "Torch", "Accessory"]) {
        await cypher(`MERGE (n:${label} {gin: 'twice'})`);
        await expect(cypher(`CREATE (n:${label} {gin: 'twice'})`)).rejects.toThrow(/already exists/);
      }
      await cypher("MATCH (n {gin: 'twice'}) DELETE n");
    });

    it("finds products by a word of their name", async () => {
      const found = await cypher<{ name: string }>(
        "CALL db.index.fulltext.queryNodes('product_names', 'aristo') YIELD node RETURN node.name AS name ORDER BY name",
      );
      expect(found).toEqual([{ name: "Aristo 500ix" }, { name: "Aristo remote control" }]);
    });

    it.each([
      ["PowerSource", "process"],
      ["PowerSource", "current_output"],
      ["PowerSource", "material"],
      ["Feeder", "cooling_type"],
      ["Cooler", "cooling_capacity"],
      ["Interconnector", "cable_length"],
      ["Torch", "amperage"],
      ["Torch", "cooling"],
      ["Accessory", "category"],
    ])("selects a %s by %s through an index", async (label, property) => {
      const query = `MATCH (n:${label}) USING INDEX n:${label}(${property}) WHERE n.${property} = 1 RETURN n`;
      expect(await cypherPlan(query)).toMatch(/NodeIndexSeek/);
    });

    it("reads all pairs by their type, and some by their index", async () => {
      expect(await cypherPlan("MATCH (a)-[r:COMPATIBLE_WITH]->(b) RETURN a, b")).toMatch(
        /RelationshipTypeScan/,
      );
      const recent = `MATCH (part)-[r:COMPATIBLE_WITH]->(:PowerSource) USING INDEX r:COMPATIBLE_WITH(since)
        WHERE r.since >= date('2025-01-01') RETURN part.name AS name`;
      expect(await cypherPlan(recent)).toMatch(/RelationshipIndex.*COMPATIBLE_WITH\(since\)/);
      expect(await cypher(recent)).toEqual([{ name: "RobustFeed Pro" }]);
    });
  });

  describe("knowledge", () => {
    it("takes the guide's entities, once each", async () => {
      const example = `CREATE (p:Person {name: 'Alice'})
        CREATE (c:Concept {name: 'Machine Learning'})
        CREATE (p)-[:INTERESTED_IN]->(c)`;
      await cypher(example);
      await expect(cypher(example)).rejects.toThrow(/already exists/);
      expect(
        await cypher(
          "MATCH (p:Person)-[:INTERESTED_IN]->(c:Concept) RETURN p.name AS person, c.name AS concept",
        ),
      ).toEqual([{ person: "Alice", concept: "Machine Learning" }]);
      expect(
        await cypher(
          "CALL db.index.fulltext.queryNodes('entity_names', 'learning') YIELD node RETURN labels(node) AS labels",
        ),
      ).toEqual([{ labels: ["Concept"] }]);
    });

    it("keeps 16 writers that MERGE the same names at once from making two of anything", async () => {
      const merge = `MERGE (p:Person {name: 'Bob'}) MERGE (c:Concept {name: 'Graphs'})
        MERGE (p)-[:INTERESTED_IN]->(c)`;
      await Promise.all(Array.from({ length: 16 }, () => cypher(merge)));
      expect(
        await cypher(`RETURN COUNT { MATCH (p:Person {name: 'Bob'}) } AS persons,
          COUNT { MATCH (c:Concept {name: 'Graphs'}) } AS concepts,
          COUNT { MATCH (:Person {name: 'Bob'})-[:INTERESTED_IN]->() } AS interests`),
      ).toEqual([{ persons: 1, concepts: 1, interests: 1 }]);
    });
  });

  describe("namespaces", () => {
    it("answers the guides' commands, and checks the keys by their names", async () => {
      await redis.set("session:abc-123-def", '{"state": "greeting"}', "EX", 3600);
      await redis.set("session:abc-123-def:ttl", "1736935200", "EX", 3600);
      await redis.sadd("user:user-123:sessions", "abc-123-def", "xyz");
      await redis.setex("translate:en:fr:hello", 3600, "bonjour");
      await redis.set("cache:report", "1");
      await redis.set("lock:r1", "owner", "PX", 600_000, "NX");
      await redis.set("user:user-9:sessions", "not a set");
      await redis.set("session:for-ever", "{}");

      expect(await redis.get("session:abc-123-def")).toBe('{"state": "greeting"}');
      expect((await redis.smembers("user:user-123:sessions")).sort()).toEqual(["abc-123-def", "xyz"]);
      expect(await redis.ttl("session:abc-123-def")).toBeGreaterThan(3500);
      expect(await redis.get("translate:en:fr:hello")).toBe("bonjour");
      expect(await redis.dbsize()).toBe(8);
      const { engines } = await json("init", "init", "redis", "--sets", "namespaces");
      expect(engines[0]).toMatchObject({
        status: "unchanged",
        sets: [
          {
            set: "namespaces",
            counts: {
              session: 2,
              user_sessions: 2,
              session_ttl: 1,
              cache: 1,
              lock: 1,
              translate: 1,
              mistyped: 1,
              without_ttl: 1,
            },
          },
        ],
      });
    });
  });

  describe("down and up again", () => {
    /** What the engine's own tools say about its schema, without opsctl's bookkeeping. */
    async function schemas(): Promise<{ neo4j: string[]; postgres: string; redis: string[] }> {
      const neo4jSchema = await cypher<{ statement: string }>(
        `SHOW INDEXES YIELD type, labelsOrTypes, createStatement AS statement, owningConstraint
         WHERE type <> 'LOOKUP' AND owningConstraint IS NULL RETURN statement`,
      );
      const constraints = await cypher<{ statement: string }>(
        "SHOW CONSTRAINTS YIELD createStatement AS statement RETURN statement",
      );
      return {
        neo4j: [...neo4jSchema, ...constraints]
          .map(({ statement }) => statement)
          .filter((statement) => !statement.includes("opsctl_"))
          .sort(),
        postgres: pgDump(stack.postgres.url),
        redis: (await redis.keys("*")).sort(),
      };
    }

    /** Neither the random key of each dump nor the history. */
    function pgDump(url: string): string {
      const args = ["--schema-only", "--exclude-table=opsctl_migrations", url];
      return execFileSync("pg_dump", args, { encoding: "utf8" }).replaceAll(/^\\(un)?restrict .*$/gm, "");
    }

    const down = ({ engine, set, latest }: (typeof SERVER_SETS)[number]) => [
      "migrate",
      "down",
      engine,
      "--set",
      set,
      "--steps",
      String(latest),
      "--yes",
    ];

    let before: Awaited<ReturnType<typeof schemas>>;

    it("leaves nothing of the sets behind, and nothing else harmed", async () => {
      await ok("remember", "issue:connection-timeout", "Increased timeout to 30s", "--agent", "agent-1");
      await cypher(`CREATE (:Issue {key: 'of-another-program'}), (:Agent {name: 'of-another-program'}),
        (:Event {id: 'of-another-program'}), (:Term {w: 'of-another-program'})`);
      await rows("CREATE TABLE visitors (id integer PRIMARY KEY)");
      before = await schemas();

      for (const shipped of SERVER_SETS) {
        const { engine, set } = shipped;
        const { engines } = await json("migrate down", ...down(shipped));
        expect(engines).toMatchObject([{ engine, set, status: "migrated", error: null }]);
      }
      const bare = await postgresDatabase();
      try {
        const client = new pg.Client({ connectionString: bare.url });
        await client.connect();
        await client.query("CREATE EXTENSION pg_trgm; CREATE EXTENSION vector");
        await client.query("CREATE TABLE visitors (id integer PRIMARY KEY)");
        await client.end();
        expect(await schemas()).toEqual({ neo4j: [], postgres: pgDump(bare.url), redis: before.redis });
      } finally {
        await bare.drop();
      }
      const left = await cypher<{ label: string; count: number }>(
        `MATCH (n) WHERE none(label IN labels(n) WHERE label STARTS WITH 'opsctl_')
         RETURN labels(n)[0] AS label, count(*) AS count ORDER BY label`,
      );
      expect(left).toEqual([
        { label: "Accessory", count: 1 },
        { label: "Agent", count: 1 },
        { label: "Concept", count: 2 },
        { label: "Event", count: 1 },
        { label: "Feeder", count: 3 },
        { label: "Issue", count: 1 },
        { label: "Person", count: 2 },
        { label: "PowerSource", count: 2 },
        { label: "Term", count: 1 },
        { label: "Torch", count: 1 },
      ]);
      const listed = await json("init --list", "init", "--list");
      expect(
        listed["sets"]
          .filter(({ configured }: { configured: boolean }) => configured)
          .map(({ state, applied }: { state: string; applied: string | null }) => [state, applied]),
      ).toEqual(SERVER_SETS.map(() => ["pending", null]));
    });

    it("all of it comes back, by two at once: what one applies, the other waits for and finds done", async () => {
      const both = await Promise.all([1, 2].map(() => json("init", "init", "all", "--sets", "all")));
      const applied = both.flatMap(({ engines }) =>
        engines.flatMap(({ sets }: { sets: { state: string; set: string }[] }) =>
          sets.filter(({ state }) => state === "applied"),
        ),
      );
      expect(applied).toHaveLength(SERVER_SETS.length);
      expect(await schemas()).toEqual(before);
      expect(await json("stats", "stats")).toMatchObject({ records: 0, agents: 1 });
      await ok("remember", "issue:connection-timeout", "again");
      expect((await json("fixes", "fixes"))["fixes"]).toHaveLength(1);
    });
  });
});
