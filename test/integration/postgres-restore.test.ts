/** Restores of PostgreSQL databases on a real server. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { askPostgres } from "../support/backup.ts";
import { testCall } from "../support/calls.ts";
import { failure } from "../support/postgres-migrations.ts";
import { postgresDatabase, type TestDatabase } from "../support/servers.ts";
import { nameOf, type Order, Poller, RestoreKit } from "./postgres-restore-kit.ts";

const ROLE = `restore_${process.pid}`;
const READER = `Re"ader ${process.pid}`;
const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;

/** What names, values and objects can be. */
const CONTENT = `
  CREATE EXTENSION vector;
  CREATE SCHEMA "My Schema" AUTHORIZATION ${ROLE};
  CREATE TABLE "My Schema"."Ta""ble" (a text);
  INSERT INTO "My Schema"."Ta""ble" VALUES (E'a\\tb\\nc\\\\d'), ('\\.'), (NULL), ('');
  CREATE SEQUENCE counter;
  SELECT setval('counter', 4711);
  CREATE TABLE items (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, doc jsonb, near vector(3), bytes bytea);
  INSERT INTO items (doc, near, bytes) SELECT jsonb_build_object('n', n), '[1,2,3]', decode(md5(n::text), 'hex') FROM generate_series(1, 500) n;
  CREATE INDEX items_near ON items USING hnsw (near vector_l2_ops);
  ALTER TABLE items OWNER TO ${ROLE};
  GRANT SELECT ON items TO ${quoted(READER)};
  CREATE TABLE parts (at date, v int) PARTITION BY RANGE (at);
  CREATE TABLE parts_a PARTITION OF parts FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
  INSERT INTO parts SELECT date '2025-01-01' + n, n FROM generate_series(0, 99) n;
  CREATE TABLE old_rows (v int);
  INSERT INTO old_rows VALUES (-1);
  ALTER TABLE old_rows ADD CONSTRAINT positive CHECK (v > 0) NOT VALID;
  CREATE VIEW all_parts AS SELECT * FROM parts;
  CREATE MATERIALIZED VIEW sums AS SELECT count(*) FROM parts;
  CREATE FUNCTION double_of(i int) RETURNS int LANGUAGE sql AS $$ SELECT '
GRANT ALL ON nothing TO nobody_of_this_name;
' IS NULL; SELECT 2 * i $$;
  CREATE TRIGGER same BEFORE UPDATE ON items FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
  ALTER TABLE items ENABLE ROW LEVEL SECURITY;
  CREATE POLICY own ON items FOR SELECT TO ${quoted(READER)} USING (id > 0);
  SELECT lo_from_bytea(4242, '\\x5c2e0a');`;

/** Everything above, in one row. */
const DIGEST = `SELECT (SELECT md5(string_agg(i::text, ',' ORDER BY id)) FROM items i) AS items,
  (SELECT md5(string_agg(coalesce(t::text, '-'), ',' ORDER BY t)) FROM "My Schema"."Ta""ble" t) AS texts,
  (SELECT last_value FROM counter)::int AS counter, double_of(21) AS twice, (SELECT count FROM sums)::int AS sums,
  (SELECT count(*)::int FROM all_parts) AS parts, encode(lo_get(4242), 'hex') AS object,
  (SELECT relowner::regrole::text || relacl::text FROM pg_class WHERE relname = 'items') AS access,
  (SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'My Schema') AS schema_owner,
  (SELECT string_agg(indexdef || indexname, ',' ORDER BY indexname) FROM pg_indexes WHERE schemaname = 'public') AS indexes,
  (SELECT string_agg(pg_get_triggerdef(oid), ',') FROM pg_trigger WHERE NOT tgisinternal) AS triggers,
  (SELECT string_agg(p::text, ',') FROM pg_policies p) AS policies,
  (SELECT string_agg(pg_get_constraintdef(oid), ',' ORDER BY conname) FROM pg_constraint WHERE connamespace = 'public'::regnamespace) AS constraints,
  (SELECT count(*)::int FROM pg_stats WHERE tablename = 'items' AND attname = 'doc') AS statistics`;

/** What belongs to the database itself. */
const PROPERTIES = (
  name: string,
) => `SELECT pg_get_userbyid(datdba) AS owner, datconnlimit AS connections, datallowconn AS open, datistemplate AS template, datcollate,
  shobj_description(oid, 'pg_database') AS comment,
  (SELECT string_agg(a, ',' ORDER BY a) FROM (SELECT concat_ws('/', CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END, privilege_type, is_grantable) AS a FROM aclexplode(datacl)) x) AS acl,
  (SELECT string_agg(setrole::regrole::text || setconfig::text, ',' ORDER BY setrole) FROM pg_db_role_setting WHERE setdatabase = d.oid) AS settings
  FROM pg_database d WHERE datname = '${name}'`;

const kit = new RestoreKit();
let database: TestDatabase;
let name: string;
let order: Order;

beforeAll(async () => {
  await askPostgres(kit.server, `CREATE ROLE ${ROLE} CREATEDB; CREATE ROLE ${quoted(READER)}`);
  database = await postgresDatabase();
  name = nameOf(database.url);
  await askPostgres(database.url, CONTENT);
  await askPostgres(database.url, "ANALYZE");
  await askPostgres(
    kit.server,
    `ALTER DATABASE ${name} OWNER TO ${ROLE}; ALTER DATABASE ${name} CONNECTION LIMIT 77 IS_TEMPLATE true;
     REVOKE ALL ON DATABASE ${name} FROM PUBLIC; GRANT CONNECT ON DATABASE ${name} TO ${quoted(READER)} WITH GRANT OPTION;
     ALTER DATABASE ${name} SET search_path TO "My Schema", "$user", public; ALTER DATABASE ${name} SET my.text TO 'it''s, "so"';
     ALTER DATABASE ${name} SET work_mem TO '5MB'; ALTER ROLE ${ROLE} IN DATABASE ${name} SET lock_timeout TO '9s';
     COMMENT ON DATABASE ${name} IS 'it''s live'`,
  );
  ({ order } = await kit.backup(database.url));
});
afterAll(async () => {
  await kit.stop();
  await askPostgres(kit.server, `ALTER DATABASE ${name} IS_TEMPLATE false`);
  await database?.drop();
  await askPostgres(kit.server, `DROP ROLE IF EXISTS ${ROLE}; DROP ROLE IF EXISTS ${quoted(READER)}`);
});

const digest = async (url: string) =>
  (await askPostgres(url, DIGEST.replaceAll("items i)", "public.items i)")))[0]!;
const properties = async (of = name) => (await askPostgres(kit.server, PROPERTIES(of)))[0]!;

describe("a restore over a live database", () => {
  let truth: Record<string, unknown>;
  let own: Record<string, unknown>;

  beforeEach(async () => {
    truth ??= await digest(database.url);
    own ??= await properties();
  });

  it.each([["postgres-custom"], ["postgres-plain"]] as const)(
    "brings all of it back from %s, keeps what was there, and goes back",
    async (kind) => {
      const restoring = kit.restoring({ ...order, files: order.files.filter((file) => file.kind === kind) });
      await askPostgres(
        database.url,
        "CREATE TABLE public.since AS SELECT 1 AS one; DELETE FROM public.items WHERE id > 10",
      );
      const changed = await digest(database.url);
      const plan = await (await restoring.part()).plan(testCall());
      expect(plan).toMatchObject({ undo: "kept", overwrites: expect.stringMatching(/^6 tables, \d+ kB$/) });
      const prepared = await restoring.part();
      await prepared.prepare(testCall());
      await prepared.requireWayBack(testCall());
      expect(prepared.isTouched).toBe(false);
      expect(await digest(database.url)).toEqual(changed);
      expect(await kit.beside(restoring.id)).toEqual([`${name}__opsctl_${restoring.id}`]);

      const swapped = await (await restoring.part()).swap(testCall());
      expect(swapped.outage_ms).toBeGreaterThan(0);
      expect(await digest(database.url)).toEqual(truth);
      expect(await properties()).toEqual(own);
      const found = await (await restoring.part()).verify(testCall());
      expect(found).toMatchObject({ ...order.expected, problems: [] });
      expect(await kit.beside(restoring.id)).toEqual([`${name}__opsctl_old_${restoring.id}`]);
      // again, as after a kill that lost the answer
      await (await restoring.part()).swap(testCall());
      expect(await digest(database.url)).toEqual(truth);

      const touched = await restoring.part();
      expect(touched.isTouched).toBe(true);
      await touched.requireWayBack(testCall());
      await touched.rollback(testCall());
      expect(touched.isTouched).toBe(false);
      expect(await digest(database.url)).toEqual(changed);
      expect(await properties()).toEqual(own);
      expect(await kit.beside(restoring.id)).toEqual([]);
      await (await restoring.part()).rollback(testCall());
      await askPostgres(database.url, "DROP TABLE public.since");
    },
  );

  it("forgets what was there before when it is told to", async () => {
    const restoring = kit.restoring(order);
    const part = await restoring.part();
    await part.prepare(testCall());
    await part.swap(testCall());
    await part.forget(testCall());
    expect(await kit.beside(restoring.id)).toEqual([]);
    expect(await digest(database.url)).toEqual(truth);
    const gone = { code: "failed", message: expect.stringContaining(`_old_${restoring.id}") is gone`) };
    expect(await failure(part.requireWayBack(testCall()))).toMatchObject(gone);
    expect(await failure(part.rollback(testCall()))).toMatchObject(gone);
  });

  it("swaps under readers that connect again and again", async () => {
    const restoring = kit.restoring(order);
    const part = await restoring.part();
    await askPostgres(database.url, "UPDATE public.old_rows SET v = 2");
    const readers = Array.from(
      { length: 4 },
      () => new Poller(database.url, "SELECT v FROM public.old_rows", 1),
    );
    const idle = new Poller(database.url, "SELECT v FROM public.old_rows", 10);
    await expect.poll(() => idle.answers.length, { timeout: 20_000 }).toBe(1);
    await part.prepare(testCall());
    await part.swap(testCall());
    const swapped = [[{ v: 2 }], [{ v: -1 }]];
    for (const reader of [idle, ...readers])
      await expect.poll(() => reader.answers, { timeout: 20_000 }).toEqual(swapped);
    await part.rollback(testCall());
    for (const reader of [idle, ...readers]) {
      await expect.poll(() => reader.answers, { timeout: 20_000 }).toEqual([...swapped, [{ v: 2 }]]);
      await reader.stop();
    }
  });
});

it.each(["postgres", "template0", "template1"])("does not replace %s", async (server) => {
  const part = await kit.restoring({ ...order, name: server }).part();
  expect(await failure(part.plan(testCall()))).toMatchObject({
    code: "usage",
    hint: expect.stringContaining("--target-db"),
  });
});

it("tells of databases that other restores left", async () => {
  const [left, kept] = [`${name}__opsctl_0011aabb`, `${name}__opsctl_old_0011aabb`];
  for (const one of [left, kept]) await askPostgres(kit.server, `CREATE DATABASE ${one} TEMPLATE template0`);
  try {
    const { notes } = await (await kit.restoring(order).part()).plan(testCall());
    expect(notes).toContainEqual(expect.stringContaining(`DROP DATABASE "${left}"`));
    expect(notes.join()).not.toContain(kept);
  } finally {
    for (const one of [left, kept]) await askPostgres(kit.server, `DROP DATABASE ${one}`);
  }
});

describe("a restore where nothing is", () => {
  it("makes the database, under another name too, and takes it away again", async () => {
    const other = `we"ird 'n\\ame=${process.pid} ${"ü".repeat(18)}`;
    const restoring = kit.restoring({ ...order, name: other });
    const part = await restoring.part();
    expect(await part.plan(testCall())).toMatchObject({ undo: "empty", overwrites: "nothing" });
    await part.prepare(testCall());
    await part.swap(testCall());
    expect(await part.verify(testCall())).toMatchObject({ ...order.expected, problems: [] });
    expect(await kit.beside(restoring.id)).toEqual([]);
    const rows = await askPostgres(
      kit.server,
      "SELECT datname FROM pg_database WHERE datname LIKE 'we\"ird%'",
    );
    expect(rows).toEqual([{ datname: other }]);
    await (await restoring.part()).rollback(testCall());
    expect(await askPostgres(kit.server, "SELECT 1 FROM pg_database WHERE datname LIKE 'we\"ird%'")).toEqual(
      [],
    );
  });
});
