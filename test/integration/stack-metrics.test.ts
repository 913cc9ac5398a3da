/** The metrics of a whole stack against what its servers say themselves. */
import { Redis } from "ioredis";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { testCall } from "../support/calls.ts";
import { Sandbox } from "../support/cli.ts";
import { metricsProblems, rulesProblems, valuesOf } from "../support/promtool.ts";
import { type Stack, startStack } from "../support/stack.ts";

const HOSTILE = 'q"b\\s\nl{x="1"} 2\u001b[31m';
const SHOWN = 'q\\"b\\\\s\\nl{x=\\"1\\"} 2?[31m';

let sandbox: Sandbox;
let stack: Stack;
let postgres: pg.Client;
let redis: Redis;

beforeAll(async () => {
  sandbox = new Sandbox();
  stack = await startStack(sandbox);
  postgres = new pg.Client({ connectionString: stack.postgres.url });
  redis = new Redis(stack.redis.url);
  await postgres.connect();
  const table = `public.${postgres.escapeIdentifier(HOSTILE)}`;
  await postgres.query(
    `CREATE TABLE ${table} AS SELECT g AS id, repeat('x', 100) AS t FROM generate_series(1, 2000) g`,
  );
  await postgres.query(`CREATE TABLE "${"k".repeat(63)}" (id int)`);
  await postgres.query(`ANALYZE ${table}`);
  for (let index = 0; index < 30; index++) await redis.set(`${HOSTILE}:${index}`, "v");
  for (let index = 0; index < 40; index++) await redis.set(`space${index}:1`, "v", "EX", 1_000);
  await stack.neo4j.connection.command(
    testCall(),
    `UNWIND range(1, 7) AS i CREATE (a:\`${HOSTILE}\` {i: i})-[:\`${HOSTILE}\`]->(:\`${"L".repeat(9_000)}\`)`,
  );
  await sandbox.ok(["remember", "issue:disk", "removed old logs"], { env: stack.env });
  await sandbox.ok(["register-agent", "agent-1", "--server", "web-1"], { env: stack.env });
});

afterAll(async () => {
  await postgres?.end();
  redis?.disconnect();
  await stack?.stop();
  sandbox.remove();
});

async function column(sql: string): Promise<number> {
  const { rows } = await postgres.query<{ n: string }>(`SELECT (${sql}) AS n`);
  return Number(rows[0]!.n);
}

async function cypher(text: string): Promise<number> {
  const [row] = await stack.neo4j.connection.read<{ n: number }>(testCall(), text);
  return Number(row!.n);
}

describe("the metrics of a whole stack", () => {
  it("are what promtool takes, hostile names and all, and hold no secret", async () => {
    const { code, stdout, stderr } = await sandbox.run(["metrics"], { env: stack.env });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(await metricsProblems(stdout)).toBe("");
    const values = valuesOf(stdout);
    for (const engine of ["neo4j", "postgres", "redis"]) {
      expect(values.get(`opsctl_up{engine="${engine}"}`)).toBe(1);
      expect(values.get(`opsctl_statistics_success{engine="${engine}"}`)).toBe(1);
    }
    expect(values.get(`opsctl_redis_namespace_keys{namespace="${SHOWN}"}`)).toBe(30);
    expect(values.get('opsctl_redis_namespace_keys{namespace="other"}')).toBeGreaterThanOrEqual(21);
    expect(values.get(`opsctl_neo4j_label_nodes{label="${SHOWN}"}`)).toBe(7);
    expect(values.get(`opsctl_neo4j_type_relationships{type="${SHOWN}"}`)).toBe(7);
    expect(values.get(`opsctl_neo4j_label_nodes{label="${"L".repeat(119)}…"}`)).toBe(7);
    expect(values.get(`opsctl_postgres_table_rows{schema="public",table="${SHOWN}"}`)).toBe(2_000);
    for (const secret of [stack.redis.password, stack.neo4j.password, new URL(stack.postgres.url).password]) {
      expect(stdout).not.toContain(secret);
    }
  });

  it("equal what SQL, INFO and Cypher say of the same servers", async () => {
    const table = `'public.' || quote_ident(${postgres.escapeLiteral(HOSTILE)})`;
    const [, version] = /redis_version:(\S+)/.exec(await redis.info("server"))!;
    const [, policy] = (await redis.config("GET", "maxmemory-policy")) as string[];
    const sources: Record<string, () => Promise<number>> = {
      opsctl_postgres_size_bytes: () => column("pg_database_size(current_database())"),
      [`opsctl_postgres_table_size_bytes{schema="public",table="${SHOWN}"}`]: () =>
        column(`pg_total_relation_size((${table})::regclass)`),
      [`opsctl_postgres_table_data_size_bytes{schema="public",table="${SHOWN}"}`]: () =>
        column(`pg_table_size((${table})::regclass)`),
      opsctl_postgres_connections_max: () => column("current_setting('max_connections')::int"),
      opsctl_postgres_deadlocks_total: () =>
        column("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"),
      opsctl_redis_keys: () => redis.dbsize(),
      opsctl_redis_clients_max: async () =>
        Number(((await redis.config("GET", "maxclients")) as string[])[1]),
      opsctl_redis_memory_max_bytes: async () =>
        Number(((await redis.config("GET", "maxmemory")) as string[])[1]),
      [`opsctl_redis_info{version="${version}",role="master",policy="${policy}"}`]: async () => 1,
      opsctl_redis_evicted_keys_total: async () =>
        Number(/evicted_keys:(\d+)/.exec(await redis.info("stats"))![1]),
      opsctl_neo4j_nodes: () => cypher("MATCH (n) RETURN count(n) AS n"),
      opsctl_neo4j_relationships: () => cypher("MATCH ()-[r]->() RETURN count(r) AS n"),
      'opsctl_neo4j_indexes{state="ONLINE"}': () =>
        cypher("SHOW INDEXES YIELD state WHERE state = 'ONLINE' RETURN count(*) AS n"),
      opsctl_neo4j_constraints: () => cypher("SHOW CONSTRAINTS YIELD name RETURN count(*) AS n"),
      opsctl_memory_fixes: async () => 1,
      dashboard_agents_total: () => cypher("MATCH (a:Agent) RETURN count(a) AS n"),
    };
    const differences = async () => {
      const values = valuesOf(await sandbox.ok(["metrics"], { env: stack.env }));
      const asked = [];
      for (const [name, ask] of Object.entries(sources)) asked.push([name, values.get(name), await ask()]);
      return asked.filter(([, read, said]) => read !== said);
    };
    // autovacuum may still work on the new tables: then both are read again
    await expect.poll(differences, { timeout: 20_000 }).toEqual([]);
  });

  it("make no alert fire on a new stack but that it has no archive", async () => {
    const values = valuesOf(await sandbox.ok(["metrics"], { env: stack.env }));
    // how busy and full this host is, is not known
    const steady = [...values].filter(([name]) => !name.startsWith("opsctl_host_"));
    const minutes = 120;
    const firing = {
      expr: 'count by (alertname) (ALERTS{alertstate="firing"})',
      eval_time: `${minutes}m`,
      exp_samples: [{ labels: '{alertname="OpsctlBackupMissing"}', value: 1 }],
    };
    const played = {
      interval: "1m",
      input_series: steady.map(([series, value]) => ({ series, values: `${value}+0x${minutes}` })),
      promql_expr_test: [firing],
    };
    const rules = await sandbox.ok(["metrics", "--rules"]);
    expect(await rulesProblems(rules, { evaluation_interval: "5m", tests: [played] })).toBe("");
  });

  it("lose an engine that is away, and keep the others", async () => {
    await stack.postgres.proxy.down();
    try {
      const { code, stdout, stderr } = await sandbox.run(["metrics"], { env: stack.env });
      expect(code).toBe(0);
      expect(stderr).toContain("postgres is missing here");
      const values = valuesOf(stdout);
      expect(values.get('opsctl_up{engine="postgres"}')).toBe(0);
      expect([...values.keys()].filter((name) => name.startsWith("opsctl_postgres"))).toEqual([]);
      expect(values.get("opsctl_redis_keys")).toBe(await redis.dbsize());
      expect(values.get("opsctl_memory_fixes")).toBe(1);
      expect(await metricsProblems(stdout)).toBe("");
    } finally {
      await stack.postgres.proxy.up();
    }
  });
});
