import { execFileSync } from "node:child_process";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { setsOf } from "../../src/migrate/sets.ts";
import { ROOT, Sandbox } from "../support/cli.ts";
import { postgresDatabase, type TestDatabase } from "../support/servers.ts";

/** A vector of 768 numbers from -1 to 1 that depends on the seed alone. */
function vectorOf(seed: number): number[] {
  let state = seed * 2654435761 + 1;
  return Array.from({ length: 768 }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

/** What the sets of PostgreSQL hold, asked what the guides ask. */
describe("the shipped sets of PostgreSQL", () => {
  let sandbox: Sandbox;
  let database: TestDatabase;
  let sql: pg.Client;
  let env: Record<string, string>;

  beforeAll(async () => {
    sandbox = new Sandbox({ shared: true });
    database = await postgresDatabase();
    env = { DATABASE_URL: database.url };
    await sandbox.ok(["init", "postgres", "--sets", "all"], { env });
    sql = new pg.Client({ connectionString: database.url });
    await sql.connect();
  });
  afterAll(async () => {
    await sql?.end();
    await database?.drop();
    sandbox?.remove();
  });

  const json = (contract: string, ...args: string[]) => sandbox.json(contract, args, { env });
  async function rows<Row extends pg.QueryResultRow>(query: string, values: unknown[] = []): Promise<Row[]> {
    return (await sql.query<Row>(query, values)).rows;
  }
  /** With a few rows the planner would read and sort them all: this asks whether it can do otherwise. */
  async function sqlPlan(query: string): Promise<string> {
    await sql.query("BEGIN; SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off");
    const plan = await rows<{ "QUERY PLAN": string }>(`EXPLAIN ${query}`);
    await sql.query("ROLLBACK");
    return plan.map((row) => row["QUERY PLAN"]).join("\n");
  }

  describe("sessions", () => {
    beforeAll(async () => {
      await rows(
        `INSERT INTO archived_sessions (session_id, user_id, created_at, last_activity_at, conversation_history,
           master_parameters, response_json, agent_logs, finalized, message_count, product_selections_count)
         VALUES
         ('s1', 'user-123', '2025-01-15 10:00:00', '2025-01-15 10:12:30.9',
          '{"messages": [{"role": "user", "content": "MIG, 500 A"}, {"role": "assistant", "content": "..."}]}',
          '{"process": "MIG"}', '{"products": ["0446200880"]}', '[{"agent": "search", "ms": 12}]', true, 4, 2),
         ('s2', 'user-123', '2025-01-16 10:00:00', '2025-01-16 10:01:00', '{"messages": []}', '{}', '{}', '[]', false, 0, 0),
         ('s3', NULL, '2025-01-17 10:00:00', NULL, '{"messages": [{"role": "system"}]}', '{}', '{}', '[]', false, 1, 0)`,
      );
    });
    const duration = async (id: string) =>
      (
        await rows<{ seconds: number | null }>(
          "SELECT session_duration_seconds AS seconds FROM archived_sessions WHERE session_id = $1",
          [id],
        )
      )[0]!.seconds;

    it("lists the sessions of a user, through an index", async () => {
      const query = "SELECT * FROM archived_sessions WHERE user_id = 'user-123'";
      const found = await rows<{ session_id: string }>(query);
      expect(found.map(({ session_id }) => session_id).sort()).toEqual(["s1", "s2"]);
      expect(await sqlPlan(`${query} ORDER BY created_at DESC`)).toMatch(
        /Index Scan using archived_sessions_user/,
      );
    });

    it("sums all sessions up in one row", async () => {
      const [stats, ...more] = await rows("SELECT * FROM session_summary_stats");
      expect(more).toEqual([]);
      expect(stats).toMatchObject({
        total_sessions: "3",
        unique_users: "1",
        finalized_sessions: "1",
        finalized_percent: "33.3",
        total_messages: "5",
        avg_duration_seconds: "405.0",
        max_duration_seconds: 750,
      });
      expect(await rows("SELECT * FROM user_session_history")).toMatchObject([
        { user_id: "user-123", total_sessions: "2", total_messages: "4", total_duration_seconds: "810" },
      ]);
    });

    it("searches conversations for what they contain, through the GIN index", async () => {
      const query = `SELECT session_id, conversation_history FROM archived_sessions
        WHERE conversation_history @> '{"messages": [{"role": "user"}]}'`;
      expect(await rows(query)).toMatchObject([{ session_id: "s1" }]);
      expect(await sqlPlan(query)).toMatch(/Bitmap Index Scan on archived_sessions_conversation/);
    });

    it.each([
      ["master_parameters", '{"process": "MIG"}', "archived_sessions_parameters"],
      ["response_json", '{"products": ["0446200880"]}', "archived_sessions_response"],
      ["agent_logs", '[{"agent": "search"}]', "archived_sessions_agent_logs"],
    ])("and %s", async (column, part, index) => {
      const query = `SELECT session_id FROM archived_sessions WHERE ${column} @> '${part}'`;
      expect(await rows(query)).toEqual([{ session_id: "s1" }]);
      expect(await sqlPlan(query)).toMatch(new RegExp(`Bitmap Index Scan on ${index}`));
    });

    it("computes the duration on insert and on every update, also of the column itself", async () => {
      expect(await duration("s1")).toBe(750);
      expect(await duration("s3")).toBeNull();
      const set = async (assignments: string) => {
        await rows(`UPDATE archived_sessions SET ${assignments} WHERE session_id = 's3'`);
        return duration("s3");
      };
      expect(await set("last_activity_at = created_at + interval '1 hour'")).toBe(3600);
      expect(await set("session_duration_seconds = 1")).toBe(3600);
      // clocks that disagree; times that no INTEGER can span, or that are none
      expect(await set("last_activity_at = created_at - interval '1 second'")).toBe(0);
      expect(await set("last_activity_at = '9999-12-31'")).toBe(2147483647);
      expect(await set("last_activity_at = 'infinity'")).toBeNull();
      expect(await set("last_activity_at = NULL")).toBeNull();
    });
  });

  describe("embeddings", () => {
    const literal = (vector: readonly number[]) => `[${vector.join(",")}]`;
    beforeAll(async () => {
      for (let seed = 1; seed <= 40; seed += 1) {
        const values = [`text ${seed}`, literal(vectorOf(seed))];
        await rows("INSERT INTO embeddings (content, embedding) VALUES ($1, $2)", values);
      }
    });

    it("finds the ten nearest texts, through an HNSW index that was made before them", async () => {
      // a little beside the vector of text 17
      const near = literal(vectorOf(17).map((value, index) => (index < 20 ? -value : value)));
      const query = `SELECT content, embedding <=> '${near}' AS distance FROM embeddings ORDER BY distance LIMIT 10`;
      expect(await sqlPlan(query)).toMatch(/Index Scan using embeddings_embedding_cosine/);
      const whole = await rows<{ content: string; distance: number }>(query);
      expect(whole).toHaveLength(10);
      expect(whole[0]).toMatchObject({ content: "text 17" });
      expect(whole[0]!.distance).toBeLessThan(0.2);
      expect(whole[1]!.distance).toBeGreaterThan(0.5);
      await sql.query("BEGIN; SET LOCAL enable_seqscan = off");
      const indexed = await rows(query);
      await sql.query("ROLLBACK");
      expect(indexed).toHaveLength(10);
      expect(indexed[0]).toEqual(whole[0]);
    });

    it("refuses a vector of another size, and fills in the time", async () => {
      await expect(rows("INSERT INTO embeddings (embedding) VALUES ('[1,2,3]')")).rejects.toThrow(
        /expected 768 dimensions/,
      );
      expect(await rows("SELECT count(*) FROM embeddings WHERE created_at IS NULL")).toEqual([
        { count: "0" },
      ]);
    });

    it("keeps conversations in their order", async () => {
      await rows(
        `INSERT INTO conversation_history (session_id, role, content, metadata) VALUES
         ('c1', 'user', 'Which feeder?', '{}'), ('c2', 'user', 'Hello', '{}'), ('c1', 'assistant', 'RobustFeed', '{"model": "x"}')`,
      );
      const query =
        "SELECT role, content FROM conversation_history WHERE session_id = 'c1' ORDER BY created_at, id";
      expect(await rows(query)).toEqual([
        { role: "user", content: "Which feeder?" },
        { role: "assistant", content: "RobustFeed" },
      ]);
      const plan = await sqlPlan(query);
      expect(plan).toMatch(/conversation_history_session/);
      expect(plan).not.toMatch(/Sort/);
    });
  });

  it("is counted by plain psql as by init", async () => {
    const { engines } = await json("init", "init", "postgres", "--sets", "all");
    const counts = Object.fromEntries(
      engines[0].sets.map(({ set, counts: of }: { set: string; counts: Record<string, number> }) => [
        set,
        Object.values(of).join("|"),
      ]),
    );
    for (const { set } of setsOf("postgres")) {
      const file = join(ROOT, "init", "postgres", set, "verify.sql");
      const args = ["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", file, database.url];
      expect({ set, counted: execFileSync("psql", args, { encoding: "utf8" }) }).toEqual({
        set,
        counted: `${counts[set]}\n`,
      });
    }
    expect(counts).toMatchObject({ sessions: "3|1|9|2|1", embeddings: "40|3|2|5" });
  });

  it("stays whole when somebody else built on it: the rollback changes nothing", async () => {
    await rows("CREATE VIEW mine AS SELECT session_id FROM archived_sessions");
    const args = ["migrate", "down", "postgres", "--set", "sessions", "--yes"];
    const { code, stdout, stderr } = await sandbox.run(args, { env });
    expect(code).toBe(1);
    expect(stdout + stderr).toMatch(/archived_sessions because other objects depend on it/);
    expect(await json("init", "init", "postgres", "--sets", "sessions")).toMatchObject({
      changed: false,
      engines: [
        { sets: [{ state: "unchanged", counts: { sessions: 3, indexes: 9, views: 2, triggers: 1 } }] },
      ],
    });
  });

  it("takes over a database that the guide's own script made", async () => {
    const old = await postgresDatabase();
    const client = new pg.Client({ connectionString: old.url });
    try {
      await client.connect();
      await client.query(`CREATE TABLE archived_sessions (id SERIAL PRIMARY KEY, session_id VARCHAR(255) UNIQUE,
          user_id VARCHAR(255), created_at TIMESTAMP, archived_at TIMESTAMP, last_activity_at TIMESTAMP,
          current_state VARCHAR(50), language VARCHAR(10), status VARCHAR(20), conversation_history JSONB,
          master_parameters JSONB, response_json JSONB, agent_logs JSONB, finalized BOOLEAN, message_count INTEGER,
          product_selections_count INTEGER, session_duration_seconds INTEGER);
        INSERT INTO archived_sessions (session_id) VALUES ('old');
        CREATE VIEW session_summary_stats AS SELECT count(*) AS sessions FROM archived_sessions`);
      const { engines } = await sandbox.json("init", ["init", "postgres", "--sets", "sessions"], {
        env: { DATABASE_URL: old.url },
      });
      expect(engines[0].sets).toMatchObject([
        { set: "sessions", state: "applied", counts: { sessions: 1, indexes: 9, views: 2, triggers: 1 } },
      ]);
      const { rows: kept } = await client.query("SELECT * FROM session_summary_stats");
      expect(kept).toEqual([{ sessions: "1" }]);
    } finally {
      await client.end();
      await old.drop();
    }
  });
});
