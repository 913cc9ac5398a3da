import { randomBytes } from "node:crypto";
import type { Client } from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { postgresChecks } from "../../src/engines/postgres/checks/index.ts";
import { Unknowable } from "../../src/health/doctor/check.ts";
import { postgresDatabase, type TestDatabase } from "../support/servers.ts";
import { Patient } from "./postgres-checks-kit.ts";

let database: TestDatabase;
let patient: Patient;

beforeAll(async () => {
  database = await postgresDatabase();
  patient = await Patient.of(database.url);
  await patient.sql("CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)");
});
afterAll(async () => {
  await patient?.close();
  await database?.drop();
});

// what failed half-way must not hold its locks
afterEach(() => patient.endSessions());

async function open() {
  const session = await patient.session();
  const { rows } = await session.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
  return { session, subject: `session ${rows[0]!.pid}`, pid: rows[0]!.pid };
}

describe("sessions", () => {
  it("that run for long are named, and cancelled", async () => {
    const { session, subject } = await open();
    const ended = session
      .query("SELECT pg_sleep(600), 'it''s', '\n  postgresql://app:geheim@db/x' AS \"PASSWORD 'geheim'\"")
      .catch((error) => error.code);
    const look = { long_transaction: 0 };
    await expect.poll(() => patient.about("postgres-long-transaction", subject, look)).toBeDefined();
    const found = await patient.about("postgres-long-transaction", subject, look);
    expect(found).toMatchObject({
      severity: "warning",
      evidence: expect.stringContaining("“SELECT pg_sleep(600), 'it''s', ' postgresql://app:…@db/x'"),
    });
    expect(found!.evidence).toContain("user postgres, database test_");
    expect(JSON.stringify(found)).not.toContain("geheim");
    expect(await patient.about("postgres-long-transaction", subject)).toBeUndefined();
    await patient.mend(found!);
    expect(await ended).toBe("57014");
    expect(await patient.about("postgres-long-transaction", subject, look)).toBeUndefined();
  });

  it("that are idle in a transaction are named, and ended", async () => {
    const { session, subject } = await open();
    await session.query("BEGIN");
    await session.query("UPDATE t SET id = id");
    const look = { idle_in_transaction: 0 };
    const found = await patient.about("postgres-idle-in-transaction", subject, look);
    expect(found).toMatchObject({
      severity: "warning",
      evidence: expect.stringContaining("after “UPDATE t SET id = id”"),
    });
    expect(found!.remedies.map(({ safe }) => safe)).toEqual([false]);
    await patient.mend(found!);
    await expect.poll(() => patient.about("postgres-idle-in-transaction", subject, look)).toBeUndefined();
  });

  it("that block others: the first of a chain, with all who wait for it", async () => {
    const [first, second, third] = [await open(), await open(), await open()];
    await first.session.query("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE");
    await second.session.query("CREATE TABLE IF NOT EXISTS middle (id int)");
    await second.session.query("BEGIN; LOCK TABLE middle IN ACCESS EXCLUSIVE MODE");
    const waiting = [
      second.session.query("SELECT * FROM t"),
      expectWait(second.pid),
      third.session.query("SELECT * FROM middle"),
    ];
    await waiting[1];
    await expectWait(third.pid);
    const look = { blocked: 0 };
    const found = await patient.about("postgres-blocked", first.subject, look);
    expect(found!.evidence).toMatch(
      /it blocks others: sessions \d+, \d+ wait, the longest \d+ s with “SELECT \* FROM (?:t|middle)”; it is idle in transaction/,
    );
    for (const { pid } of [second, third])
      expect(found!.evidence).toMatch(new RegExp(`\\b${pid}\\b.* wait,`));
    // who waits himself is not to blame
    expect(await patient.about("postgres-blocked", second.subject, look)).toBeUndefined();
    expect(await patient.about("postgres-blocked", first.subject, { blocked: 3600 })).toBeUndefined();
    await patient.mend(found!);
    await waiting[0];
    await second.session.query("COMMIT");
    await waiting[2];
    expect(await patient.about("postgres-blocked", first.subject, look)).toBeUndefined();
  });

  it("that block others while they work are cancelled", async () => {
    const [blocker, victim] = [await open(), await open()];
    const ended = blocker.session
      .query("BEGIN; LOCK TABLE t; SELECT pg_sleep(600)")
      .catch((error) => error.code);
    await expect.poll(async () => (await locks(blocker.pid)).includes("AccessExclusiveLock")).toBe(true);
    const waiting = victim.session.query("SELECT * FROM t");
    await expectWait(victim.pid);
    const found = await patient.about("postgres-blocked", blocker.subject, { blocked: 0 });
    expect(found!.remedies[0]!.argv).toContain(`SELECT pg_cancel_backend(${blocker.pid})`);
    await patient.mend(found!);
    expect(await ended).toBe("57014");
    await blocker.session.query("ROLLBACK");
    await waiting;
    expect(await patient.about("postgres-blocked", blocker.subject, { blocked: 0 })).toBeUndefined();
  });

  it("that run into deadlocks are counted", async () => {
    const [one, other] = [await open(), await open()];
    await patient.sql("INSERT INTO t VALUES (2) ON CONFLICT DO NOTHING", "SELECT pg_stat_reset()");
    for (const [{ session }, id] of [
      [one, 1],
      [other, 2],
    ] as const) {
      await session.query("SET deadlock_timeout = '10ms'");
      await session.query("BEGIN");
      await session.query("SELECT * FROM t WHERE id = $1 FOR UPDATE", [id]);
    }
    const failures = await Promise.all([lockRow(one.session, 2), lockRow(other.session, 1)]);
    expect(failures.filter((code) => code === "40P01")).toHaveLength(1);
    await expect
      .poll(() => patient.find("postgres-deadlocks"))
      .toMatchObject([{ severity: "info", evidence: expect.stringMatching(/^1 deadlock since 20/) }]);
    await patient.sql("SELECT pg_stat_reset()");
    expect(await patient.find("postgres-deadlocks")).toEqual([]);
  });
});

/** Locks a row, and ends the transaction. Returns the SQLSTATE of the failure. */
async function lockRow(session: Client, id: number): Promise<string | undefined> {
  const failure = await session.query("SELECT FROM t WHERE id = $1 FOR UPDATE", [id]).then(
    () => undefined,
    (error: { code: string }) => error.code,
  );
  await session.query("ROLLBACK");
  await session.query("SELECT pg_stat_force_next_flush()");
  return failure;
}

async function locks(pid: number): Promise<string[]> {
  const { rows } = await patient.client.query<{ mode: string }>(
    "SELECT mode FROM pg_locks WHERE pid = $1 AND granted",
    [pid],
  );
  return rows.map(({ mode }) => mode);
}

async function expectWait(pid: number): Promise<void> {
  const waits = () =>
    patient.client.query("SELECT FROM pg_locks WHERE pid = $1 AND NOT granted AND waitstart IS NOT NULL", [
      pid,
    ]);
  await expect.poll(async () => (await waits()).rowCount).toBe(1);
}

describe("a role without any privilege", () => {
  const name = `weak_${randomBytes(4).toString("hex")}`;
  /** What it cannot know when others are at work. */
  const UNKNOWN = [
    "postgres-idle-in-transaction",
    "postgres-long-transaction",
    "postgres-hba-trust",
    "postgres-sequence-exhaustion",
  ];
  let weak: Patient;

  beforeAll(async () => {
    await patient.sql(`CREATE ROLE ${name} LOGIN PASSWORD 'weak'`, "CREATE SEQUENCE IF NOT EXISTS hidden");
    const url = new URL(database.url);
    url.username = name;
    url.password = "weak";
    weak = await Patient.of(url.href);
  });
  afterAll(async () => {
    await weak?.close();
    await patient.sql(`DROP OWNED BY ${name}`, `DROP ROLE ${name}`);
  });

  it.each(postgresChecks.map(({ id }) => id))("%s: knows, or says what it may not see", async (id) => {
    const error = await weak.find(id).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    if (UNKNOWN.includes(id)) {
      expect(error).toBeInstanceOf(Unknowable);
      expect((error as Unknowable).message).toContain(`the role "${name}" may not see`);
      expect((error as Unknowable).hint).toMatch(/GRANT pg_monitor TO|superuser/);
    } else expect(error).toBeUndefined();
  });

  it("finds who blocks whom all the same, without the text", async () => {
    const [blocker, victim] = [await open(), await open()];
    await blocker.session.query("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE");
    const waiting = victim.session.query("SELECT * FROM t");
    await expectWait(victim.pid);
    const found = await weak.about("postgres-blocked", blocker.subject, { blocked: 0 });
    expect(found!.evidence).toContain("what it does is hidden from this role");
    await blocker.session.query("ROLLBACK");
    await waiting;
  });

  it.each([
    ["postgres-sequence-exhaustion", [], []],
    [
      "postgres-slow-statements",
      ["CREATE SCHEMA closed", "CREATE EXTENSION pg_stat_statements SCHEMA closed"],
      ["DROP EXTENSION pg_stat_statements", "DROP SCHEMA closed"],
    ],
  ])("%s: the grants that it names are those that help", async (id, plant, end) => {
    await patient.sql(...plant);
    const error = await weak.find(id).catch((thrown: unknown) => thrown);
    const { hint = "" } = error as Unknowable;
    expect(hint).toMatch(/^as a superuser: GRANT /);
    await patient.sql(hint.replace("as a superuser: ", ""));
    await expect(weak.find(id)).resolves.toBeInstanceOf(Array);
    await patient.sql(...end);
  });

  it("sees the sessions with pg_monitor", async () => {
    await patient.sql(`GRANT pg_monitor TO ${name}`);
    await expect(weak.find("postgres-long-transaction", { long_transaction: 604_800 })).resolves.toEqual([]);
    await expect(weak.find("postgres-idle-in-transaction")).resolves.toBeInstanceOf(Array);
  });

  it("is told what to write where a superuser would be given a command", async () => {
    const [found] = await weak.find("postgres-slow-log");
    expect(found).toMatchObject({
      remedies: [],
      advice: expect.stringMatching(/postgresql\.conf: log_min_duration_statement = '1s'; then reload/),
    });
  });
});
