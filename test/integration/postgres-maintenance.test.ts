/** Maintenance of PostgreSQL: what is planned, what it does, and what is left when it is broken off. */
import { randomBytes } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createCall } from "../../src/call.ts";
import { DEFAULT_THRESHOLDS, type Thresholds } from "../../src/config/thresholds.ts";
import type { PostgresConnection } from "../../src/engines/postgres/connect.ts";
import { postgresMaintenance } from "../../src/engines/postgres/maintenance.ts";
import { workOnIndex } from "../../src/engines/postgres/maintenance-run.ts";
import { OpsError } from "../../src/errors.ts";
import type { MaintenanceTask } from "../../src/maintain/port.ts";
import { runMaintenance } from "../../src/maintain/run.ts";
import { testCall } from "../support/calls.ts";
import { until } from "../support/cli.ts";
import { eventually, failure, LIMITS, MigrationBench } from "../support/postgres-migrations.ts";

/** What is large here. */
const LARGE = { ...DEFAULT_THRESHOLDS, large: 65_536 };
const UNTENDED = "WITH (autovacuum_enabled = false)";
const role = `keeper_${randomBytes(4).toString("hex")}`;

let bench: MigrationBench;

function plan(
  { all = false, thresholds = LARGE }: { all?: boolean; thresholds?: Thresholds } = {},
  connection: PostgresConnection = bench.admin,
): Promise<MaintenanceTask[]> {
  const target = { engine: "postgres", url: bench.url, shown: "", identity: "" } as const;
  return postgresMaintenance(connection, { target, limits: LIMITS }, thresholds).plan(testCall(), { all });
}

const statements = async (...given: Parameters<typeof plan>) =>
  (await plan(...given)).map(({ statement }) => statement);
const invalid = () =>
  bench.sql("SELECT indexrelid::regclass::text AS name FROM pg_index WHERE NOT indisvalid ORDER BY 1");

/** A table of some 100 KiB whose statistics have arrived. */
async function table(name: string, rows = 2_000): Promise<void> {
  await bench.sql(`CREATE TABLE ${name} (id int, pad text) ${UNTENDED};
    INSERT INTO ${name} SELECT n, repeat('x', 60) FROM generate_series(1, ${rows}) n`);
  await bench.sql(`ANALYZE ${name}`);
}

beforeAll(async () => {
  bench = await MigrationBench.start();
});
afterEach(() => bench.empty());
afterAll(() => bench?.stop());

describe("VACUUM", () => {
  it("of a table with dead rows: planned, done, gone", async () => {
    await table("many_dead");
    await table("few_dead");
    await table("small_one", 100);
    await bench.sql(
      "DELETE FROM many_dead WHERE id > 1000; DELETE FROM few_dead WHERE id > 1990; DELETE FROM small_one",
    );
    await until("it is planned", async () => (await plan()).length > 0);
    const [task, ...others] = await plan();
    expect(others).toEqual([]);
    expect(task).toMatchObject({
      kind: "vacuum",
      subject: "public.many_dead",
      why: expect.stringMatching(/^1,000 dead rows, \d\d\.\d % of all; .*KiB$/),
      statement: "VACUUM (ANALYZE) public.many_dead",
      work_bytes: await bench.value("SELECT pg_relation_size('many_dead')"),
    });
    const { freed_bytes, note } = await task!.run(testCall());
    expect(freed_bytes).toBeGreaterThan(65_536);
    expect(note).toBeNull();
    expect(await statements()).toEqual([]);
  });

  it("of a table that was loaded and never analyzed", async () => {
    await bench.sql(`CREATE TABLE loaded (id int, pad text) ${UNTENDED};
      INSERT INTO loaded SELECT n, repeat('x', 60) FROM generate_series(1, 2000) n`);
    await until("it is planned", async () => (await plan()).length > 0);
    const [task] = await plan();
    expect(task!.why).toMatch(/^never analyzed/);
    await task!.run(testCall());
    expect(await bench.value("SELECT reltuples::int FROM pg_class WHERE relname = 'loaded'")).toBe(2000);
    expect(await statements()).toEqual([]);
  });

  it("of an old table, whatever its size, before all others", async () => {
    await table("young");
    await bench.sql(`CREATE TABLE "Old one" (id int) ${UNTENDED}`);
    await bench.sql(`DELETE FROM young WHERE id > 500`);
    await until("it is planned", async () => (await plan()).length > 0);
    // nobody waits for a thousand million transactions: the threshold comes to the table
    const old = { ...LARGE, wraparound: 1e-9 };
    const tasks = await plan({ thresholds: old });
    expect(tasks[0]!.why).toMatch(/of the transaction ids are used up$/);
    expect(tasks.map(({ subject }) => subject)).toContain('public."Old one"');
  });

  it("of all tables is asked for", async () => {
    await table("one", 10);
    await bench.sql(`CREATE TABLE "Two ""x""" (id int)`);
    expect(await statements()).toEqual([]);
    const tasks = await plan({ all: true });
    expect(tasks.map(({ subject }) => subject).sort()).toEqual(['public."Two ""x"""', "public.one"]);
    for (const task of tasks) await task.run(testCall());
    expect(
      await bench.value(
        "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND reltuples < 0",
      ),
    ).toBe(0);
  });

  it("says what an old transaction keeps", async () => {
    await table("held");
    const release = await bench.hold("SELECT txid_current()");
    await bench.sql("DELETE FROM held WHERE id > 1000");
    await until("it is planned", async () => (await plan()).length > 0);
    const { note } = await (await plan())[0]!.run(testCall());
    await release();
    expect(note).toBe("1,000 dead rows stay: a transaction or slot still needs them");
  });

  it("does not wait for ever for a lock", async () => {
    await table("locked", 10);
    const [task] = await plan({ all: true });
    const release = await bench.hold("LOCK TABLE locked IN SHARE UPDATE EXCLUSIVE MODE");
    const error = await failure(task!.run(testCall()));
    await release();
    expect(error).toMatchObject({
      code: "locked",
      message: expect.stringContaining("VACUUM (ANALYZE) public.locked"),
    });
  });

  it("of somebody else's table is a failure, although the server only warns", async () => {
    await table("theirs", 10);
    await bench.sql(
      `CREATE ROLE ${role} LOGIN PASSWORD 'of a test'; GRANT USAGE ON SCHEMA public TO ${role}`,
    );
    const [task] = await plan({ all: true }, await bench.open({ user: role, password: "of a test" }));
    const error = await failure(task!.run(testCall()));
    await bench.sql(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    expect(error).toMatchObject({ code: "failed", hint: expect.stringContaining("owner of the table") });
  });
});

describe("invalid indexes", () => {
  it("are built again, and copies of a broken REINDEX dropped", async () => {
    await table("t");
    await bench.sql("INSERT INTO t VALUES (1)");
    await failure(bench.sql("CREATE UNIQUE INDEX CONCURRENTLY t_id ON t (id)"));
    await bench.sql("CREATE INDEX t_pad ON t (pad); CREATE INDEX t_pad_ccnew ON t (pad)");
    await bench.sql("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 't_pad_ccnew'::regclass");
    await bench.sql("DELETE FROM t WHERE id = 1");
    const tasks = await plan();
    expect(tasks.map(({ kind, statement }) => [kind, statement])).toEqual([
      ["drop-index", "DROP INDEX CONCURRENTLY public.t_pad_ccnew"],
      ["reindex", "REINDEX INDEX CONCURRENTLY public.t_id"],
    ]);
    const freed = [];
    for (const task of tasks) freed.push((await task.run(testCall())).freed_bytes);
    expect(freed[0]).toBeGreaterThan(0);
    expect(await invalid()).toEqual([]);
    expect(await statements()).toEqual([]);
  });

  it("of a value that occurs twice are left out until it does not", async () => {
    await bench.sql(
      `CREATE TABLE "T 1" (id int, pad text); INSERT INTO "T 1" VALUES (1, 'A'), (2, 'a'), (3, 'b'), (NULL, 'b')`,
    );
    await failure(bench.sql(`CREATE UNIQUE INDEX CONCURRENTLY t_pad ON "T 1" (lower(pad)) WHERE id < 3`));
    expect(await invalid()).toEqual([{ name: "t_pad" }]);
    expect(await plan()).toEqual([]);
    // outside of the index a value may occur twice
    await bench.sql(`DELETE FROM "T 1" WHERE id = 2`);
    const [task] = await plan();
    expect((await task!.run(testCall())).note).toBeNull();
    expect(await invalid()).toEqual([]);
  });

  it("of values that nobody could look at are tried, and stay: no failure, and no second one", async () => {
    await table("t");
    await bench.sql("INSERT INTO t VALUES (1)");
    await failure(bench.sql("CREATE UNIQUE INDEX CONCURRENTLY t_id ON t (id)"));
    expect(await invalid()).toEqual([{ name: "t_id" }]);
    const release = await bench.hold("LOCK TABLE t IN ACCESS EXCLUSIVE MODE");
    const [task] = await plan();
    await release();
    expect(await task!.run(testCall())).toEqual({
      freed_bytes: 0,
      note: "it stays invalid: a unique index takes no value twice",
    });
    expect(await invalid()).toEqual([{ name: "t_id" }]);
  });
});

describe("bloated indexes", () => {
  it("are built again", async () => {
    await bench.sql(
      `CREATE TABLE t (id int) ${UNTENDED}; INSERT INTO t SELECT n FROM generate_series(1, 40000) n`,
    );
    await bench.sql("CREATE INDEX t_id ON t (id); DELETE FROM t WHERE id % 10 > 0");
    await bench.sql("VACUUM (ANALYZE) t");
    const [task] = await plan();
    expect(task).toMatchObject({ kind: "reindex", statement: "REINDEX INDEX CONCURRENTLY public.t_id" });
    const before = await bench.value("SELECT pg_relation_size('t_id')");
    expect(task!.work_bytes).toBe(before);
    const { freed_bytes } = await task!.run(testCall());
    expect(freed_bytes).toBe(Number(before) - Number(await bench.value("SELECT pg_relation_size('t_id')")));
    expect(freed_bytes).toBeGreaterThan(Number(before) / 2);
    expect(await statements()).toEqual([]);
  });
});

describe("broken off", () => {
  /** REINDEX CONCURRENTLY waits for an older transaction when its copy is there already. */
  async function waiting(call = testCall()) {
    await table("t");
    await bench.sql("CREATE INDEX t_id ON t (id)");
    await bench.sql("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 't_id'::regclass");
    const [task] = await plan();
    const release = await bench.hold("INSERT INTO t VALUES (0)");
    return { release, work: runMaintenance(call, [{ engine: "postgres", task: task! }]) };
  }
  const copies = () => bench.sql("SELECT relname FROM pg_class WHERE relname ~ '_ccnew'");

  const active = () =>
    bench.sql(
      "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'REINDEX%' AND state = 'active'",
    );

  it("at the deadline: the server has stopped, and its copy is gone", async () => {
    const { release, work } = await waiting(testCall(1_500));
    await eventually(async () => (await active()).length + (await copies()).length).toBeGreaterThan(0);
    await eventually(active).toEqual([]);
    await release();
    expect(await work).toMatchObject([
      {
        status: "stopped",
        note: expect.stringContaining("was told to stop REINDEX INDEX CONCURRENTLY"),
        error: null,
      },
    ]);
    expect(await copies()).toEqual([]);
    expect(await invalid()).toEqual([{ name: "t_id" }]);
  });

  it("by a signal, too", async () => {
    const abort = new AbortController();
    const { release, work } = await waiting(createCall({ actor: "tester@host", signal: abort.signal }));
    await eventually(copies).toHaveLength(1);
    const ended = failure(work);
    abort.abort(new OpsError({ code: "interrupted", message: "interrupted" }));
    await eventually(active).toEqual([]);
    await release();
    expect((await ended).code).toBe("interrupted");
    expect(await copies()).toEqual([]);
  });

  it("does not wait for a transaction that goes on: it names what is left", async () => {
    await table("t");
    await bench.sql("CREATE INDEX t_id ON t (id)");
    const release = await bench.hold("INSERT INTO t VALUES (0)");
    const abort = new AbortController();
    const lines: string[] = [];
    const call = createCall({
      actor: "tester@host",
      signal: abort.signal,
      log: (_level, message) => lines.push(message),
    });
    const work = failure(workOnIndex(call, bench.admin, "REINDEX INDEX CONCURRENTLY public.t_id", 1_000));
    await eventually(copies).toHaveLength(1);
    abort.abort(new OpsError({ code: "interrupted", message: "interrupted" }));
    expect((await work).code).toBe("interrupted");
    expect(lines).toEqual([
      expect.stringContaining("an invalid index is left; drop it: DROP INDEX CONCURRENTLY public.t_id_ccnew"),
    ]);
    const dropping =
      "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'DROP INDEX%' AND state = 'active'";
    expect(await bench.sql(dropping)).toEqual([]);
    await release();
    await bench.sql("DROP INDEX CONCURRENTLY public.t_id_ccnew");
  });
});

describe("a second run", () => {
  it("is locked before it begins, and runs when the first is over", async () => {
    await table("t");
    await bench.sql("CREATE INDEX t_id ON t (id)");
    await bench.sql("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 't_id'::regclass");
    // a pool of one must do
    const [first] = await plan({}, await bench.open({}, { poolSize: 1 }));
    const [second] = await plan({ all: true }, await bench.open({}, { poolSize: 1 }));
    const release = await bench.hold("INSERT INTO t VALUES (0)");
    const work = first!.run(testCall());
    await eventually(() => bench.sql("SELECT 1 FROM pg_class WHERE relname ~ '_ccnew'")).toHaveLength(1);
    expect(await failure(second!.run(testCall()))).toMatchObject({
      code: "locked",
      message: expect.stringContaining("another maintenance of the database"),
    });
    await release();
    await work;
    await second!.run(testCall());
    expect(await invalid()).toEqual([]);
  });
});
