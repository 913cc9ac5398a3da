import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Found } from "../../src/health/doctor/check.ts";
import { postgresDatabase, type TestDatabase } from "../support/servers.ts";
import { type Look, Patient } from "./postgres-checks-kit.ts";

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

interface Case {
  check: string;
  subject: string;
  severity: Found["severity"];
  evidence: RegExp;
  plant: string[];
  look?: Look;
  /** Whether `doctor --fix` may run it. */
  safe?: boolean;
  /** Between finding and mending. */
  before?: string[];
}

const CASES: Case[] = [
  {
    check: "postgres-invalid-index",
    subject: "index public.cut_off",
    severity: "warning",
    evidence: /^it is marked invalid; .* on table cut_short$/,
    plant: [
      "CREATE TABLE cut_short AS SELECT 1 AS id",
      "CREATE INDEX cut_off ON cut_short (id)",
      "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'cut_off'::regclass",
    ],
    safe: true,
  },
  {
    check: "postgres-invalid-index",
    subject: "index public.cut_off_ccnew1",
    severity: "warning",
    evidence: /invalid/,
    plant: [
      "CREATE INDEX cut_off_ccnew1 ON cut_short (id)",
      "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'cut_off_ccnew1'::regclass",
    ],
  },
  {
    check: "postgres-duplicate-index",
    subject: 'index public."Order twin"',
    severity: "warning",
    evidence: /^it is the same as index public.orders_pkey of table orders;/,
    plant: [
      `CREATE TABLE orders (id int PRIMARY KEY, customer int, at date, note text) ${BY_HAND}`,
      "INSERT INTO orders SELECT g, g % 100, current_date, repeat('x', 100) FROM generate_series(1, 20000) g",
      'CREATE UNIQUE INDEX "Order twin" ON orders (id)',
    ],
    look: SMALL,
  },
  {
    check: "postgres-duplicate-index",
    subject: "index public.orders_customer",
    severity: "info",
    evidence: /^its columns are the first ones of index public.orders_customer_at of table orders;/,
    plant: [
      "CREATE INDEX orders_customer ON orders (customer)",
      "CREATE INDEX orders_customer_at ON orders (customer, at)",
    ],
    look: SMALL,
  },
  {
    check: "postgres-duplicate-index",
    subject: "index public.orders_lower_again",
    severity: "info",
    evidence: /^it is the same as index public.orders_lower of table orders;/,
    plant: [
      "CREATE INDEX orders_lower ON orders (lower(note)) WHERE customer > 5",
      "CREATE INDEX orders_lower_again ON orders (lower(note)) WHERE customer > 5",
      "CREATE INDEX orders_lower_other ON orders (lower(note)) WHERE customer > 6",
    ],
  },
  {
    check: "postgres-foreign-key-index",
    subject: "foreign key lines_order_id_fkey of table public.lines",
    severity: "warning",
    evidence: /^no index begins with \(order_id\); about 20,000 rows/,
    plant: [
      `CREATE TABLE lines (id int, order_id int REFERENCES orders, other int) ${BY_HAND}`,
      "INSERT INTO lines SELECT g, g FROM generate_series(1, 20000) g",
      // neither the second column of an index nor a part of the rows helps
      "CREATE INDEX ON lines (id, order_id)",
      "CREATE INDEX ON lines (order_id) WHERE id > 5",
      "ANALYZE lines",
    ],
    look: SMALL,
  },
  {
    check: "postgres-invalid-constraint",
    subject: "constraint positive of table public.lines",
    severity: "warning",
    evidence: /NOT VALID/,
    plant: ["ALTER TABLE lines ADD CONSTRAINT positive CHECK (id > 0) NOT VALID"],
    safe: true,
  },
  {
    check: "postgres-stale-statistics",
    subject: "table public.fresh",
    severity: "warning",
    evidence: /^never analyzed; \d/,
    plant: [
      `CREATE TABLE fresh (id int) ${BY_HAND}`,
      "INSERT INTO fresh SELECT generate_series(1, 20000)",
      "SELECT pg_stat_force_next_flush()",
      "SELECT 1",
    ],
    look: SMALL,
    safe: true,
  },
  {
    check: "postgres-dead-rows",
    subject: "table public.fresh",
    severity: "warning",
    evidence: /^10,000 dead rows, 50\.0 % of all \(limit 20 %\), .*; never vacuumed$/,
    plant: ["DELETE FROM fresh WHERE id % 2 = 0", "SELECT pg_stat_force_next_flush()", "SELECT 1"],
    look: SMALL,
    safe: true,
  },
  {
    check: "postgres-autovacuum-off",
    subject: "table public.by_hand",
    severity: "info",
    evidence: /^autovacuum_enabled = false for this table; 0 B$/,
    plant: [`CREATE TABLE by_hand (id int) ${BY_HAND}`],
  },
  {
    check: "postgres-bloat",
    subject: "index public.holes_pkey",
    severity: "info",
    evidence: /^about 8\d\.\d % of .* is empty: .* \(estimated\)$/,
    plant: [
      `CREATE TABLE holes (id int PRIMARY KEY, note text) ${BY_HAND}`,
      "INSERT INTO holes SELECT g, repeat('x', 90) FROM generate_series(1, 30000) g",
      "DELETE FROM holes WHERE id % 10 <> 0",
      "VACUUM (ANALYZE) holes",
    ],
    look: SMALL,
    safe: true,
  },
  {
    check: "postgres-bloat",
    subject: "table public.holes",
    severity: "warning",
    evidence: /^about 90\.\d % of 3\.\d MiB is empty: 3\.\d MiB \(estimated\)$/,
    plant: [],
    look: SMALL,
  },
  {
    check: "postgres-sequence-exhaustion",
    subject: "sequence public.tickets_id_seq",
    severity: "warning",
    evidence: /^28,000 of 32,767 are used: 85\.5 %, which fills tickets\.id \(bigint\)$/,
    plant: [
      "CREATE SEQUENCE tickets_id_seq AS smallint",
      "CREATE TABLE tickets (id bigint DEFAULT nextval('tickets_id_seq'))",
      "ALTER SEQUENCE tickets_id_seq OWNED BY tickets.id",
      "SELECT setval('tickets_id_seq', 28000)",
    ],
  },
  {
    check: "postgres-sequence-exhaustion",
    subject: "sequence public.capped",
    severity: "error",
    evidence: /^95 of 100 are used: 94\.9 %$/,
    plant: ["CREATE SEQUENCE capped MAXVALUE 100", "SELECT setval('capped', 95)"],
  },
  {
    check: "postgres-public-schema-create",
    subject: "schema public",
    severity: "info",
    evidence: /^PUBLIC has CREATE; 0 roles/,
    plant: ["GRANT CREATE ON SCHEMA public TO PUBLIC"],
  },
  {
    check: "postgres-outdated-extension",
    subject: "extension pg_stat_statements",
    severity: "info",
    evidence: /^1\.8 in this database, 1\.\d+ on the server$/,
    plant: ["CREATE EXTENSION pg_stat_statements VERSION '1.8'"],
  },
  {
    check: "postgres-vector-extension",
    subject: "extension vector",
    severity: "info",
    evidence: /^on the server, not in this database$/,
    plant: [],
  },
];

describe("planted, found, mended, gone", () => {
  it.each(CASES)(
    "$check: $subject",
    async ({ check, subject, severity, evidence, plant, look, safe = false }) => {
      await patient.sql(...plant);
      const found = await patient.about(check, subject, look);
      expect(found).toMatchObject({ severity, evidence: expect.stringMatching(evidence) });
      expect(found!.remedies.every((remedy) => remedy.safe === safe)).toBe(true);
      await patient.mend(found!, look);
      expect(await patient.about(check, subject, look)).toBeUndefined();
    },
  );

  it("a unique index that was never built: left alone while values occur twice, without another beside it", async () => {
    const about = () => patient.about("postgres-invalid-index", "index public.twice_key");
    const indexes = async () =>
      (await patient.client.query("SELECT FROM pg_index WHERE indrelid = 'twice'::regclass")).rowCount;
    await patient.sql("CREATE TABLE twice AS SELECT 1 AS id FROM generate_series(1, 2)");
    const building = patient.sql("CREATE UNIQUE INDEX CONCURRENTLY twice_key ON twice (id)");
    await expect(building).rejects.toMatchObject({ code: "23505" });
    // the error comes before the server has stopped: this session is asked again when it has
    await patient.sql("SELECT 1");
    const found = await about();
    expect(found).toMatchObject({
      remedies: [{ argv: ["opsctl", "maintain", "postgres", "--yes"], safe: false }],
      advice: expect.stringContaining("DROP INDEX CONCURRENTLY public.twice_key"),
    });
    await patient.mend(found!);
    expect([await indexes(), await about()]).toEqual([1, found]);
    await patient.sql("DELETE FROM twice WHERE ctid = (SELECT min(ctid) FROM twice)");
    await patient.mend(found!);
    expect([await indexes(), await about()]).toEqual([1, undefined]);
  });
});

describe("what no single command mends", () => {
  it("a column that ends before its sequence", async () => {
    await patient.sql("CREATE TABLE small (id serial)", "SELECT setval('small_id_seq', 2000000000)");
    const found = await patient.about("postgres-sequence-exhaustion", "sequence public.small_id_seq");
    expect(found).toMatchObject({ severity: "error", remedies: [] });
    expect(found!.advice).toContain("ALTER TABLE small ALTER COLUMN id TYPE bigint");
    await patient.sql(
      "ALTER TABLE small ALTER COLUMN id TYPE bigint",
      "ALTER SEQUENCE small_id_seq AS bigint",
    );
    expect(
      await patient.about("postgres-sequence-exhaustion", "sequence public.small_id_seq"),
    ).toBeUndefined();
  });

  it("a large table that is read from end to end", async () => {
    await patient.sql(
      `CREATE TABLE scanned (id int, note text) ${BY_HAND}`,
      "INSERT INTO scanned SELECT g, 'note' FROM generate_series(1, 12000) g",
      "DO $$ BEGIN FOR n IN 1..120 LOOP PERFORM count(*) FROM scanned; END LOOP; END $$",
      "SELECT pg_stat_force_next_flush()",
      "SELECT 1",
    );
    const found = await patient.about("postgres-missing-index", "table public.scanned", SMALL);
    expect(found).toMatchObject({ severity: "info", remedies: [] });
    expect(found!.evidence).toMatch(
      /^120 sequential scans read 1,440,000 rows; 0\.0 % of its scans use an index; 12,000 rows/,
    );
    await patient.sql("SELECT pg_stat_reset_single_table_counters('scanned'::regclass)");
    expect(await patient.about("postgres-missing-index", "table public.scanned", SMALL)).toBeUndefined();
  });

  it("an index that is not used, with statistics of less than a week", async () => {
    await patient.sql("CREATE INDEX idle ON orders (note, id)");
    const found = await patient.about("postgres-unused-index", "index public.idle", SMALL);
    expect(found).toMatchObject({ severity: "info", remedies: [] });
    expect(found!.advice).toContain("DROP INDEX CONCURRENTLY public.idle");
    await patient.sql("SET enable_seqscan = off", "SELECT id FROM orders WHERE note = 'y' ORDER BY id");
    await patient.sql("SELECT pg_stat_force_next_flush()", "RESET enable_seqscan");
    expect(await patient.about("postgres-unused-index", "index public.idle", SMALL)).toBeUndefined();
  });

  it("two constraints with the same columns", async () => {
    await patient.sql(
      "CREATE TABLE pair (id int PRIMARY KEY)",
      "ALTER TABLE pair ADD CONSTRAINT again UNIQUE (id)",
    );
    const found = await patient.about("postgres-duplicate-index", "index public.again");
    expect(found).toMatchObject({
      remedies: [],
      advice: expect.stringContaining("ALTER TABLE pair DROP CONSTRAINT"),
    });
    await patient.sql("ALTER TABLE pair DROP CONSTRAINT again");
    expect(await patient.about("postgres-duplicate-index", "index public.again")).toBeUndefined();
  });

  it("sorting on disk", async () => {
    const session = await patient.session();
    await session.query("SET work_mem = '64kB'");
    await session.query("SELECT g FROM generate_series(1, 20000) g ORDER BY -g LIMIT 1 OFFSET 19999");
    await session.query("SELECT pg_stat_force_next_flush()");
    const look = { large: 1000 };
    await expect.poll(() => patient.find("postgres-temp-files", look)).toHaveLength(1);
    await patient.sql("SELECT pg_stat_reset()");
    expect(await patient.find("postgres-temp-files", look)).toEqual([]);
  });
});

it("names ten, and says how many there are", async () => {
  await patient.sql(
    "DO $$ BEGIN FOR n IN 1..12 LOOP EXECUTE format('CREATE TABLE many%s (id int CONSTRAINT c CHECK (id > 0))', n); " +
      "EXECUTE format('ALTER TABLE many%s ADD CONSTRAINT d CHECK (id > 1) NOT VALID', n); END LOOP; END $$",
  );
  const found = await patient.find("postgres-invalid-constraint");
  expect(found).toHaveLength(11);
  expect(found.at(-1)!.subject).toBe("2 more constraints that are not valid");
});

it("asks no table that somebody holds exclusively", async () => {
  const holder = await patient.session();
  await holder.query("BEGIN; LOCK TABLE scanned, orders IN ACCESS EXCLUSIVE MODE");
  for (const check of [
    "dead-rows",
    "stale-statistics",
    "bloat",
    "missing-index",
    "unused-index",
    "autovacuum-off",
  ]) {
    await expect(patient.find(`postgres-${check}`, { large: 0 })).resolves.toBeInstanceOf(Array);
  }
  await holder.query("ROLLBACK");
});
