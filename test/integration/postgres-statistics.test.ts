/** The figures of PostgreSQL against the documented SQL, run by hand on the same server. */
import { randomBytes } from "node:crypto";
import * as v from "valibot";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Call } from "../../src/call.ts";
import { type PostgresStats, postgresStats } from "../../src/contract/stats-postgres.ts";
import type { PostgresConnection } from "../../src/engines/postgres/connect.ts";
import { postgresProbe } from "../../src/engines/postgres/probe.ts";
import { postgresStatistics } from "../../src/engines/postgres/statistics.ts";
import { testCall } from "../support/calls.ts";
import { until } from "../support/cli.ts";
import { eventually, failure, MigrationBench } from "../support/postgres-migrations.ts";

const CONTENT = `
  CREATE TABLE big (id int PRIMARY KEY, text text) WITH (autovacuum_enabled = false);
  INSERT INTO big SELECT n, md5(n::text) FROM generate_series(1, 20000) n;
  CREATE UNIQUE INDEX big_text ON big (text);
  CREATE TABLE small (id int, pad text) WITH (autovacuum_enabled = false);
  INSERT INTO small SELECT n, '' FROM generate_series(1, 10) n;
  CREATE SCHEMA "Other one";
  CREATE TABLE "Other one"."empty table" (id int);
  CREATE MATERIALIZED VIEW seen AS SELECT * FROM small`;

const role = `reader_${randomBytes(4).toString("hex")}`;
let bench: MigrationBench;
let stats: PostgresStats;

const read = (connection: PostgresConnection, top = 10) =>
  postgresStatistics(connection).read(testCall(), { top, sampleKeys: 100 });
const byHand = (sql: string) => bench.sql(sql);
const picked = <T extends object>(rows: readonly T[], ...keys: (keyof T)[]) =>
  rows.map((row) => Object.fromEntries(keys.map((key) => [key, row[key]])));

beforeAll(async () => {
  bench = await MigrationBench.start();
  await bench.sql(CONTENT);
  await bench.sql("DELETE FROM big WHERE id % 2 = 0");
  await bench.sql("VACUUM ANALYZE big");
  await bench.sql("DELETE FROM small WHERE id > 7");
  await bench.sql(`BEGIN; SET LOCAL enable_seqscan = off;
    SELECT * FROM big WHERE id = 1; SELECT * FROM big WHERE id = 3; COMMIT`);
  await bench.sql(`CREATE ROLE ${role} LOGIN PASSWORD 'of a test'`);
  // counts of other sessions arrive when those are idle for a moment
  await until("the deleted rows are counted", async () => {
    const { tables } = await read(bench.admin);
    return tables.find(({ name }) => name === "small")?.dead_rows === 3;
  });
  stats = await read(bench.admin);
});
afterAll(async () => {
  await bench?.sql(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  await bench?.stop();
});

describe("figures by hand", () => {
  it("fit the contract", () => {
    expect(v.parse(postgresStats, stats)).toEqual(stats);
  });

  it("of the tables", async () => {
    const rows =
      await byHand(`SELECT schemaname AS schema, relname AS name, n_live_tup AS rows, n_dead_tup AS dead_rows,
        pg_total_relation_size(relid) AS size_bytes, pg_indexes_size(relid) AS index_bytes, seq_scan AS seq_scans,
        coalesce(idx_scan, 0) AS index_scans
      FROM pg_stat_user_tables ORDER BY pg_total_relation_size(relid) DESC, schemaname, relname`);
    expect(
      picked(
        stats.tables,
        "schema",
        "name",
        "rows",
        "dead_rows",
        "size_bytes",
        "index_bytes",
        "seq_scans",
        "index_scans",
      ),
    ).toEqual(rows);
    expect(stats.tables[0]).toMatchObject({ name: "big", index_scans: 2 });
    expect(stats.table_count).toBe(rows.length);
  });

  it("of VACUUM and ANALYZE", async () => {
    const rows = await byHand(
      "SELECT last_vacuum, last_analyze FROM pg_stat_user_tables WHERE relname = 'big'",
    );
    const { last_vacuum, last_analyze } = stats.tables[0]!;
    expect([{ last_vacuum: new Date(last_vacuum!), last_analyze: new Date(last_analyze!) }]).toEqual(rows);
    expect(stats.tables.find(({ name }) => name === "small")).toMatchObject({
      last_vacuum: null,
      last_analyze: null,
    });
  });

  it("of the indexes", async () => {
    const rows = await byHand(`SELECT schemaname AS schema, relname AS "table", indexrelname AS name,
        pg_relation_size(indexrelid) AS size_bytes, idx_scan AS scans, indisvalid AS valid, indisunique AS unique
      FROM pg_stat_user_indexes JOIN pg_index USING (indexrelid) ORDER BY pg_relation_size(indexrelid) DESC, indexrelname`);
    expect(stats.indexes).toEqual(rows);
    expect(stats.index_count).toBe(rows.length);
    expect(stats.indexes_bytes).toBe(
      await bench.value("SELECT sum(pg_relation_size(indexrelid))::int8 FROM pg_stat_user_indexes"),
    );
    expect(stats.indexes.find(({ name }) => name === "big_pkey")!.scans).toBe(2);
  });

  it("of the database and the server", async () => {
    const now = await read(bench.admin);
    const [row] =
      await byHand(`SELECT current_database() AS database, pg_database_size(current_database()) AS size_bytes,
      age(datfrozenxid) AS age FROM pg_database WHERE datname = current_database()`);
    expect(now).toMatchObject({ database: row!["database"], size_bytes: row!["size_bytes"] });
    const own = now.databases.find(({ name }) => name === row!["database"]);
    expect(own).toEqual({ name: row!["database"], size_bytes: row!["size_bytes"] });
    expect(now.connections).toMatchObject({
      max: Number(await bench.value("SHOW max_connections")),
      reserved: Number(await bench.value("SHOW superuser_reserved_connections")),
    });
    expect(now.wraparound.used_ratio).toBeCloseTo(now.wraparound.xid_age / 2 ** 31, 9);
  });

  it("of the oldest database, while others make and drop theirs", async () => {
    const compare = async () => {
      const { wraparound } = await read(bench.admin);
      const [worst] = await byHand(
        "SELECT datname AS database, age(datfrozenxid) AS age FROM pg_database ORDER BY 2 DESC, 1 LIMIT 1",
      );
      return [
        wraparound.database === worst!["database"],
        Math.abs(wraparound.xid_age - Number(worst!["age"])) < 10_000,
      ];
    };
    await eventually(compare).toEqual([true, true]);
  });

  it("of the cache", async () => {
    const [row] = await byHand(`SELECT blks_hit::float8 / (blks_hit + blks_read) AS cache,
      (SELECT sum(idx_blks_hit)::float8 / sum(idx_blks_hit + idx_blks_read) FROM pg_statio_user_indexes) AS index
      FROM pg_stat_database WHERE datname = current_database()`);
    expect(stats.cache_hit_ratio).toBeCloseTo(Number(row!["cache"]), 1);
    expect(stats.index_hit_ratio).toBeCloseTo(Number(row!["index"]), 2);
  });

  it("of sessions: who is idle in a transaction, who waits", async () => {
    const holding = await bench.hold("LOCK TABLE small IN ACCESS EXCLUSIVE MODE");
    const waiting = bench.sql("SELECT count(*) FROM small").catch(() => []);
    await eventually(async () => (await read(await bench.open())).connections).toMatchObject({
      idle_in_transaction: expect.toSatisfy((n: number) => n > 0),
      waiting: expect.toSatisfy((n: number) => n > 0),
    });
    await holding();
    await waiting;
  });
});

/** A connection that counts what is asked over it: far away each round trip takes its time. */
async function counting(): Promise<{ connection: PostgresConnection; asked: string[] }> {
  const real = await bench.open();
  const asked: string[] = [];
  const noted =
    <A extends [string, ...unknown[]], R>(work: (...given: A) => R) =>
    (...given: A) => {
      asked.push(given[0]);
      return work(...given);
    };
  const connection = Object.create(real, {
    query: {
      value: (call: Call, ...given: [string]) =>
        noted((...of: [string]) => real.query(call, ...of))(...given),
    },
    lend: {
      value: async (call: Call) => {
        const session = await real.lend(call);
        return {
          query: noted(session.query.bind(session)),
          run: noted(session.run.bind(session)),
          release: session.release.bind(session),
        };
      },
    },
  }) as PostgresConnection;
  return { connection, asked };
}

describe("round trips", () => {
  it("of the figures are few", async () => {
    const { connection, asked } = await counting();
    expect((await read(connection)).table_count).toBe(stats.table_count);
    expect(asked).toHaveLength(4);
  });

  it("of the write test: one, with all that it does", async () => {
    const { connection, asked } = await counting();
    await postgresProbe(connection).selfTest(testCall());
    expect(asked).toEqual([
      expect.stringMatching(/^BEGIN; CREATE TEMP.*; INSERT .*; SELECT .*; DELETE .*; SELECT .*; ROLLBACK$/),
    ]);
  });
});

describe("bloat", () => {
  it("is about what was deleted, and nothing for a small table", () => {
    const [big] = stats.tables;
    const heap = big!.size_bytes - big!.index_bytes;
    expect(big!.bloat_bytes! / heap).toBeGreaterThan(0.35);
    expect(big!.bloat_bytes! / heap).toBeLessThan(0.6);
    expect(stats.tables.find(({ name }) => name === "small")!.bloat_bytes).toBeNull();
  });
});

describe("what is in the way", () => {
  it("a table that is held exclusively is not waited for", async () => {
    const release = await bench.hold("LOCK TABLE big IN ACCESS EXCLUSIVE MODE");
    const held = await read(await bench.open({}, { queryMs: 4_000 }));
    await release();
    expect(held.tables.map(({ name }) => name)).toContain("big");
    expect(held.unknown.map(({ what }) => what)).toEqual(["size of the table public.big"]);
  });

  it("a list has at most --top rows, the largest", async () => {
    const { tables, indexes, table_count, indexes_bytes } = await read(bench.admin, 1);
    expect([tables.map(({ name }) => name), indexes.length]).toEqual([["big"], 1]);
    expect({ table_count, indexes_bytes }).toEqual({
      table_count: stats.table_count,
      indexes_bytes: stats.indexes_bytes,
    });
  });
});

describe("a user without rights", () => {
  it("without pg_monitor sees sizes and counts, and is told what is missing", async () => {
    const reader = await bench.open({ user: role, password: "of a test" });
    const seen = await read(reader);
    expect(v.parse(postgresStats, seen)).toEqual(seen);
    expect(seen.connections).toMatchObject({
      active: null,
      idle: null,
      idle_in_transaction: null,
      waiting: null,
    });
    expect(seen.connections.used).toBeGreaterThan(0);
    expect(seen.unknown).toEqual([
      expect.objectContaining({
        reason: `the user "${role}" is no member of pg_monitor`,
        hint: `GRANT pg_monitor TO "${role}"`,
      }),
    ]);
    expect(picked(seen.tables, "name", "size_bytes", "rows")).toEqual(
      picked(stats.tables, "name", "size_bytes", "rows"),
    );
    // its widths are in the columns, which this user may not read
    expect(seen.tables[0]!.bloat_bytes).toBeNull();
  });

  it("sees it all once the hint was followed", async () => {
    await bench.sql(`GRANT pg_monitor TO "${role}"`);
    const seen = await read(await bench.open({ user: role, password: "of a test" }));
    await bench.sql(`REVOKE pg_monitor FROM "${role}"`);
    expect(seen.unknown).toEqual([]);
    expect(seen.connections.active).toBeGreaterThan(0);
  });

  it("without CONNECT on another database lists those that it may enter", async () => {
    const closed = await MigrationBench.start();
    const name = new URL(closed.url).pathname.slice(1);
    await closed.sql(`REVOKE CONNECT ON DATABASE ${name} FROM PUBLIC`);
    const seen = await read(await bench.open({ user: role, password: "of a test" }));
    const names = seen.databases.map((database) => database.name);
    expect((await read(bench.admin)).databases.map((database) => database.name)).toContain(name);
    await closed.stop();
    expect(names).not.toContain(name);
    expect(names).toContain(new URL(bench.url).pathname.slice(1));
  });
});

describe("slow statements", () => {
  it("say what to enable", () => {
    expect(stats.slow_statements).toEqual({
      available: false,
      hint: expect.stringContaining("shared_preload_libraries"),
      statements: [],
    });
  });

  it("say so when the extension is there and its library is not loaded", async () => {
    await bench.sql("CREATE EXTENSION pg_stat_statements SCHEMA public");
    const { slow_statements } = await read(bench.admin);
    await bench.sql("DROP EXTENSION pg_stat_statements");
    expect(slow_statements).toMatchObject({
      available: false,
      hint: expect.stringContaining("restart the server"),
    });
  });
});

describe("the write test", () => {
  it("passes, and leaves nothing", async () => {
    await postgresProbe(bench.admin).selfTest(testCall());
    expect(await bench.value("SELECT count(*) FROM pg_class WHERE relname LIKE 'opsctl_health%'")).toBe(0);
  });

  it("fails on a server that is read-only, and names the step", async () => {
    const connection = await bench.open({ search: "?options=-c%20default_transaction_read_only%3Don" });
    const error = await failure(postgresProbe(connection).selfTest(testCall()));
    expect(error).toMatchObject({
      code: "failed",
      message: expect.stringMatching(/"create": it is read-only/),
    });
  });

  it("fails for a user without TEMPORARY, with the grant that helps", async () => {
    const name = new URL(bench.url).pathname.slice(1);
    await bench.sql(`REVOKE TEMPORARY ON DATABASE ${name} FROM PUBLIC`);
    const reader = await bench.open({ user: role, password: "of a test" });
    const error = await failure(postgresProbe(reader).selfTest(testCall()));
    expect(error.hint).toBe(`GRANT TEMPORARY ON DATABASE "${name}" TO "${role}"`);
    await bench.sql(error.hint!);
    await postgresProbe(reader).selfTest(testCall());
  });
});
