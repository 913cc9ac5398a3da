/** Backups of PostgreSQL on a real server. */
import { readFileSync } from "node:fs";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { OpsError } from "../../src/errors.ts";
import { askDump, askPlainDump, askPostgres } from "../support/backup.ts";
import { eventually, failure } from "../support/postgres-migrations.ts";
import { postgresDatabase, type TestDatabase } from "../support/servers.ts";
import { BackupKit, parseBytes, parseFile } from "./postgres-backup-kit.ts";

/** Everything that names, values and objects can be. Tables, rows, large objects: see EXPECTED. */
const AWKWARD = `
  CREATE EXTENSION vector;
  CREATE SCHEMA "My Schema";
  CREATE TYPE mood AS ENUM ('fine', 'it''s "so" so');
  CREATE TABLE "My Schema"."Ta""ble.with; Type: TABLE; everything" ("a column FROM stdin;" text, "line
end" int);
  INSERT INTO "My Schema"."Ta""ble.with; Type: TABLE; everything" VALUES (E'a\\tb\\nc\\\\d\\re', 1), ('\\.', 2), (E'\\\\.\\n\\\\.', 3), (NULL, 4), ('', 5);
  CREATE TABLE "line
end in a name" (id int);
  INSERT INTO "line
end in a name" VALUES (1);
  CREATE TABLE values_of_all_kinds (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, bytes bytea, doc jsonb, feeling mood, words text[], near vector(3), twice int GENERATED ALWAYS AS (7 * 6) STORED);
  INSERT INTO values_of_all_kinds (bytes, doc, feeling, words, near)
    SELECT decode(md5(n::text), 'hex') || '\\x0a5c2e0a'::bytea, jsonb_build_object('n', n, 'line', E'a\\n\\\\.\\nb'), 'it''s "so" so', ARRAY['a', NULL, '{"}'], '[1,2,3]' FROM generate_series(1, 1000) n;
  CREATE INDEX ON values_of_all_kinds USING hnsw (near vector_l2_ops);
  CREATE TABLE measured (at date, value float8) PARTITION BY RANGE (at);
  CREATE TABLE measured_2025 PARTITION OF measured FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
  CREATE TABLE measured_rest PARTITION OF measured DEFAULT;
  INSERT INTO measured SELECT date '2025-12-01' + n, n FROM generate_series(0, 61) n;
  CREATE TABLE empty (id int);
  CREATE TABLE without_columns ();
  INSERT INTO without_columns DEFAULT VALUES;
  CREATE UNLOGGED TABLE unlogged AS SELECT 1 AS one;
  CREATE TABLE wide AS SELECT n, repeat(md5(n::text), 5000) AS text FROM generate_series(1, 5) n;
  CREATE MATERIALIZED VIEW sums AS SELECT count(*) FROM measured;
  CREATE VIEW everything AS SELECT * FROM measured;
  CREATE TABLE secret (owner text, value text);
  INSERT INTO secret VALUES ('a', '1'), ('b', '2');
  ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
  CREATE FUNCTION tricky() RETURNS text LANGUAGE sql AS $$ SELECT '
COPY public.nothing (a) FROM stdin;
1
-- PostgreSQL database dump complete
' $$;
  CREATE TRIGGER no_change BEFORE UPDATE ON empty FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
  SELECT lo_from_bytea(0, decode(repeat('5c2e0a', 20000), 'hex')), lo_from_bytea(0, '');
  COMMENT ON TABLE empty IS E'a\\n-- comment\\n\\\\. of lines';`;
const EXPECTED = {
  'My Schema.Ta"ble.with; Type: TABLE; everything': 5,
  "public.line\nend in a name": 1,
  "public.values_of_all_kinds": 1000,
  "public.measured_2025": 31,
  "public.measured_rest": 31,
  "public.empty": 0,
  "public.without_columns": 1,
  "public.unlogged": 1,
  "public.wide": 5,
  "public.secret": 2,
};
const COUNTS = { tables: 11, rows: 1077, large_objects: 2 };

const kit = new BackupKit();
let database: TestDatabase;

beforeAll(async () => {
  database = await postgresDatabase();
  await askPostgres(database.url, AWKWARD);
});
afterAll(async () => {
  await kit.stop();
  await database?.drop();
});

const nameOf = (url: string) => decodeURIComponent(new URL(url).pathname.slice(1));

describe("a database with everything awkward", () => {
  it("is in both files, counted by table", async () => {
    const { facts, snapshot, copied, files } = await kit.take(await kit.part(database.url));
    const name = nameOf(database.url);
    expect(files.map(({ path, kind }) => `${path} ${kind}`)).toEqual([
      `postgres/${name}.dump postgres-custom`,
      `postgres/${name}.sql postgres-plain`,
    ]);
    expect(copied).toMatchObject({ consistency: "consistent", reason: null, counts: COUNTS, notes: [] });
    expect(copied.breakdown).toEqual(EXPECTED);
    expect(facts.server_version).toMatch(/^\d+\.\d+/);
    expect(facts.tools.map((tool) => tool.name)).toEqual(["pg_dump", "pg_restore"]);
    expect(facts.estimate_bytes).toBeGreaterThan(10_000_000);
    expect(snapshot.identity).toMatchObject({
      database: name,
      snapshot: expect.stringMatching(/^[0-9A-F-]+$/),
      lsn: expect.stringMatching(/^[0-9A-F]+\/[0-9A-F]+$/),
      standby: false,
    });
    const [custom, plain] = files;
    const found = { counts: COUNTS, breakdown: EXPECTED };
    expect(await parseFile("postgres-custom", custom!.file)).toEqual(found);
    expect(await parseFile("postgres-custom", custom!.file, 4_999)).toEqual(found);
    const { tables: _, ...rest } = COUNTS;
    expect(await parseFile("postgres-plain", plain!.file, 997)).toEqual({
      counts: rest,
      breakdown: EXPECTED,
    });
    const digest = `SELECT md5(string_agg(v::text, ',' ORDER BY id)) AS digest, (SELECT md5(string_agg(t::text, ',' ORDER BY t))
      FROM "My Schema"."Ta""ble.with; Type: TABLE; everything" t) AS texts, (SELECT count FROM sums) AS sums,
      (SELECT string_agg(length(lo_get(oid))::text, ',' ORDER BY oid) FROM pg_largeobject_metadata) AS objects FROM values_of_all_kinds v`;
    const truth = await askPostgres(database.url, digest);
    expect(await askDump(custom!.file, digest)).toEqual(truth);
    expect(await askPlainDump(plain!.file, digest)).toEqual(truth);
  });

  it("is found damaged when it is cut off, or has something behind it", async () => {
    const { files } = await kit.take(await kit.part(database.url));
    for (const { kind, file } of files) {
      const whole = readFileSync(file);
      // the length of the last values, and some in between
      const lengths = [0, 4, 40, 3_000, 0.3 * whole.length, 0.6 * whole.length, whole.length - 70];
      if (kind === "postgres-custom") lengths.push(whole.length - 5, whole.length - 1);
      for (const length of lengths) {
        const error = await failure(parseBytes(kind, whole.subarray(0, Math.floor(length))));
        expect(error, `${kind} of ${length} bytes`).toMatchObject({ code: "integrity", engine: "postgres" });
        expect(error.message).toMatch(/^postgres\/file: .* \((byte|line) \d+\)$|pg_restore/s);
      }
      const longer = await failure(parseBytes(kind, Buffer.concat([whole, Buffer.from("x")])));
      expect(longer.code).toBe("integrity");
    }
  });

  it("is never taken for something else when a bit is wrong: it is damaged, or counted", async () => {
    const { files } = await kit.take(await kit.part(database.url), { kinds: ["postgres-custom"] });
    const whole = readFileSync(files[0]!.file);
    const outcomes = new Set<string>();
    for (let sample = 0; sample < 12; sample++) {
      const flipped = Buffer.from(whole);
      // mostly in the table of contents
      const at = Math.floor((sample * 7919) % (sample % 3 === 0 ? whole.length : 20_000));
      flipped[at]! ^= 1 << (sample % 8);
      const outcome = await parseBytes("postgres-custom", flipped).then(
        () => "counted",
        (error: OpsError) => error.code,
      );
      outcomes.add(outcome);
    }
    expect([...outcomes].toSorted()).toEqual(["counted", "integrity"]);
  });

  it.each([["postgres-custom"], ["postgres-plain"]] as const)(
    "gives one file when only %s is asked for",
    async (kind) => {
      const { files, copied } = await kit.take(await kit.part(database.url), { kinds: [kind] });
      expect(files.map((file) => file.kind)).toEqual([kind]);
      expect(copied).toMatchObject({ counts: COUNTS, breakdown: EXPECTED });
    },
  );
});

describe("a snapshot", () => {
  it("has what was acknowledged before it, and nothing that began after it", async () => {
    const own = await postgresDatabase();
    const writers = [1, 2, 3].map((id) => ({ table: `w${id}`, begun: 0, acknowledged: 0 }));
    const clients = await Promise.all(writers.map(() => client(own.url)));
    let isOver = false;
    onTestFinished(() => {
      isOver = true;
    });
    const write = async (writer: (typeof writers)[number], { query }: (typeof clients)[number]) => {
      await query(`CREATE TABLE ${writer.table} (id int)`);
      while (!isOver) {
        writer.begun++;
        await query(`INSERT INTO ${writer.table} VALUES (${writer.begun})`);
        writer.acknowledged = writer.begun;
      }
    };
    const writing = Promise.all(writers.map((writer, index) => write(writer, clients[index]!)));
    await eventually(() => writers.every(({ acknowledged }) => acknowledged > 50)).toBe(true);
    const least: number[] = [];
    const most: number[] = [];
    const { copied, files } = await kit.take(await kit.part(own.url), {
      before: () => least.push(...writers.map(({ acknowledged }) => acknowledged)),
      between: async () => {
        most.push(...writers.map(({ begun }) => begun));
        await eventually(() => writers.every(({ begun }, index) => begun > most[index]! + 20)).toBe(true);
      },
    });
    isOver = true;
    await writing;
    const rows = writers.map(({ table }) => copied.breakdown[`public.${table}`]!);
    for (const [index, count] of rows.entries()) {
      expect(count).toBeGreaterThanOrEqual(least[index]!);
      expect(count).toBeLessThanOrEqual(most[index]!);
    }
    const tables = writers.map(({ table }) => `SELECT count(*)::int AS count, max(id) AS max FROM ${table}`);
    expect(await askDump(files[0]!.file, tables.join(" UNION ALL "))).toEqual(
      rows.map((count) => ({ count, max: count })),
    );
    await Promise.all(clients.map(({ end }) => end()));
    await own.drop();
  });

  it("lives although the server ends idle transactions and long statements", async () => {
    const own = await postgresDatabase();
    const name = nameOf(own.url);
    await askPostgres(
      own.url,
      `CREATE TABLE t AS SELECT 1 AS one; ALTER DATABASE ${name} SET idle_in_transaction_session_timeout = '100ms';
       ALTER DATABASE ${name} SET statement_timeout = '100ms'; ALTER DATABASE ${name} SET idle_session_timeout = '100ms'`,
    );
    const between = () => askPostgres(database.url, "SELECT pg_sleep(0.5)");
    const { copied } = await kit.take(await kit.part(own.url), { between });
    expect(copied.counts).toMatchObject({ tables: 1, rows: 1 });
    await own.drop();
  });
});

describe("several databases", () => {
  const NAMES = ["globals", `we"ird 'n\\ame=1`, "Ünï/../x"];
  const urlOf = (name: string) => {
    const url = new URL(database.url);
    url.pathname = `/${encodeURIComponent(name)}`;
    return url.href;
  };
  const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;

  beforeAll(async () => {
    for (const name of NAMES) {
      await askPostgres(database.url, `CREATE DATABASE ${quoted(name)}`);
      const { query, end } = await client(database.url, name);
      await query("CREATE TABLE t (x int); INSERT INTO t VALUES (1)");
      await end();
    }
  });
  afterAll(async () => {
    for (const name of NAMES) {
      await askPostgres(database.url, `DROP DATABASE IF EXISTS ${quoted(name)} WITH (FORCE)`);
    }
  });

  it("have a part and files of their own each, whatever they are called", async () => {
    const parts = await kit.parts(database.url, [...NAMES, nameOf(database.url)]);
    expect(parts.map(({ name }) => name)).toEqual([
      nameOf(database.url),
      '"globals"',
      NAMES[1],
      NAMES[2],
      "globals",
    ]);
    const paths: string[] = [];
    for (const part of parts) {
      const { files, copied, snapshot } = await kit.take(part);
      paths.push(...files.map(({ path }) => path));
      if (part.name === '"globals"') expect(snapshot.identity["database"]).toBe("globals");
      if (part !== parts[0] && part !== parts.at(-1)) expect(copied.breakdown).toEqual({ "public.t": 1 });
    }
    expect(new Set(paths).size).toBe(2 * parts.length - 1);
    expect(paths.slice(2)).toEqual([
      "postgres/%67lobals.dump",
      "postgres/%67lobals.sql",
      "postgres/we%22ird%20%27n%5Came%3D1.dump",
      "postgres/we%22ird%20%27n%5Came%3D1.sql",
      "postgres/%C3%9Cn%C3%AF%2F..%2Fx.dump",
      "postgres/%C3%9Cn%C3%AF%2F..%2Fx.sql",
      "postgres/globals.sql",
    ]);
  });

  it("are all of the server, without templates", async () => {
    const names = (await kit.parts(urlOf(NAMES[1]!), "all")).map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(["postgres", nameOf(database.url), NAMES[2], '"globals"']));
    expect(names[0]).toBe(NAMES[1]);
    expect(names.at(-1)).toBe("globals");
    expect(names.filter((name) => name === NAMES[1])).toHaveLength(1);
    expect(names.some((name) => name.startsWith("template"))).toBe(false);
  });

  it("give globals from a database with a name that libpq would take for a connection string", async () => {
    const globals = (await kit.parts(urlOf(NAMES[1]!))).at(-1)!;
    const { copied } = await kit.take(globals);
    expect(copied.counts["roles"]).toBeGreaterThan(0);
  });

  it("fail one by one when one is not there", async () => {
    const [there, missing] = await kit.parts(database.url, ["is not there"]);
    const error = await failure(kit.take(missing!));
    expect(error).toMatchObject({
      code: "not_found",
      hint: expect.stringContaining("OPSCTL_BACKUP_DATABASES"),
    });
    expect(error.message).toContain('has no database "is not there"');
    await kit.take(there!);
  });
});

async function client(url: string, database?: string) {
  const { hostname, port, username, password, pathname } = new URL(url);
  const connection = new pg.Client({
    host: hostname,
    port: Number(port),
    user: username,
    password,
    // not as a part of the URL: the driver does not decode all of it
    database: database ?? pathname.slice(1),
  });
  await connection.connect();
  return { query: (sql: string) => connection.query(sql), end: () => connection.end() };
}
