import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { Redis } from "ioredis";
import neo4j, { type Driver } from "neo4j-driver";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findJava, neo4jLibDir } from "../../scripts/services/tools.ts";
import { setsOf } from "../../src/migrate/sets.ts";
import { collect, ROOT, Sandbox } from "../support/cli.ts";
import { type Stack, startStack } from "../support/stack.ts";

/** `opsctl init all`, read back from the servers without opsctl. */
describe("init on a real stack", () => {
  let sandbox: Sandbox;
  let stack: Stack;
  let graph: Driver;
  let redis: Redis;

  beforeAll(async () => {
    sandbox = new Sandbox({ shared: true });
    stack = await startStack(sandbox);
    graph = neo4j.driver(stack.neo4j.uri, neo4j.auth.basic(stack.neo4j.username, stack.neo4j.password));
    redis = new Redis(stack.redis.url);
  });
  afterAll(async () => {
    redis?.disconnect();
    await graph?.close();
    await stack?.stop();
    sandbox?.remove();
  });

  const json = (contract: string, ...args: string[]) => sandbox.json(contract, args, { env: stack.env });
  async function names(query: string): Promise<string[]> {
    const { records } = await graph.executeQuery(query);
    return records.map((record) => record.get("name") as string);
  }

  it("changes nothing the second time, and says so", async () => {
    const second = await json("init", "init", "all");
    expect(second).toMatchObject({ changed: false });
    const { engines } = second as unknown as { engines: { engine: string; status: string }[] };
    expect(engines.map(({ engine, status }) => [engine, status])).toEqual([
      ["neo4j", "unchanged"],
      ["postgres", "unchanged"],
      ["redis", "unchanged"],
    ]);
    expect(await sandbox.ok(["init", "all"], { env: stack.env })).toMatch(/\nno change\n$/);
  });

  it("made the indexes of the guide in Neo4j, with a unique agent name", async () => {
    expect(await names("SHOW INDEXES YIELD name, state WHERE state = 'ONLINE' RETURN name")).toEqual(
      expect.arrayContaining([
        "fix_timestamp",
        "fix_issue",
        "fix_success",
        "agent_name",
        "agent_status",
        "agent_last_seen",
      ]),
    );
    expect(await names("SHOW CONSTRAINTS YIELD name, type WHERE type = 'UNIQUENESS' RETURN name")).toEqual(
      expect.arrayContaining(["agent_name", "fix_id", "issue_key", "memory_id"]),
    );
  });

  it("set the five settings in Redis", async () => {
    const settings = ["maxmemory", "maxmemory-policy", "appendonly", "appendfsync", "timeout"];
    const values = await Promise.all(settings.map((name) => redis.config("GET", name)));
    expect(Object.fromEntries(values as [string, string][])).toEqual({
      maxmemory: String(512 * 1024 * 1024),
      "maxmemory-policy": "allkeys-lru",
      appendonly: "yes",
      appendfsync: "everysec",
      timeout: "300",
    });
  });

  it("lists what is applied where", async () => {
    const { sets } = (await json("init --list", "init", "--list")) as unknown as {
      sets: { engine: string; set: string; state: string }[];
    };
    expect(sets.map(({ engine, set, state }) => `${engine} ${set} ${state}`)).toEqual([
      "neo4j memory applied",
      "neo4j catalog pending",
      "neo4j knowledge pending",
      "postgres memory applied",
      "postgres vectors applied",
      "postgres sessions pending",
      "postgres embeddings pending",
      "redis namespaces pending",
      "sqlite memory not configured",
    ]);
  });

  it("replaces the guides' index agent_name by the constraint, also later, and says so", async () => {
    await graph.executeQuery("DROP CONSTRAINT agent_name");
    await graph.executeQuery("CREATE INDEX agent_name FOR (a:Agent) ON (a.name)");
    const text = await sandbox.ok(["init", "neo4j"], { env: stack.env });
    expect(text).toMatch(/index agent_name: .*Agent.* → constraint agent_name/);
    expect(await names("SHOW CONSTRAINTS YIELD name WHERE name = 'agent_name' RETURN name")).toEqual([
      "agent_name",
    ]);
  });

  it("ships Cypher that plain cypher-shell runs, and that init takes over", async () => {
    await stack.neo4j.wipe();
    const { uri, username, password } = stack.neo4j;
    const sets = setsOf("neo4j").map(({ set }) => join(ROOT, "init", "neo4j", set));
    const script = [
      ...sets.map((folder) => join(folder, `V001-${basename(folder)}-up.cypher`)),
      ...sets.map((folder) => join(folder, "verify.cypher")),
    ].map((file) => readFileSync(file, "utf8"));
    const java = await findJava();
    const jvm = ["-cp", join(neo4jLibDir(), "*"), "-XX:TieredStopAtLevel=1"];
    const args = [...jvm, "org.neo4j.shell.Main", "-a", uri, "-u", username];
    // the password by the environment: never in argv
    const env = { ...process.env, NEO4J_PASSWORD: password };
    const shell = spawn(java!, args, { env });
    shell.stdin.end(script.join("\n"));
    const { code, stdout, stderr } = await collect(shell);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    // the one node is the memory's statistics
    expect(stdout).toMatch(/nodes, fixes, agents, issues, memories\n1, 0, 0, 0, 0\n/);
    expect(stdout).toMatch(
      /power_sources, feeders, .*\n0, 0, [\s\S]*persons, concepts, interests\n0, 0, 0\n/,
    );
    expect(await json("init", "init", "neo4j")).toMatchObject({
      engines: [{ status: "initialized", error: null }],
    });
  });

  it("answers the guides' own Cypher queries about what opsctl remembered", async () => {
    const env = stack.env;
    await sandbox.ok(["register-agent", "agent-1", "--server", "server-1"], { env });
    const fix = ["remember", "issue:connection-timeout", "Increased timeout to 30s", "--agent", "agent-1"];
    await sandbox.ok([...fix, "--success"], { env });
    await sandbox.ok([...fix, "--failed"], { env });
    await sandbox.ok(["remember", "note:other", "no issue"], { env });
    const query = async (cypher: string) =>
      (await graph.executeQuery(cypher)).records.map((record) => record.toObject());

    const recent = await query(
      "MATCH (f:Fix) RETURN f.issue AS issue, f.solution AS solution, f.ts AS ts ORDER BY f.ts DESC",
    );
    expect(recent).toMatchObject([
      { issue: "connection-timeout", solution: "Increased timeout to 30s" },
      { issue: "connection-timeout", solution: "Increased timeout to 30s" },
    ]);
    // the guides keep milliseconds as integers
    expect(neo4j.isInt(recent[0]!["ts"])).toBe(true);
    const similar = await query(
      "MATCH (f:Fix) WHERE f.issue CONTAINS 'connection' RETURN f.issue AS issue, count(f) AS occurrence_count",
    );
    expect(similar).toEqual([{ issue: "connection-timeout", occurrence_count: neo4j.int(2) }]);
    const linked = await query(
      "MATCH (i:Issue)<-[:RESOLVES]-(f:Fix)-[:APPLIED_BY]->(a:Agent) RETURN i.key AS key, a.name AS agent, f.success AS success ORDER BY success",
    );
    expect(linked).toEqual([
      { key: "connection-timeout", agent: "agent-1", success: false },
      { key: "connection-timeout", agent: "agent-1", success: true },
    ]);
    const agents = await query(
      "MATCH (a:Agent) RETURN a.name AS name, a.status AS status, a.server AS server",
    );
    expect(agents).toEqual([{ name: "agent-1", status: "active", server: "server-1" }]);

    const { fixes } = (await json("fixes", "fixes")) as unknown as {
      fixes: { id: string; issue: string | null }[];
    };
    await sandbox.ok(["fixes", "forget", fixes.find(({ issue }) => issue !== null)!.id, "--yes"], { env });
    expect(await query("MATCH (f:Fix) RETURN f")).toEqual([]);
    expect(await query("MATCH (i:Issue) RETURN i")).toEqual([]);
  });
});
