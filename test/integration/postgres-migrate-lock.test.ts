/** One runner at a time, locks of other sessions, and servers that go away, on a real server. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { postgresMigrations } from "../../src/engines/postgres/migrations.ts";
import { HANGS_MS, testCall } from "../support/calls.ts";
import { eventually, failure, file, MigrationBench, stepOf } from "../support/postgres-migrations.ts";
import { startProxy, type TestProxy } from "../support/proxy.ts";

let bench: MigrationBench;
let proxy: TestProxy;
beforeAll(async () => {
  bench = await MigrationBench.start();
  const { hostname, port } = new URL(bench.url);
  proxy = await startProxy({ target: { host: hostname, port: Number(port) } });
});
afterAll(async () => {
  await proxy?.close();
  await bench?.stop();
});
beforeEach(async () => {
  await proxy.up();
  await bench.empty();
});

const exists = (name: string) => bench.value("SELECT to_regclass($1) IS NOT NULL", [name]);
const MIGR = 0x6d696772;
const WORK = 0x776f726b;
/** Backends that hold one half of the lock. */
const holders = (half: number) =>
  bench.sql<{ pid: number }>(
    `SELECT l.pid FROM pg_locks l JOIN pg_database d ON d.oid = l.database
     WHERE d.datname = current_database() AND l.locktype = 'advisory' AND l.granted AND l.objid = $1::bigint::oid`,
    [half],
  );
const terminate = async (half: number) => {
  const held = await holders(half);
  for (const { pid } of held) await bench.sql("SELECT pg_terminate_backend($1)", [pid]);
  const left = "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY ($1)";
  await eventually(() => bench.value(left, [held.map(({ pid }) => pid)])).toBe(0);
};

/** Whether somebody else's statement with this text runs. */
const isActive = (text: string) =>
  bench.value(
    `SELECT count(*) > 0 FROM pg_stat_activity
     WHERE strpos(query, $1) > 0 AND state = 'active' AND datname = current_database() AND pid <> pg_backend_pid()`,
    [text],
  );

describe("several runners", () => {
  it("work one after the other: each file runs once", async () => {
    const files = Array.from({ length: 8 }, (_, n) =>
      file(n + 1, `CREATE TABLE t${n} (); SELECT pg_sleep(0.02);`),
    );
    const targets = await Promise.all(
      Array.from({ length: 6 }, async () => postgresMigrations(await bench.open())),
    );
    const done = await Promise.all(
      targets.map((target) => bench.migrate(files, { lockWaitMs: 30_000 }, target)),
    );
    expect(done.flat().sort()).toEqual(files.map(({ up }) => up.file));
    expect(done.filter((one) => one.length > 0)).toHaveLength(1);
    expect((await bench.history()).every(({ state }) => state === "applied")).toBe(true);
    expect([...(await holders(MIGR)), ...(await holders(WORK))]).toEqual([]);
  });

  it("name the one who works, and give up when their time is over", async () => {
    const other = postgresMigrations(await bench.open());
    const named =
      /another migration in "test_\w+" at [\d.:]+: backend \d+ \(opsctl, from [\d.]+, idle, connected for \d+ s\) holds the lock/;
    await bench.target.exclusively(testCall(), 0, async () => {
      const error = await failure(bench.migrate([file(1, "CREATE TABLE a ()")], { lockWaitMs: 700 }, other));
      expect(error.code).toBe("locked");
      expect(error.message).toMatch(named);
      const [{ pid }] = (await holders(MIGR)) as [{ pid: number }];
      expect(error.hint).toContain(`SELECT pg_terminate_backend(${pid})`);
      expect(bench.log.filter((line) => named.test(line))).toHaveLength(1);
      expect((await failure(other.exclusively(testCall(), 0, async () => {}))).code).toBe("locked");
      // the call's own time counts too
      expect((await failure(other.exclusively(testCall(1_000), HANGS_MS * 6, async () => {}))).code).toBe(
        "locked",
      );
    });
    expect(await exists("a")).toBe(false);
    expect(await other.exclusively(testCall(), 0, async () => "done")).toBe("done");
    await expect(
      other.exclusively(testCall(), 0, () => Promise.reject(new Error("of the work"))),
    ).rejects.toThrow("of the work");
    await eventually(() => bench.target.exclusively(testCall(), 0, async () => "again")).toBe("again");
  });

  it("hold no transaction and no snapshot while they hold the lock or wait for it", async () => {
    const other = postgresMigrations(await bench.open());
    await bench.target.exclusively(testCall(), 0, async () => {
      const waiting = failure(other.exclusively(testCall(), 900, async () => {}));
      const idle = () =>
        bench.sql(
          `SELECT state, backend_xid, backend_xmin, xact_start FROM pg_stat_activity
           WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'active'`,
        );
      // the lock, the session for the files, and the one that waits
      await eventually(async () => (await idle()).length).toBeGreaterThanOrEqual(3);
      const rows = await idle();
      for (const row of rows)
        expect(row).toEqual({ state: "idle", backend_xid: null, backend_xmin: null, xact_start: null });
      await waiting;
    });
  });

  it("wait for the statement of a runner whose lock is gone", async () => {
    const files = [file(1, "CREATE TABLE a (); SELECT pg_sleep(1.2);")];
    const first = failure(bench.migrate([...files, file(2, "SELECT 1")]));
    await eventually(() => isActive("pg_sleep(1.2)")).toBe(true);
    await terminate(MIGR);
    const second = bench.migrate([...files, file(2, "SELECT 1")], {}, postgresMigrations(await bench.open()));
    await eventually(() => bench.log.join("\n")).toMatch(
      /waiting for an earlier run in .* whose lock is gone: backend \d+ \(opsctl/,
    );
    expect((await first).message).toContain(
      "ended the connection that held the migration lock; nothing else was run",
    );
    // whether or not the first file was committed: it is there once
    expect((await second).at(-1)).toBe("V002-test-up.sql");
    expect((await bench.history()).map(({ state }) => state)).toEqual(["applied", "applied"]);
  });

  it("commit nothing of a file during which the lock was lost", async () => {
    const running = failure(bench.migrate([file(1, "CREATE TABLE a (); SELECT pg_sleep(1);")]));
    await eventually(() => isActive("pg_sleep(1)")).toBe(true);
    await terminate(MIGR);
    expect((await running).message).toContain("ended the connection that held the migration lock");
    expect([await exists("a"), await bench.history()]).toEqual([false, []]);
  });

  it("run nothing more once the lock's session has ended", async () => {
    const files = [
      file(1, "CREATE TABLE a ()"),
      file(2, "CREATE TABLE b ()"),
      file(3, "-- opsctl: no-transaction\nCREATE TABLE c ()"),
    ];
    const target = postgresMigrations(await bench.open());
    for (const script of [files[1]!, files[2]!]) {
      await target.prepare(testCall(), [], false);
      const error = await failure(
        target.exclusively(testCall(), 0, async () => {
          await terminate(MIGR);
          await target.run(testCall(), stepOf(script));
        }),
      );
      expect(error.code).toMatch(/failed|unreachable/);
      expect(await exists("b")).toBe(false);
      expect(await exists("c")).toBe(false);
    }
  });

  it("do not overwrite what somebody else has recorded", async () => {
    const inserted = `INSERT INTO opsctl_migrations
      SELECT 'user', 'V001', 1, 'f', 'd', 'sha256:1', 'applied', 0, 'else', 1, 1, '0'`;
    const error = await failure(bench.migrate([file(1, `CREATE TABLE a (); ${inserted};`)]));
    expect(error).toMatchObject({
      code: "locked",
      message: expect.stringContaining("somebody else has recorded V001"),
    });
    // all or nothing, where there is a transaction
    expect(await exists("a")).toBe(false);
    const text =
      "-- opsctl: no-transaction\nUPDATE opsctl_migrations SET state = 'applied'; CREATE TABLE a ();";
    expect((await failure(bench.migrate([file(1, text)]))).code).toBe("locked");
    expect(await exists("a")).toBe(false);
    await bench.empty();
    const files = [
      file(1, "CREATE TABLE a ()", "DROP TABLE a; UPDATE opsctl_migrations SET state = 'reverted'"),
    ];
    await bench.migrate(files);
    expect((await failure(bench.migrate(files, { direction: "down" }))).code).toBe("locked");
    expect(await exists("a")).toBe(true);
  });
});

describe("a table that somebody else holds", () => {
  it("is tried for again until it comes free", async () => {
    await bench.migrate([file(1, "CREATE TABLE a (x int)")]);
    const release = await bench.hold("LOCK TABLE a");
    const running = bench.migrate(
      [file(1, "CREATE TABLE a (x int)"), file(2, "CREATE TABLE b (); ALTER TABLE a ADD y int;")],
      {
        limits: { lockTimeoutMs: 200 },
      },
    );
    running.catch(() => {});
    await eventually(() => bench.log.join("\n")).toMatch(
      /V002-test-up\.sql: it waited for backend \d+ \(opsctl, from .*idle in transaction.*attempt \d of 6 in \d+ ms/,
    );
    await release();
    expect(await running).toEqual(["V002-test-up.sql"]);
    expect([await exists("b"), await bench.value("SELECT count(y) FROM a")]).toEqual([true, 0]);
  });

  it("is given up after six attempts, naming who holds it", async () => {
    await bench.migrate([file(1, "CREATE TABLE a (x int)")]);
    const release = await bench.hold("LOCK TABLE a");
    const error = await failure(
      bench.migrate(
        [file(1, "CREATE TABLE a (x int)"), file(2, "CREATE TABLE b ();\nALTER TABLE a ADD y int;")],
        {
          limits: { lockTimeoutMs: 150 },
        },
      ),
    );
    expect(error.code).toBe("locked");
    expect(error.message).toMatch(
      /V002-test-up\.sql did not get its locks in 6 attempts of 0\.15 s: it waited for backend \d+ \(opsctl/,
    );
    expect(error.hint).toMatch(/pg_terminate_backend\(\d+\)/);
    expect(bench.log.filter((line) => line.includes("attempt "))).toHaveLength(5);
    expect(await exists("b")).toBe(false);
    await release();
  });

  it("ends a script without a transaction at once, at its place", async () => {
    await bench.migrate([file(1, "CREATE TABLE a (x int)")]);
    const release = await bench.hold("LOCK TABLE a");
    const error = await failure(
      bench.migrate(
        [
          file(1, "CREATE TABLE a (x int)"),
          file(2, "-- opsctl: no-transaction\nSELECT 1;\nALTER TABLE a ADD y int;"),
        ],
        {
          limits: { lockTimeoutMs: 100 },
        },
      ),
    );
    expect(error).toMatchObject({
      code: "locked",
      message: expect.stringContaining("V002-test-up.sql:3:1: "),
    });
    expect((await bench.history())[1]).toMatchObject({ state: "failed", statement_index: 1 });
    await release();
  });

  it("and a deadlock are no reason to give up", async () => {
    await bench.migrate([file(1, "CREATE TABLE a (); CREATE TABLE b ();")]);
    const other = await (await bench.open()).lend(testCall());
    await other.query("BEGIN; SET LOCAL deadlock_timeout = '10s'; LOCK TABLE b");
    const files = [
      file(1, "CREATE TABLE a (); CREATE TABLE b ();"),
      file(2, "SET deadlock_timeout = '50ms'; LOCK TABLE a; LOCK TABLE b; CREATE TABLE c ();"),
    ];
    const running = bench.migrate(files);
    running.catch(() => {});
    const waits =
      "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    await eventually(() => bench.value(waits)).toBe(1);
    await other.query("LOCK TABLE a; COMMIT");
    other.release(false);
    expect(await running).toEqual(["V002-test-up.sql"]);
    expect(bench.log.join("\n")).toContain("attempt 2 of 6");
  });
});

describe("a server that goes away", () => {
  const through = async () => postgresMigrations(await bench.open({ port: proxy.port }, { connectMs: 400 }));

  it("while a file runs: it stands still, the run does not", async () => {
    const running = bench.migrate([file(1, "CREATE TABLE a (); SELECT pg_sleep(3);")], {}, await through());
    running.catch(() => {});
    await eventually(() => isActive("pg_sleep(3)")).toBe(true);
    proxy.timeout();
    const error = await failure(running);
    expect(error).toMatchObject({
      code: "unknown_outcome",
      message: expect.stringContaining("V001-test-up.sql: PostgreSQL at"),
      hint: expect.stringContaining("opsctl migrate status says whether V001 is applied"),
    });
    await proxy.down();
    await eventually(() => holders(WORK)).toEqual([]);
    expect(await exists("a")).toBe(false);
  });

  const isCommit = (chunk: Buffer, from: string) => from === "client" && chunk.includes("; COMMIT; ");
  const files = [file(1, "CREATE TABLE a ()"), file(2, "CREATE TABLE b ()")];

  it("before its last answer: it is asked again, and the run ends with the truth", async () => {
    const target = await through();
    proxy.dropReplies(isCommit, { close: true });
    expect(await bench.migrate(files.slice(0, 1), {}, target)).toEqual(["V001-test-up.sql"]);
    expect([await exists("a"), (await bench.history()).map(({ state }) => state)]).toEqual([
      true,
      ["applied"],
    ]);
    // the next file finds no session: it says so, and the next run does it
    const error = await failure(bench.migrate([...files, file(3, "SELECT 1")], {}, await through()));
    expect(error).toMatchObject({
      code: "unreachable",
      message: expect.stringContaining("V003-test-up.sql: "),
    });
    await proxy.up();
    expect(await bench.migrate([...files, file(3, "SELECT 1")], {}, await through())).toEqual([
      "V003-test-up.sql",
    ]);
  });

  it("before its last answer, for good: nobody knows, and status does", async () => {
    const target = await through();
    proxy.dropReplies(
      (chunk, from) => {
        if (isCommit(chunk, from)) setImmediate(() => proxy.down());
        return isCommit(chunk, from);
      },
      { close: true },
    );
    const error = await failure(bench.migrate(files, {}, target));
    expect(error.code).toBe("unknown_outcome");
    expect(error.message).toContain("all of the file is there, or nothing");
    await proxy.up();
    // the request may have got through or not; what history says is true
    const rest = await bench.migrate(files);
    expect(rest.at(-1)).toBe("V002-test-up.sql");
    expect((await bench.history()).map(({ state }) => state)).toEqual(["applied", "applied"]);
  });

  it("when the session that runs the files is ended: nothing is kept", async () => {
    const running = bench.migrate([file(1, "CREATE TABLE a (); SELECT pg_sleep(30);")]);
    running.catch(() => {});
    // in the middle of the file: a session that has not begun it has nothing to keep
    const asleep = "wait_event = 'PgSleep' AND datname = current_database()";
    await eventually(() => bench.value(`SELECT count(*) FROM pg_stat_activity WHERE ${asleep}`)).toBe(1);
    await terminate(WORK);
    expect(await failure(running)).toMatchObject({
      code: "unreachable",
      message: expect.stringMatching(/^V001-test-up\.sql: PostgreSQL at .*; nothing of the file was kept$/),
    });
    expect([await exists("a"), await bench.history()]).toEqual([false, []]);
  });

  it("during a statement that commits by itself: history says that it may have happened", async () => {
    const text = "-- opsctl: no-transaction\nCREATE TABLE a (); SELECT pg_sleep(30); CREATE TABLE b ();";
    const running = bench.migrate([file(1, text)]);
    running.catch(() => {});
    await eventually(() => exists("a")).toBe(true);
    await eventually(() =>
      bench.value("SELECT count(*) FROM opsctl_migrations WHERE statement_index = 1"),
    ).toBe(1);
    await terminate(WORK);
    expect((await failure(running)).code).toBe("unreachable");
    expect(await bench.history()).toMatchObject([{ state: "running", statement_index: 1 }]);
    expect((await failure(bench.migrate([file(1, text)]))).code).toBe("unknown_outcome");
  });
});

describe("the settings of the sessions", () => {
  it("let the server notice a client that was killed", async () => {
    await bench.migrate([
      file(1, "CREATE TABLE seen AS SELECT current_setting('client_connection_check_interval') AS interval"),
      file(2, "INSERT INTO seen SELECT current_setting('client_connection_check_interval')"),
    ]);
    expect(await bench.sql("SELECT * FROM seen")).toEqual([{ interval: "1s" }, { interval: "1s" }]);
  });

  it("refuse a user whose strings are read in the old way", async () => {
    const user = `old_${process.pid}_${Date.now()}`;
    await bench.sql(
      `CREATE ROLE ${user} SUPERUSER LOGIN PASSWORD 'u'; ALTER ROLE ${user} SET standard_conforming_strings = off`,
    );
    const connection = await bench.open({ user, password: "u" });
    const error = await failure(
      bench.migrate([file(1, "CREATE TABLE a ()")], {}, postgresMigrations(connection)),
    );
    expect(error).toMatchObject({
      code: "failed",
      hint: expect.stringContaining("standard_conforming_strings = on"),
    });
    expect(await exists("a")).toBe(false);
    await connection.close();
    await bench.empty();
    await bench.sql(`DROP OWNED BY ${user} CASCADE; DROP ROLE ${user}`);
  });

  it("end with their connection", async () => {
    const connection = await bench.open();
    const pids = await Promise.all(
      [connection, connection.bare()].map(async (one) => {
        const rows = await one.query<{ pid: number }>(testCall(), "SELECT pg_backend_pid() AS pid");
        return rows[0]!.pid;
      }),
    );
    const left = () => bench.value("SELECT count(*) FROM pg_stat_activity WHERE pid = ANY ($1)", [pids]);
    expect(await left()).toBe(2);
    await connection.close();
    await eventually(left).toBe(0);
  });

  it("need no more than one connection of the pool beside the lock's", async () => {
    const target = postgresMigrations(await bench.open({}, { poolSize: 1 }));
    expect(await bench.migrate([file(1, "CREATE TABLE a ()"), file(2, "SELECT 1")], {}, target)).toHaveLength(
      2,
    );
  });
});
