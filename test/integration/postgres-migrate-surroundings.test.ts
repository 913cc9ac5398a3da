/** What lies around migrations in a real database: users who may only read, other tools, a schema to dump. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it, test } from "vitest";
import { postgresMigrations } from "../../src/engines/postgres/migrations.ts";
import { setsOf } from "../../src/migrate/sets.ts";
import { applySets } from "../../src/migrate/shipped.ts";
import { testCall } from "../support/calls.ts";
import { failure, file, MigrationBench } from "../support/postgres-migrations.ts";

let bench: MigrationBench;
beforeAll(async () => {
  bench = await MigrationBench.start();
});
afterAll(() => bench?.stop());
beforeEach(() => bench.empty());

const user = `reader_${process.pid}_${Date.now()}`;

describe("history", () => {
  it("needs nothing but the right to read it", async () => {
    await bench.migrate([file(1, "CREATE TABLE a ()")]);
    await bench.sql(
      `CREATE ROLE ${user} LOGIN PASSWORD 'u'; GRANT USAGE ON SCHEMA public TO ${user}; GRANT SELECT ON opsctl_migrations TO ${user};
       ALTER ROLE ${user} SET default_transaction_read_only = on`,
    );
    const connection = await bench.open({ user, password: "u" });
    const reader = postgresMigrations(connection);
    expect(await reader.history(testCall())).toMatchObject([{ version: "V001", seq: 1, state: "applied" }]);
    expect(await bench.migrate([file(1, "CREATE TABLE a ()")], {}, reader)).toEqual([]);
    expect(await reader.occupants(testCall())).toEqual(["a"]);
    const error = await failure(
      bench.migrate([file(1, "CREATE TABLE a ()"), file(2, "CREATE TABLE b ()")], {}, reader),
    );
    expect(error.message).toMatch(
      /V002-test-up\.sql:1:1: cannot execute CREATE TABLE in a read-only transaction/,
    );
    await connection.close();
    await bench.empty();
    await bench.sql(`DROP OWNED BY ${user}; DROP ROLE ${user}`);
  });

  it("is empty where there is no database", async () => {
    const nowhere = postgresMigrations(await bench.open({ database: "no_such_database" }));
    expect(await nowhere.history(testCall())).toEqual([]);
    expect(await nowhere.occupants(testCall())).toEqual([]);
    expect(await nowhere.peerHistory(testCall(), "dbmate")).toBeNull();
  });

  it("takes rows as they are, all or none, and needs the lock for it", async () => {
    await bench.migrate([file(1, "CREATE TABLE a ()"), file(2, "CREATE TABLE b ()")]);
    const [first, second] = (await bench.history()) as [never, never];
    const rows = [
      { ...(first as object), state: "reverted", description: 'é\'\\ "x"' },
      { ...(second as object), version: "V003", seq: 3 },
    ] as never;
    await expect(bench.target.record(testCall(), rows)).rejects.toMatchObject({ code: "failed" });
    await bench.target.exclusively(testCall(), 0, () => bench.target.record(testCall(), rows));
    expect(
      (await bench.history()).map(({ version, state, description }) => [version, state, description]),
    ).toEqual([
      ["V001", "reverted", 'é\'\\ "x"'],
      ["V002", "applied", "test"],
      ["V003", "applied", "test"],
    ]);
    const bad = [
      { ...(first as object), version: "V009" },
      { ...(first as object), version: "V010", state: "nonsense" },
    ];
    await failure(
      bench.target.exclusively(testCall(), 0, () => bench.target.record(testCall(), bad as never)),
    );
    expect(await bench.history()).toHaveLength(3);
  });
});

describe("what is there already", () => {
  it("is named, but for what opsctl, its sets and extensions made", async () => {
    await applySets(testCall(), bench.target, setsOf("postgres"), false);
    expect(await bench.target.occupants(testCall())).toEqual([]);
    await bench.sql(`CREATE TABLE zebra (x int) PARTITION BY LIST (x); CREATE TABLE zebra_1 PARTITION OF zebra FOR VALUES IN (1);
      CREATE VIEW yak AS SELECT 1; CREATE MATERIALIZED VIEW "Xerus" AS SELECT 1; CREATE SCHEMA other; CREATE TABLE other.ant ();
      CREATE SEQUENCE alone`);
    expect(await bench.target.occupants(testCall())).toEqual(["other.ant", "Xerus", "yak", "zebra"]);
    await bench.sql("DROP SCHEMA other CASCADE; CREATE TABLE b1 (); CREATE TABLE b2 (); CREATE TABLE b3 ()");
    expect(await bench.target.occupants(testCall())).toHaveLength(5);
    expect((await failure(bench.migrate([file(1, "SELECT 1")]))).message).toContain(
      "the database is not empty",
    );
  });

  it("may be a history that search_path does not reach any more", async () => {
    await bench.migrate([file(1, "CREATE TABLE a ()")]);
    await bench.sql("CREATE SCHEMA app");
    const elsewhere = postgresMigrations(await bench.open({ search: "?options=-c%20search_path%3Dapp" }));
    expect(await elsewhere.occupants(testCall())).toEqual([
      "public.opsctl_migrations, which search_path leaves out",
      "public.a",
    ]);
    await bench.sql("DROP SCHEMA app");
  });
});

describe("other tools' history", () => {
  const GOLANG =
    "CREATE TABLE schema_migrations (version bigint NOT NULL PRIMARY KEY, dirty boolean NOT NULL)";
  const DBMATE = "CREATE TABLE schema_migrations (version varchar(128) PRIMARY KEY)";
  const DIESEL =
    "CREATE TABLE __diesel_schema_migrations (version varchar(50) PRIMARY KEY, run_on timestamp NOT NULL DEFAULT now())";

  test.each([
    ["golang-migrate", `${GOLANG}; INSERT INTO schema_migrations VALUES (7, false)`, ["7"], true, false],
    ["golang-migrate", `${GOLANG}; INSERT INTO schema_migrations VALUES (8, true)`, ["8"], true, true],
    ["golang-migrate", GOLANG, [], true, false],
    ["dbmate", `${DBMATE}; INSERT INTO schema_migrations VALUES ('2'), ('10')`, ["10", "2"], false, false],
    [
      "diesel",
      `${DIESEL}; INSERT INTO __diesel_schema_migrations VALUES ('00000000000000')`,
      ["00000000000000"],
      false,
      false,
    ],
  ] as const)("of %s is read: %s", async (format, sql, versions, lastOnly, dirty) => {
    await bench.sql(sql);
    const history = await bench.target.peerHistory(testCall(), format);
    expect(history).toMatchObject({ versions, lastOnly, dirty });
    expect(history!.table).toMatch(/^public\.(__diesel_)?schema_migrations$/);
  });

  it("is told apart by its columns", async () => {
    for (const format of ["opsctl", "golang-migrate", "dbmate", "diesel"] as const) {
      expect(await bench.target.peerHistory(testCall(), format)).toBeNull();
    }
    await bench.sql(GOLANG);
    expect(await bench.target.peerHistory(testCall(), "dbmate")).toBeNull();
    await bench.sql(`DROP TABLE schema_migrations; ${DBMATE}`);
    expect(await bench.target.peerHistory(testCall(), "golang-migrate")).toBeNull();
    await bench.sql("DROP TABLE schema_migrations; CREATE TABLE schema_migrations (id int)");
    expect(await bench.target.peerHistory(testCall(), "dbmate")).toBeNull();
  });
});

describe("the schema as text", () => {
  it("is the same on two runs, without rows, versions, keys and the history", async () => {
    await bench.migrate([
      file(
        1,
        "CREATE TABLE a (x int PRIMARY KEY); INSERT INTO a VALUES (4711); CREATE VIEW v AS SELECT x FROM a;",
      ),
    ]);
    const first = await bench.target.dump!(testCall());
    expect(await bench.target.dump!(testCall())).toBe(first);
    expect(first).toContain("CREATE TABLE public.a");
    expect(first).toContain("CREATE VIEW public.v");
    expect(first).not.toMatch(/opsctl_migrations|4711|\\(un)?restrict|Dumped|version \d/);
    // it is a migration itself
    await bench.empty();
    expect(await bench.migrate([file(1, first)])).toHaveLength(1);
    expect(await bench.target.dump!(testCall())).toBe(first);
    await bench.sql("ALTER TABLE a ADD y int");
    expect(await bench.target.dump!(testCall())).not.toBe(first);
  });

  it("says what is wrong with pg_dump, and nothing of the password", async () => {
    const dir = mkdtempSync(join(tmpdir(), "opsctl-dump-"));
    const { PATH } = process.env;
    const fake = (body: string) => {
      writeFileSync(join(dir, "pg_dump"), `#!/bin/sh\n${body}\n`);
      chmodSync(join(dir, "pg_dump"), 0o755);
    };
    try {
      fake('echo "pg_dump (PostgreSQL) 9.6.1"');
      process.env.PATH = `${dir}${delimiter}${PATH}`;
      const old = await failure(bench.target.dump!(testCall()));
      expect(old.message).toMatch(/pg_dump is version 9, and the server at [\d.:]+ is version \d+/);
      expect(old.hint).toMatch(/client programs of PostgreSQL \d+/);
      fake(
        'case "$1" in --version) echo "pg_dump (PostgreSQL) 99.1" ;; *) echo "first" >&2; echo "it broke: $*" >&2; exit 1 ;; esac',
      );
      const broken = await failure(bench.target.dump!(testCall()));
      expect(broken.message).toContain("pg_dump ended with code 1: it broke: --schema-only");
      expect(`${broken.message}${broken.hint}`).not.toContain(new URL(bench.url).password);
      process.env.PATH = dir;
      rmSync(join(dir, "pg_dump"));
      expect((await failure(bench.target.dump!(testCall()))).message).toContain("not on PATH");
    } finally {
      process.env.PATH = PATH;
      rmSync(dir, { recursive: true });
    }
  });
});
