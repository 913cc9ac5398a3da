import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import neo4j, { type Driver } from "neo4j-driver";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { collect, Sandbox, until } from "../support/cli.ts";
import { clearMemory } from "../support/neo4j.ts";
import { type Stack, startStack } from "../support/stack.ts";

/** Of the import that is killed: more than it stores at once. */
const LINES = 1_500;

/** Writes reach every configured server exactly once, whatever was away in the meantime. */
describe("journal", () => {
  let sandbox: Sandbox;
  let stack: Stack;
  let database: pg.Client;
  let graph: Driver;

  beforeAll(async () => {
    sandbox = new Sandbox({ shared: true });
    stack = await startStack(sandbox);
    database = new pg.Client({ connectionString: stack.postgres.url });
    database.on("error", () => {
      // the database is dropped at the end
    });
    await database.connect();
    const { uri, username, password } = stack.neo4j;
    graph = neo4j.driver(uri, neo4j.auth.basic(username, password));
  });
  beforeEach(async () => {
    await clearMemory(stack.neo4j.connection);
    await database.query("TRUNCATE memori_metadata, memori_events, memori_agents, memori_terms");
    await database.query("UPDATE memori_statistics SET documents = 0, title_length = 0, body_length = 0");
  });
  afterEach(async () => {
    await Promise.all([stack.neo4j.proxy.up(), stack.postgres.proxy.up(), stack.redis.proxy.up()]);
    // what a test has left in the queue
    for (const suffix of ["", "-wal", "-shm"]) rmSync(sandbox.state + suffix, { force: true });
  });
  afterAll(async () => {
    await database?.end();
    await graph?.close();
    await stack?.stop();
    sandbox?.remove();
  });

  const run = (...args: string[]) => sandbox.run(args, { env: stack.env });
  const json = (contract: string, ...args: string[]) => sandbox.json(contract, args, { env: stack.env });
  const down = () =>
    Promise.all([stack.neo4j.proxy.down(), stack.postgres.proxy.down(), stack.redis.proxy.down()]);
  const up = () => Promise.all([stack.neo4j.proxy.up(), stack.postgres.proxy.up(), stack.redis.proxy.up()]);

  /** Events as each server has them, asked without opsctl. */
  async function stored(): Promise<{ postgres: string[]; neo4j: string[] }> {
    const rows = await database.query("SELECT id FROM memori_events ORDER BY id");
    const nodes = await graph.executeQuery("MATCH (f:Fix) RETURN f.id AS id ORDER BY id");
    return {
      postgres: rows.rows.map((row) => row.id),
      neo4j: nodes.records.map((record) => record.get("id")),
    };
  }

  it("stores a write in every server", async () => {
    const { event_id, status, queued } = await json(
      "remember",
      "remember",
      "issue:a",
      "restarted the pod; fixed",
    );
    expect({ status, queued }).toEqual({ status: "stored", queued: [] });
    expect(await stored()).toEqual({ postgres: [event_id], neo4j: [event_id] });
    expect(await json("queue", "queue")).toEqual({ queue: [], count: 0, waiting: 0, rejected: 0 });
  });

  it("queues while all servers are away, shows what is queued, and delivers it once to each", async () => {
    await down();
    const first = await json(
      "remember",
      "remember",
      "issue:away",
      "queued text",
      "--agent",
      "walker",
      "--server",
      "s1",
    );
    expect(first).toMatchObject({ status: "queued", queued: ["neo4j", "postgres"] });
    const agent = await json("register-agent", "register-agent", "walker", "--server", "s2");
    expect(agent).toMatchObject({ status: "queued" });

    const fixes = await json("fixes", "fixes");
    expect(fixes).toMatchObject({ count: 1, degraded: [{ engine: "neo4j" }, { engine: "postgres" }] });
    expect(await json("recall", "recall", "queued text")).toMatchObject({ count: 1 });
    expect(await json("agents", "agents")).toMatchObject({ agents: [{ name: "walker", server: "s2" }] });
    expect(await json("fixes similar", "fixes", "similar", "away")).toMatchObject({
      issues: [{ issue: "away" }],
    });
    expect(await json("stats", "stats")).toMatchObject({
      fixes: 1,
      neo4j_connected: false,
      queue: { waiting: 4 },
    });
    const strict = await run("fixes", "--strict");
    expect(strict.code).toBe(3);
    expect((await run("health", "--json")).code).toBe(4);

    await up();
    expect(await json("queue sync", "queue", "sync")).toMatchObject({
      delivered: 4,
      waiting: 0,
      degraded: [],
    });
    expect(await stored()).toEqual({ postgres: [first["event_id"]], neo4j: [first["event_id"]] });
    expect(await json("queue sync", "queue", "sync")).toMatchObject({ delivered: 0 });
    expect(await stored()).toEqual({ postgres: [first["event_id"]], neo4j: [first["event_id"]] });
    expect(await json("agents", "agents")).toMatchObject({
      agents: [{ name: "walker", server: "s2" }],
      degraded: [],
    });
  });

  it("stores the writes of several processes at once, each once, whoever delivers them", async () => {
    const ran = await Promise.all(
      Array.from({ length: 6 }, (_, n) => json("remember", "remember", `issue:p${n}`, `step ${n}`)),
    );
    expect(ran.map(({ status }) => status)).toEqual(Array(6).fill("stored"));
    const ids = ran.map((answer) => String(answer["event_id"])).toSorted();
    expect(await stored()).toEqual({ postgres: ids, neo4j: ids });
    expect(await json("queue", "queue")).toMatchObject({ count: 0 });
  });

  it("delivers an older queue with the next write", async () => {
    await stack.neo4j.proxy.down();
    const first = await json("remember", "remember", "issue:one", "text one");
    expect(first).toMatchObject({ status: "queued", queued: ["neo4j"] });
    expect(await json("fixes", "fixes")).toMatchObject({ count: 1, degraded: [{ engine: "neo4j" }] });
    await stack.neo4j.proxy.up();
    // back, but without the first one: the queue is laid over what the server has
    expect(await json("fixes", "fixes")).toMatchObject({ count: 1, degraded: [] });
    const second = await json("remember", "remember", "issue:two", "text two");
    const both = [first["event_id"], second["event_id"]].toSorted();
    expect(await stored()).toEqual({ postgres: both, neo4j: both });
  });

  it("hides a record whose forgetting is still queued, and forgets it everywhere in the end", async () => {
    const { id } = await json("remember", "remember", "issue:wrong", "bad advice");
    await json("remember", "remember", "issue:right", "good advice");
    await stack.neo4j.proxy.down();
    expect(await json("fixes forget", "fixes", "forget", String(id), "--yes")).toMatchObject({
      status: "queued",
    });
    await stack.neo4j.proxy.up();
    for (const read of [["fixes"], ["recall", "advice"], ["fixes", "similar", "r"]]) {
      const text = JSON.stringify(
        await json(read[0] === "recall" ? "recall" : read.slice(0, 2).join(" "), ...read),
      );
      expect(text).toContain("right");
      expect(text).not.toContain("wrong");
    }
    expect(await json("stats", "stats")).toMatchObject({ fixes: 1, issues: 1, events: 1 });
    await json("queue sync", "queue", "sync");
    expect((await stored()).neo4j).toHaveLength(1);
    expect(await json("stats", "stats")).toMatchObject({ fixes: 1, issues: 1, events: 1 });
  });

  it("keeps a write whose commit reply was lost, and stores it once", async () => {
    stack.postgres.proxy.dropReplies((chunk, from) => from === "server" && chunk.includes("COMMIT"), {
      close: true,
    });
    const lost = await json("remember", "remember", "issue:lost", "reply lost");
    await stack.postgres.proxy.up();
    await run("queue", "sync");
    expect(await stored()).toEqual({ postgres: [lost["event_id"]], neo4j: [lost["event_id"]] });
    expect(await json("queue", "queue")).toMatchObject({ count: 0 });
  });

  it("keeps a write for a server that refuses the credentials, and fails with 21", async () => {
    const env = { ...stack.env, NEO4J_PASSWORD: "wrong-password" };
    const { code, stdout, stderr } = await sandbox.run(["remember", "issue:refused", "x", "--json"], { env });
    expect(code).toBe(21);
    expect(JSON.parse(stdout)).toMatchObject({ status: "queued", queued: ["neo4j"] });
    expect(stderr).not.toContain("wrong-password");
    expect(await json("queue sync", "queue", "sync")).toMatchObject({ delivered: 1, waiting: 0 });
    expect((await stored()).neo4j).toHaveLength(1);
  });

  it("never delivers to a server what was queued for another host", async () => {
    const elsewhere = { ...stack.env, NEO4J_URI: "bolt://graph.invalid:7687" };
    await sandbox.json("remember", ["remember", "issue:mine", "for the other host"], { env: elsewhere });
    const synced = await run("queue", "sync", "--json");
    expect(JSON.parse(synced.stdout)).toMatchObject({ delivered: 0, waiting: 1, readdressed: [] });
    expect(synced.code).toBe(3);
    await json("remember", "remember", "issue:next", "for this one");
    expect((await stored()).neo4j).toHaveLength(1);
    const { queue } = (await json("queue", "queue")) as unknown as {
      queue: { seq: number; store: string }[];
    };
    expect(queue).toMatchObject([{ store: "neo4j:graph.invalid:7687/neo4j" }]);
    await json("queue drop", "queue", "drop", String(queue[0]!.seq), "--yes");
  });

  it("delivers on `queue sync` what was queued for another port of this host, and says so", async () => {
    const closed = {
      ...stack.env,
      NEO4J_URI: "bolt://127.0.0.1:1",
      DATABASE_URL: "postgresql://nobody@localhost:1/elsewhere",
    };
    const queued = await sandbox.json("remember", ["remember", "issue:moved", "x"], { env: closed });
    expect(queued).toMatchObject({ status: "queued", queued: ["neo4j", "postgres"] });
    const other = await json("remember", "remember", "issue:other", "no explicit sync: it stays where it is");
    expect((await stored()).neo4j).toEqual([other["event_id"]]);
    const synced = await run("queue", "sync", "--json");
    expect(JSON.parse(synced.stdout)).toMatchObject({ delivered: 2, waiting: 0 });
    expect(synced.stderr).toContain("what waited for neo4j:127.0.0.1:1/neo4j goes to neo4j:127.0.0.1:");
    const both = [queued["event_id"], other["event_id"]].toSorted();
    expect(await stored()).toEqual({ postgres: both, neo4j: both });
  });

  it("waits for a frozen server no longer than its limits and queues", async () => {
    stack.neo4j.proxy.timeout();
    const env = { ...stack.env, OPSCTL_CONNECT_TIMEOUT: "300ms", OPSCTL_QUERY_TIMEOUT: "500ms" };
    const answer = await sandbox.json("remember", ["remember", "issue:frozen", "x"], { env });
    expect(answer).toMatchObject({ status: "queued", queued: ["neo4j"] });
    const fixes = await sandbox.json("fixes", ["fixes"], { env });
    expect(fixes).toMatchObject({ count: 1, degraded: [{ engine: "neo4j", code: "unreachable" }] });
  });

  it("stores nothing of an event whose id is taken, also where a server was away", async () => {
    await json("remember", "remember", "issue:nat", "one", "--event-id", "NAT1");
    const env = { ...stack.env, NEO4J_PASSWORD: "wrong-password" };
    const args = ["remember", "issue:nat", "two", "--event-id", "NAT1"];
    const refused = await sandbox.run(args, { env });
    expect(refused).toMatchObject({ code: 2, stdout: "" });
    expect(refused.stderr).toMatch(
      /NAT1 is already the id of another event \(postgres\); nothing was stored/,
    );
    expect(await json("queue", "queue")).toMatchObject({ count: 0 });
    expect(await json("fixes", "fixes", "--events")).toMatchObject({ count: 1 });
  });

  it("names the server that took an event whose id another one refused", async () => {
    await json("remember", "remember", "issue:nat", "one", "--event-id", "NAT2");
    await clearMemory(stack.neo4j.connection);
    const refused = await run("remember", "issue:nat", "two", "--event-id", "NAT2");
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(/\(postgres\); neo4j had no such event and stored it/);
    const line = JSON.stringify({ key: "issue:nat", content: "three", event_id: "NAT2" });
    const rejected = await sandbox.run(["fixes", "import", "-"], { env: stack.env, input: line });
    expect(rejected.stderr).toMatch(
      /line 1 was rejected: its id .* taken by other content in (neo4j|postgres) and/,
    );
    expect(rejected.code).toBe(3);
  });

  it("reads the servers when its own journal is damaged, and says so", async () => {
    await json("remember", "remember", "issue:kept", "readable");
    const state = join(sandbox.dir, "damaged.db");
    writeFileSync(state, "this is no database, whatever its name says".repeat(100));
    const env = { ...stack.env, OPSCTL_STATE: state };
    const fixes = await sandbox.json("fixes", ["fixes"], { env });
    expect(fixes).toMatchObject({ count: 1, degraded: [{ engine: "sqlite", code: "integrity" }] });
    const written = await sandbox.run(["remember", "issue:lost", "x"], { env });
    expect(written).toMatchObject({ code: 23, stdout: "" });
  });

  it("answers `fixes show` with nothing while no server can be asked, and 25 when they can", async () => {
    await down();
    expect(await json("fixes show", "fixes", "show", "some-id")).toMatchObject({ fix: null, events: [] });
    await up();
    expect((await run("fixes", "show", "some-id")).code).toBe(25);
  });

  it("accepts nothing that it cannot write to its own disk", async () => {
    await json("remember", "remember", "issue:room", "there was room");
    // no file may grow past 8 KiB any more: the journal cannot take a text of 20 KiB
    const full = await sandbox.shell(
      `trap '' XFSZ; ulimit -f 16; opsctl remember issue:full "$(head -c 20000 /dev/zero | tr '\\0' x)"`,
      stack.env,
    );
    expect(full).toMatchObject({ code: 1, stdout: "" });
    expect(full.stderr).toContain("state.db");
    expect(await json("fixes", "fixes")).toMatchObject({ count: 1 });
    expect((await stored()).neo4j).toHaveLength(1);
    expect(await json("queue", "queue")).toMatchObject({ count: 0 });
  });

  it("takes a conflicting event out of the way of the others", async () => {
    await stack.neo4j.proxy.down();
    await json("remember", "remember", "issue:c", "first text", "--event-id", "E1");
    await database.query("TRUNCATE memori_metadata, memori_events, memori_agents, memori_terms");
    await json("remember", "remember", "issue:c", "other text", "--event-id", "E1");
    await json("remember", "remember", "issue:d", "after it", "--event-id", "E2");
    await stack.neo4j.proxy.up();
    const synced = await run("queue", "sync", "--json");
    expect(JSON.parse(synced.stdout)).toMatchObject({ delivered: 2, rejected: 1, waiting: 0 });
    expect(synced.code).toBe(3);
    expect((await stored()).neo4j).toEqual(["E1", "E2"]);
    const { queue } = (await json("queue", "queue")) as unknown as {
      queue: { seq: number; state: string }[];
    };
    expect(queue).toMatchObject([{ state: "rejected" }]);
    await json("queue drop", "queue", "drop", String(queue[0]!.seq), "--yes");
    expect(await json("queue", "queue")).toMatchObject({ count: 0 });
  });

  it("completes an import that was killed, with nothing lost and nothing twice", async () => {
    const lines = Array.from({ length: LINES }, (_, n) =>
      JSON.stringify({ issue: `kill-${n}`, solution: `step ${n} of the runbook` }),
    );
    const file = sandbox.file("kill.ndjson", lines.join("\n"));
    const child = sandbox.start(["fixes", "import", file], { env: stack.env });
    const ended = collect(child);
    const rows = async () =>
      Number((await database.query("SELECT count(*) FROM memori_events")).rows[0].count);
    await until("the import has begun", async () => (await rows()) > 0);
    child.kill("SIGKILL");
    await ended;
    const kept = await rows();
    const report = await json("fixes import", "fixes", "import", file);
    expect(report).toMatchObject({ lines: LINES, rejected: 0, queued: [] });
    expect(kept).toBeGreaterThan(0);
    const { postgres, neo4j } = await stored();
    expect(postgres).toHaveLength(LINES);
    expect(neo4j).toEqual(postgres);
    expect(await json("queue", "queue")).toMatchObject({ count: 0 });
  });

  it("exports what imports back to the same counts", async () => {
    await json(
      "remember",
      "remember",
      "issue:a",
      "one",
      "--agent",
      "x",
      "--tag",
      "t",
      "--metadata",
      '{"n": 1.5}',
    );
    await json("remember", "remember", "issue:a", "one", "--failed");
    await json("remember", "remember", "note", "two");
    const exported = await sandbox.ok(["fixes", "export"], { env: stack.env });
    const again = await sandbox.run(["fixes", "import", "-", "--json"], { env: stack.env, input: exported });
    expect(JSON.parse(again.stdout)).toMatchObject({ lines: 3, imported: 0, duplicates: 3, rejected: 0 });
    const embedded = await sandbox.run(["fixes", "import", "-", "--json"], { input: exported });
    expect(JSON.parse(embedded.stdout)).toMatchObject({ lines: 3, imported: 3, rejected: 0 });
    expect(await sandbox.ok(["fixes", "export"])).toBe(exported);
  });
});
