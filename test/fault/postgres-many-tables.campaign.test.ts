/** A database with 10,000 tables: its figures and its maintenance in bounded time. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { DEFAULT_THRESHOLDS } from "../../src/config/thresholds.ts";
import { postgresMaintenance } from "../../src/engines/postgres/maintenance.ts";
import { postgresStatistics } from "../../src/engines/postgres/statistics.ts";
import { testCall } from "../support/calls.ts";
import { LIMITS, MigrationBench } from "../support/postgres-migrations.ts";

const TABLES = 10_000;
/** Tables of one transaction: each takes locks. */
const STEP = 1_000;

let bench: MigrationBench;

beforeAll(async () => {
  bench = await MigrationBench.start();
  for (let from = 1; from <= TABLES; from += STEP) {
    await bench.sql(`DO $$ BEGIN FOR n IN ${from}..${from + STEP - 1} LOOP
      EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, pad text)', n); END LOOP; END $$`);
  }
  // nobody has counted their pages: they are the largest all the same
  await bench.sql("INSERT INTO t9000 SELECT n, repeat('x', 50) FROM generate_series(1, 20000) n");
  await bench.sql("INSERT INTO t17 SELECT n, repeat('x', 50) FROM generate_series(1, 10000) n");
}, 300_000);
afterAll(() => bench?.stop(), 60_000);

it("its figures are all there, within the limit of one query each", async () => {
  const read = () => postgresStatistics(bench.admin).read(testCall(), { top: 3, sampleKeys: 1 });
  await expect
    .poll(async () => (await read()).tables.map(({ name }) => name).slice(0, 2), { timeout: 30_000 })
    .toEqual(["t9000", "t17"]);
  const stats = await read();
  expect(stats).toMatchObject({ table_count: TABLES, index_count: TABLES, unknown: [] });
  expect(stats.tables[0]!.size_bytes).toBe(await bench.value("SELECT pg_total_relation_size('t9000')"));
  expect(stats.indexes_bytes).toBe(
    await bench.value("SELECT sum(pg_relation_size(indexrelid))::int8 FROM pg_stat_user_indexes"),
  );
});

it("its maintenance is planned: for all of them, or for what pays", async () => {
  const target = { engine: "postgres", url: bench.url, shown: "", identity: "" } as const;
  const maintenance = postgresMaintenance(bench.admin, { target, limits: LIMITS }, DEFAULT_THRESHOLDS);
  expect(await maintenance.plan(testCall(), { all: true })).toHaveLength(TABLES);
  expect(await maintenance.plan(testCall(), { all: false })).toEqual([]);
});
