/** Drills of PostgreSQL, and the roles of a server. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sha256 } from "../../src/hash.ts";
import type { RestoreFile } from "../../src/restore/port.ts";
import { askPostgres } from "../support/backup.ts";
import { testCall } from "../support/calls.ts";
import { failure } from "../support/postgres-migrations.ts";
import { postgresDatabase, type TestDatabase } from "../support/servers.ts";
import { nameOf, type Order, RestoreKit } from "./postgres-restore-kit.ts";

const CONTENT = `
  CREATE TABLE t (id int PRIMARY KEY, text text);
  INSERT INTO t SELECT n, md5(n::text) FROM generate_series(1, 1000) n;
  CREATE TABLE second AS SELECT 1 AS one;
  SELECT lo_from_bytea(0, '\\x00');`;

const SWEPT = `swept_${process.pid}`;

const kit = new RestoreKit();
let database: TestDatabase;
let order: Order;
let live: unknown;

const databases = () =>
  askPostgres(
    kit.server,
    `SELECT datname FROM pg_database WHERE datname ~ '^(${nameOf(database.url)}|${SWEPT})__opsctl_drill'`,
  );
const state = () =>
  askPostgres(database.url, "SELECT datname, oid::int FROM pg_database WHERE datname = current_database()");

beforeAll(async () => {
  database = await postgresDatabase();
  await askPostgres(database.url, CONTENT);
  ({ order } = await kit.backup(database.url));
  live = await state();
});
afterAll(async () => {
  await kit.stop();
  await database?.drop();
});

function changed(file: RestoreFile, change: (text: string) => string): RestoreFile {
  const local = join(kit.folder, sha256(String(Math.random())));
  writeFileSync(local, Buffer.from(change(readFileSync(file.local, "latin1")), "latin1"));
  return { ...file, local };
}

describe("a drill", () => {
  it("loads a good dump, and leaves nothing", async () => {
    const restoring = kit.restoring(order);
    const drilled = await restoring.drill(database.url);
    expect(drilled).toMatchObject({ ...order.expected, loaded: true, problems: [] });
    expect(drilled.where).toContain(`${nameOf(database.url)}__opsctl_drill_${restoring.id} on `);
    expect(await databases()).toEqual([]);
    expect(await state()).toEqual(live);
  });

  it("reads the files to their end when there is no server", async () => {
    const drilled = await kit.restoring(order).drill(undefined);
    expect(drilled).toMatchObject({ loaded: false, problems: [], counts: { rows: 1001, large_objects: 1 } });
  });

  it.each<[string, (order: Order) => Partial<Order>, RegExp]>([
    [
      "other counts",
      () => ({ expected: { counts: { tables: 2 }, breakdown: { "public.t": 999 } } }),
      /public\.t: it holds 1000/,
    ],
    [
      "a row that contradicts the primary key",
      ({ files }) => ({
        files: [
          changed(files[0]!, (text) => text.replace("\n2\tc81e", "\n1\tc81e").replace("2\tc81e", "1\tc81e")),
        ],
      }),
      /could not create unique index/,
    ],
    [
      "a dump that is cut off",
      ({ files }) => ({ files: [changed(files[0]!, (text) => text.slice(0, -20_000))] }),
      /end of file/,
    ],
    [
      "a script that is cut off",
      ({ files }) => ({ files: [files[0]!, changed(files[1]!, (text) => text.slice(0, 5_000))] }),
      /\.sql: the script is cut off/,
    ],
    [
      "a script of another dump",
      ({ files }) => ({ files: [files[0]!, changed(files[1]!, (text) => text.replace(/^7\t.*\n/m, ""))] }),
      /\.sql: public\.t: it holds 999/,
    ],
  ])("finds %s", async (_, change, problem) => {
    const drilled = await kit.restoring({ ...order, ...change(order) }).drill(database.url);
    expect(drilled.problems.join("\n")).toMatch(problem);
    expect(await databases()).toEqual([]);
  });

  it("throws what the server is to blame for", async () => {
    const url = new URL(database.url);
    url.port = "1";
    expect(await failure(kit.restoring(order).drill(url.href))).toMatchObject({ code: "unreachable" });
  });

  it("sweeps what a killed one left, and nothing of one that runs", async () => {
    const holder = await kit.connect(kit.server.replace(/\/[^/]*$/, "/postgres"));
    const session = await holder.lend(testCall());
    await session.query("SELECT pg_advisory_lock(x'6f707364'::int, x'feedbeef'::int)");
    for (const id of ["deadbeef", "feedbeef"]) {
      await askPostgres(kit.server, `CREATE DATABASE ${SWEPT}__opsctl_drill_${id} TEMPLATE template0`);
    }
    await kit.restoring(order).drill(database.url);
    expect(await databases()).toEqual([{ datname: `${SWEPT}__opsctl_drill_feedbeef` }]);
    session.release(true);
    await expect
      .poll(() =>
        askPostgres(
          kit.server,
          "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND classid::bigint = x'6f707364'::int AND objid::bigint = x'feedbeef'::bigint",
        ),
      )
      .toEqual([]);
    await kit.restoring(order).drill(database.url);
    expect(await databases()).toEqual([]);
  });
});

describe("globals", () => {
  const [GROUP, MEMBER, KNOWN] = ["group", 'Mem"ber', "known"].map((word) => `${word} ${process.pid}`) as [
    string,
    string,
    string,
  ];
  const id = (name: string) => `"${name.replaceAll('"', '""')}"`;
  const SCRIPT = `--
-- PostgreSQL database cluster dump
--

SET default_transaction_read_only = off;

CREATE ROLE ${id(GROUP)};
ALTER ROLE ${id(GROUP)} WITH NOSUPERUSER INHERIT NOCREATEROLE CREATEDB NOLOGIN NOREPLICATION NOBYPASSRLS;
CREATE ROLE ${id(MEMBER)};
ALTER ROLE ${id(MEMBER)} WITH NOSUPERUSER INHERIT NOCREATEROLE NOCREATEDB LOGIN NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 7 VALID UNTIL '2031-01-01 00:00:00+00';
CREATE ROLE ${id(KNOWN)};
ALTER ROLE ${id(KNOWN)} WITH SUPERUSER INHERIT CREATEROLE CREATEDB LOGIN REPLICATION BYPASSRLS;
ALTER ROLE ${id(MEMBER)} SET work_mem TO '7MB';
GRANT ${id(GROUP)} TO ${id(MEMBER)} WITH ADMIN OPTION GRANTED BY postgres;
GRANT ${id(GROUP)} TO ${id(KNOWN)} GRANTED BY postgres;

--
-- PostgreSQL database cluster dump complete
--
`;
  const roles = () =>
    askPostgres(
      kit.server,
      `SELECT rolname, rolsuper, rolcreatedb, rolcanlogin, rolconnlimit, rolvaliduntil::date::text AS until, rolconfig::text AS config,
        (SELECT string_agg(roleid::regrole::text || admin_option, ',') FROM pg_auth_members WHERE member = r.oid) AS groups
       FROM pg_roles r WHERE rolname LIKE '% ${process.pid}' ORDER BY rolname`,
    );

  afterAll(async () => {
    for (const name of [MEMBER, KNOWN, GROUP])
      await askPostgres(kit.server, `DROP ROLE IF EXISTS ${id(name)}`);
  });

  it("make the roles that are missing, and leave the others as they are", async () => {
    await askPostgres(kit.server, `CREATE ROLE ${id(KNOWN)}`);
    const local = join(kit.folder, "globals.sql");
    writeFileSync(local, SCRIPT);
    const file: RestoreFile = {
      path: "postgres/globals.sql",
      kind: "postgres-globals",
      size_bytes: SCRIPT.length,
      local,
    };
    const part = await kit.restoring({ url: database.url, name: "globals", files: [file] }).part();
    expect(part.isFirst).toBe(true);
    expect(await part.plan(testCall())).toMatchObject({
      undo: "none",
      how: `creates the missing roles ${GROUP}, ${MEMBER}`,
    });
    await part.prepare(testCall());
    const expected = [
      {
        rolname: GROUP,
        rolsuper: false,
        rolcreatedb: true,
        rolcanlogin: false,
        rolconnlimit: -1,
        until: null,
        config: null,
        groups: null,
      },
      {
        rolname: KNOWN,
        rolsuper: false,
        rolcreatedb: false,
        rolcanlogin: false,
        rolconnlimit: -1,
        until: null,
        config: null,
        groups: null,
      },
      {
        rolname: MEMBER,
        rolsuper: false,
        rolcreatedb: false,
        rolcanlogin: true,
        rolconnlimit: 7,
        until: "2031-01-01",
        config: "{work_mem=7MB}",
        groups: `${id(GROUP)}true`,
      },
    ];
    const byName = (a: { rolname?: unknown }, b: { rolname?: unknown }) =>
      String(a.rolname) < String(b.rolname) ? -1 : 1;
    expect((await roles()).toSorted(byName)).toEqual(expected.toSorted(byName));
    expect(await part.swap(testCall())).toMatchObject({ how: "2 roles were created", notes: [] });
    await part.prepare(testCall());
    expect(await part.verify(testCall())).toMatchObject({ counts: { roles: 3 }, problems: [], notes: [] });
  });
});
