import driver, { type Driver } from "neo4j-driver";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createCall } from "../../src/call.ts";
import type { Neo4jConnection } from "../../src/engines/neo4j/connect.ts";
import { OpsError } from "../../src/errors.ts";
import { testCall } from "../support/calls.ts";
import { until } from "../support/cli.ts";
import { type OpenNeo4j, openNeo4j } from "../support/neo4j.ts";
import { startProxy, type TestProxy } from "../support/proxy.ts";
import { type Files, filesOn, sourceOf } from "./neo4j-files.ts";

/** COMMIT without fields, as one chunk of Bolt. */
const COMMIT = Buffer.from("0002b0120000", "hex");
const ENDLESS = "UNWIND range(1, 10000000000) AS i WITH i WHERE i % 7 = 8 RETURN count(i)";

describe("migrations of Neo4j when something goes wrong", () => {
  let neo4j: OpenNeo4j;
  let neo4jDriver: Driver;
  let files: Files;
  let proxy: TestProxy;
  /** The same through the proxy. */
  let remote: Files;
  let connections: Neo4jConnection[] = [];
  const call = testCall(300_000);
  const command = (query: string) => neo4j.connection.command(call, query);
  const column = async <T>(query: string) =>
    (await neo4j.connection.read<{ x: T }>(call, query)).map(({ x }) => x);
  const traces = () => column<number>("MATCH (t:Trace) RETURN t.n AS x ORDER BY x");
  const isRunning = async () =>
    (await column(`SHOW TRANSACTIONS YIELD currentQuery AS x WHERE x STARTS WITH '${ENDLESS}' RETURN x`))
      .length > 0;
  const failure = (promise: Promise<unknown>): Promise<OpsError> =>
    promise.then(
      () => expect.unreachable("it succeeded"),
      (error) => error,
    );
  const opened = (limits = {}, url?: string) => {
    const { connection } = openNeo4j(url === undefined ? {} : { url }, limits);
    connections.push(connection);
    return filesOn(connection);
  };

  beforeAll(() => {
    neo4j = openNeo4j();
    neo4jDriver = driver.driver(neo4j.uri, driver.auth.basic(neo4j.username, neo4j.password));
  });
  beforeEach(async () => {
    await neo4j.wipe();
    const { hostname: host, port } = new URL(neo4j.uri);
    proxy = await startProxy({ target: { host, port: Number(port) } });
    files = opened();
    remote = opened({ connectMs: 400 }, `bolt://127.0.0.1:${proxy.port}`);
  });
  afterEach(async () => {
    await proxy.close();
    await Promise.all(connections.map((connection) => connection.close()));
    connections = [];
  });
  afterAll(async () => {
    await neo4jDriver?.close();
    await neo4j?.connection.close();
  });

  /** Acts on the connection whose next client message contains `text`, after `skip` such messages. */
  const onMessage = (text: string | Buffer, act: () => void, { skip = 0, close = true } = {}) => {
    let seen = 0;
    proxy.dropReplies(
      (chunk, from) => {
        if (from !== "client" || !chunk.includes(text) || seen++ < skip || seen > skip + 1) return false;
        act();
        return true;
      },
      { close },
    );
  };

  it("does data once when the answer to its commit is lost", async () => {
    const source = sourceOf("CREATE (:Trace {n: 1})", "CREATE (:Trace {n: 2});\nCREATE (:Trace {n: 3})");
    await remote.up(sourceOf("CREATE (:Trace {n: 1})"));
    let lost = 0;
    // the claim of the lock commits first
    onMessage(COMMIT, () => lost++, { skip: 1 });
    await remote.up(source);
    expect(lost).toBe(1);
    expect(await traces()).toEqual([1, 2, 3]);
    expect(await files.states()).toEqual(["V001 applied 0", "V002 applied 0"]);
  });

  it("does data again when the connection is lost before its commit", async () => {
    let lost = 0;
    onMessage("second of two", () => lost++);
    await remote.up(sourceOf("CREATE (:Trace {n: 1});\nCREATE (:Trace {n: 2, text: 'second of two'})"));
    expect(lost).toBe(1);
    expect(await traces()).toEqual([1, 2]);
  });

  it("leaves it to the history whether data was committed when the server goes away", async () => {
    const source = sourceOf("CREATE (:Trace {n: 1})");
    let down: Promise<void> | undefined;
    onMessage(COMMIT, () => (down = proxy.down()), { skip: 1 });
    expect(await failure(remote.up(source))).toMatchObject({ code: "unknown_outcome" });
    await down;
    await proxy.up();
    await command("MATCH (l:opsctl_lock) SET l.expires_at = 0");
    await remote.up(source);
    expect(await traces()).toEqual([1]);
    expect(await files.states()).toEqual(["V001 applied 0"]);
  });

  it.each([
    ["with its connection", true],
    ["on a connection that seems alive", false],
  ])("finds out whether a schema statement took effect whose answer was lost %s", async (_, close) => {
    const source = sourceOf(
      "CREATE (:Trace {n: 1});\nCREATE INDEX lost FOR (t:T) ON (t.a);\nCREATE (:Trace {n: 2})",
    );
    onMessage("CREATE INDEX lost", () => {}, { close });
    const error = await failure(remote.up(source));
    expect(error).toMatchObject({ code: "unknown_outcome", hint: expect.stringContaining("it finds out") });
    expect(error.message).toContain("V001-test-up.cypher:2:1: ");
    expect(await files.states()).toEqual(["V001 running 1"]);
    await files.up(source);
    expect(await traces()).toEqual([1, 2]);
    expect(await column("SHOW INDEXES YIELD name WHERE name = 'lost' RETURN name AS x")).toEqual(["lost"]);
  });

  it("gives up on a server that falls silent during a statement", async () => {
    const running = failure(remote.up(sourceOf(`CREATE (:Trace {n: 1});\n${ENDLESS}`)));
    await until("the statement runs", isRunning);
    proxy.timeout();
    expect(await running).toMatchObject({ code: "unreachable" });
    await proxy.down();
    await until("the server has ended it", async () => !(await isRunning()));
    expect(await traces()).toEqual([]);
  });

  it("is fenced off when somebody else has taken the lock: data is rolled back", async () => {
    const theft =
      "MATCH (l:opsctl_lock) SET l.holder = 'thief', l.owner = 'thief@host', l.expires_at = timestamp() + 60000";
    const error = await failure(
      files.up(sourceOf("CREATE (:Trace {n: 1})", `CREATE (:Trace {n: 2});\n${theft}`)),
    );
    expect(error).toMatchObject({ code: "locked", message: expect.stringContaining("thief@host") });
    expect(await traces()).toEqual([1]);
    expect(await files.states()).toEqual(["V001 applied 0"]);
  });

  it("is fenced off before its next statement on the schema", async () => {
    const theft =
      "MATCH (l:opsctl_lock) CALL (l) { SET l.holder = 'thief', l.expires_at = 0 } IN TRANSACTIONS";
    const text = `CREATE INDEX a FOR (t:T) ON (t.a);\n${theft};\nCREATE INDEX b FOR (t:T) ON (t.b)`;
    expect(await failure(files.up(sourceOf(text)))).toMatchObject({ code: "locked" });
    expect(await column("SHOW INDEXES YIELD name WHERE name IN ['a', 'b'] RETURN name AS x")).toEqual(["a"]);
    expect(await files.states()).toEqual(["V001 running 1"]);
  });

  it("is fenced off by a claim that is committed while its own record waits for the lock's node", async () => {
    await files.up(sourceOf("CREATE (:Trace {n: 1})"));
    const [row] = await files.rows();
    const session = neo4jDriver.session({ database: "neo4j" });
    await files.target.exclusively(call, 0, async () => {
      const claim = session.beginTransaction();
      await claim.run(
        "MATCH (l:opsctl_lock) SET l.holder = 'thief', l.owner = 'thief@host', l.expires_at = timestamp() + 60000",
      );
      const recorded = failure(files.target.record(call, [{ ...row!, state: "reverted" }]));
      const waits = "SHOW TRANSACTIONS YIELD status WHERE status STARTS WITH 'Blocked' RETURN 1 AS x";
      await until("the record waits", async () => (await column(waits)).length > 0);
      const second = failure(opened().target.exclusively(call, 500, async () => "never"));
      await claim.commit();
      expect(await recorded).toMatchObject({ code: "locked" });
      expect(await second).toMatchObject({ code: "locked", message: expect.stringContaining("thief@host") });
    });
    await session.close();
    expect(await files.rows()).toEqual([row]);
  });

  it("takes over from a runner whose lease is over, and ends what it still has running", async () => {
    const first = failure(files.up(sourceOf(`CREATE (:Trace {n: 1});\n${ENDLESS}`)));
    await until("the statement runs", isRunning);
    await command("MATCH (l:opsctl_lock) SET l.expires_at = 0");
    const warnings: string[] = [];
    await opened().up(sourceOf("CREATE (:Trace {n: 2})"), { call: callWith({ warnings }) });
    expect(await first).toMatchObject({ code: "locked" });
    expect(warnings).toEqual([
      expect.stringMatching(
        /took the lock .* from tester@host \(pid \d+\), .* and ended 1 of its transactions/,
      ),
    ]);
    expect(await traces()).toEqual([2]);
    expect(await files.states()).toEqual(["V001 applied 0"]);
  });

  it("takes over from a runner that was stopped in the middle of a transaction, with the lock's node in it", async () => {
    await files.target.prepare(call, [], false);
    const session = neo4jDriver.session({ database: "neo4j" });
    const hold =
      "MERGE (l:opsctl_lock {name: 'migrations'}) SET l:opsctl_lease, l.holder = 'stopped', l.owner = 'x'";
    await command(`${hold}, l.acquired_at = 0, l.expires_at = 0`);
    const transaction = session.beginTransaction({ metadata: { opsctl_runner: "stopped" } });
    await transaction.run("CREATE (:Trace {n: 1}) WITH 1 AS one MATCH (l:opsctl_lock) SET l.expires_at = 1");
    await files.up(sourceOf("CREATE (:Trace {n: 2})"), { lockWaitMs: 30_000 });
    await expect(transaction.commit()).rejects.toThrow();
    await session.close();
    expect(await traces()).toEqual([2]);
  });

  it("works once when two runners start at once, and the one that waits says for whom", async () => {
    const source = sourceOf(
      "CREATE INDEX a FOR (t:T) ON (t.a)",
      "CREATE (:Trace {n: 1})",
      "CREATE (:Trace {n: 2})",
    );
    const warnings: string[] = [];
    const both = [files, opened()].map((one) =>
      one.up(source, { lockWaitMs: 30_000, call: callWith({ warnings }) }),
    );
    await Promise.all(both);
    expect(await traces()).toEqual([1, 2]);
    expect(warnings).toEqual([
      expect.stringMatching(/waiting: .* tester@host \(pid \d+\) for \d+ s; its lease/),
    ]);
  });

  it("says who has the lock when the wait is over, and renews its own lease meanwhile", async () => {
    await files.target.prepare(call, [], false);
    const lease = async () => (await column<number>("MATCH (l:opsctl_lock) RETURN l.expires_at AS x"))[0]!;
    await files.target.exclusively(call, 0, async () => {
      const waiting = opened().target.exclusively(call, 300, async () => "never");
      const message = expect.stringMatching(new RegExp(`tester@host \\(pid ${process.pid}\\) for \\d+ s`));
      await expect(waiting).rejects.toMatchObject({ code: "locked", message });
      const before = await lease();
      await expect.poll(lease, { timeout: 10_000 }).toBeGreaterThan(before);
    });
    expect(await opened().target.exclusively(call, 0, async () => "free again")).toBe("free again");
  });

  it("leaves neither data nor the lock behind when it is interrupted", async () => {
    const controller = new AbortController();
    const interrupted = callWith({ signal: controller.signal });
    const source = sourceOf("CREATE INDEX a FOR (t:T) ON (t.a)", `CREATE (:Trace {n: 1});\n${ENDLESS}`);
    const running = failure(files.up(source, { call: interrupted }));
    await until("the statement runs", async () => (await files.states()).length === 1 && (await isRunning()));
    controller.abort(new OpsError({ code: "interrupted", message: "stopped" }));
    expect(await running).toMatchObject({ code: "interrupted" });
    await opened().up(sourceOf("CREATE INDEX a FOR (t:T) ON (t.a)", "CREATE (:Trace {n: 2})"));
    expect(await traces()).toEqual([2]);
    expect(await files.states()).toEqual(["V001 applied 0", "V002 applied 0"]);
  });

  it("creates the history once when two do it at the same time", async () => {
    await Promise.all([files, opened(), opened()].map(({ target }) => target.prepare(call, [], false)));
    const names = await column("SHOW CONSTRAINTS YIELD name RETURN name AS x ORDER BY x");
    expect(names).toEqual(["opsctl_lock_name", "opsctl_migrations_key"]);
  });
});

function callWith({
  warnings = [],
  signal = new AbortController().signal,
}: {
  warnings?: string[];
  signal?: AbortSignal;
}) {
  return createCall({
    actor: "tester@host",
    timeoutMs: 60_000,
    signal,
    log: (level, message) => {
      if (level === "WARNING") warnings.push(message);
    },
  });
}
