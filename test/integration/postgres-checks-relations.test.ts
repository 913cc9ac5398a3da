/** What checks and figures make of tables that are partitioned, clustered, or that the statistics do not know yet. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { postgresDatabase, type TestDatabase } from "../support/servers.ts";
import { Patient } from "./postgres-checks-kit.ts";

/** Small enough for what tests plant. */
const SMALL = { large: 100_000 };
/** Autovacuum must not mend first. */
const BY_HAND = "WITH (autovacuum_enabled = false)";

let database: TestDatabase;
let patient: Patient;

beforeAll(async () => {
  database = await postgresDatabase();
  patient = await Patient.of(database.url);
});
afterAll(async () => {
  await patient?.close();
  await database?.drop();
});

describe("two indexes that do the same", () => {
  it("the one by which the table is clustered stays", async () => {
    await patient.sql(
      "CREATE TABLE ordered (id int PRIMARY KEY, at date)",
      "CREATE INDEX ordered_a ON ordered (at)",
      "CREATE INDEX ordered_b ON ordered (at)",
      "ALTER TABLE ordered CLUSTER ON ordered_b",
      "CREATE INDEX ordered_id ON ordered (id)",
    );
    const subjects = async () =>
      (await patient.find("postgres-duplicate-index")).map(({ subject }) => subject);
    expect((await subjects()).filter((subject) => subject.includes("ordered"))).toEqual([
      "index public.ordered_a",
      "index public.ordered_id",
    ]);
    await patient.sql("ALTER TABLE ordered CLUSTER ON ordered_id");
    const found = await patient.about("postgres-duplicate-index", "index public.ordered_id");
    expect(found).toMatchObject({
      remedies: [],
      advice: expect.stringContaining("ALTER TABLE ordered CLUSTER ON"),
    });
    expect(await subjects()).toContain("index public.ordered_b");
    await patient.sql("DROP TABLE ordered");
  });

  it("a partition's own one beside that of its partitioned table", async () => {
    await patient.sql(
      "CREATE TABLE parted (id int, at date) PARTITION BY RANGE (id)",
      "CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10)",
      "CREATE INDEX parted_1_own ON parted_1 (at)",
      "CREATE INDEX parted_1_short ON parted_1 (id)",
      "CREATE INDEX parted_at ON ONLY parted (at)",
      "CREATE INDEX parted_id_at ON parted (id, at)",
      "CREATE INDEX parted_1_new ON parted_1 (at)",
      "ALTER INDEX parted_at ATTACH PARTITION parted_1_new",
    );
    const own = await patient.about("postgres-duplicate-index", "index public.parted_1_own");
    expect(own!.evidence).toContain("the same as index public.parted_1_new of table parted_1;");
    const short = await patient.about("postgres-duplicate-index", "index public.parted_1_short");
    expect(short!.evidence).toContain("the first ones of index public.parted_1_id_at_idx of table parted_1;");
    await patient.obey(own!);
    await patient.obey(short!);
    const left = await patient.find("postgres-duplicate-index");
    expect(left.filter(({ subject }) => subject.includes("parted"))).toEqual([]);
    await patient.sql("DROP TABLE parted");
  });
});

it("rows that a session has loaded and analyzed count before they are reported", async () => {
  const loader = await patient.session();
  await patient.sql(
    `CREATE TABLE just_loaded (id int) ${BY_HAND}`,
    "INSERT INTO just_loaded SELECT generate_series(1, 10)",
    "SELECT pg_stat_force_next_flush()",
    "SELECT 1",
  );
  const { rows } = await loader.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
  // what it changed is reported when it is idle
  const load = loader
    .query(`DO $$ BEGIN INSERT INTO just_loaded SELECT generate_series(11, 10000);
      ANALYZE just_loaded; COMMIT; PERFORM pg_sleep(600); END $$`)
    .catch((error: { code: string }) => error.code);
  const state = "SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'";
  await expect.poll(async () => (await patient.client.query(state, [rows[0]!.pid])).rowCount).toBe(1);
  const { tables } = await patient.statistics();
  expect(tables.find(({ name }) => name === "just_loaded")).toMatchObject({ rows: 10_000 });
  await patient.sql(`SELECT pg_cancel_backend(${rows[0]!.pid})`);
  expect(await load).toBe("57014");
});

it("statistics that were reset leave the rows, and what is dead among them", async () => {
  await patient.sql(
    `CREATE TABLE forgotten (id int, pad text) ${BY_HAND}`,
    "INSERT INTO forgotten SELECT g, repeat('x', 50) FROM generate_series(1, 10000) g",
    "SELECT pg_stat_force_next_flush()",
    "VACUUM (ANALYZE) forgotten",
    "SELECT pg_stat_reset_single_table_counters('forgotten'::regclass)",
    "UPDATE forgotten SET id = id WHERE id <= 1200",
    "SELECT pg_stat_force_next_flush()",
    "SELECT 1",
  );
  const { tables } = await patient.statistics();
  expect(tables.find(({ name }) => name === "forgotten")).toMatchObject({ rows: 10_000, dead_rows: 1200 });
  for (const check of ["postgres-dead-rows", "postgres-stale-statistics"]) {
    expect(await patient.about(check, "table public.forgotten", SMALL)).toBeUndefined();
  }
});

it("a partitioned table counts no rows of its partitions", async () => {
  await patient.sql(
    "CREATE TABLE whole (id int) PARTITION BY RANGE (id)",
    "CREATE TABLE whole_1 PARTITION OF whole FOR VALUES FROM (0) TO (2000)",
    "INSERT INTO whole SELECT generate_series(1, 1000)",
    "ANALYZE whole",
  );
  const { rows } = await patient.client.query(
    "SELECT reltuples::int AS n FROM pg_class WHERE relname = 'whole'",
  );
  expect(rows).toEqual([{ n: 1000 }]);
  const found = await patient.statistics();
  expect(found.tables.find(({ name }) => name === "whole")).toMatchObject({ rows: 0 });
});
