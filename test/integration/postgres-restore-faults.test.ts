/** What a restore of PostgreSQL refuses, survives and cleans up: on a real server. */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startPgbouncer } from "../../scripts/services/pgbouncer.ts";
import type { FileKind } from "../../src/backup/port.ts";
import type { RestoreFile } from "../../src/restore/port.ts";
import { askPostgres } from "../support/backup.ts";
import { testCall } from "../support/calls.ts";
import { failure } from "../support/postgres-migrations.ts";
import { postgresDatabase, type TestDatabase } from "../support/servers.ts";
import { toolsRunning } from "./postgres-backup-kit.ts";
import { nameOf, type Order, RestoreKit, type Restoring, urlOf } from "./postgres-restore-kit.ts";

const ROLE = `owner_${process.pid}`;
const USER = `plain_${process.pid}`;
const GONE = `gone_${process.pid}`;

/** For what takes long on a busy machine. */
const WAIT = { timeout: 20_000, interval: 20 };

const CONTENT = `
  CREATE EXTENSION vector;
  CREATE TABLE t (id int PRIMARY KEY, v vector(2));
  INSERT INTO t SELECT n, '[1,2]' FROM generate_series(1, 100) n;
  CREATE TABLE other (id int);
  ALTER TABLE other OWNER TO ${ROLE};
  CREATE FUNCTION slow() RETURNS int LANGUAGE plpgsql AS $$ BEGIN
    IF current_database() LIKE '%\\_\\_opsctl%' AND EXISTS (SELECT FROM pg_roles WHERE rolname = 'gate_' || split_part(current_database(), '__opsctl', 1))
    THEN PERFORM pg_sleep(60); END IF; RETURN 1; END $$;
  CREATE MATERIALIZED VIEW sums AS SELECT slow();`;

const kit = new RestoreKit();
let database: TestDatabase;
let name: string;
let order: Order;
let made = 0;

beforeAll(async () => {
  await askPostgres(
    kit.server,
    `CREATE ROLE ${ROLE}; CREATE ROLE ${USER} LOGIN PASSWORD 'x' CREATEDB; CREATE ROLE ${GONE}`,
  );
  database = await postgresDatabase();
  name = nameOf(database.url);
  await askPostgres(database.url, CONTENT);
  ({ order } = await kit.backup(database.url));
});
afterAll(async () => {
  await kit.stop();
  await database?.drop();
  for (const role of [ROLE, USER, GONE]) await askPostgres(kit.server, `DROP ROLE IF EXISTS ${role}`);
});

const fileOf = (kind: FileKind) => order.files.find((file) => file.kind === kind)!;
const rows = () => askPostgres(database.url, "SELECT count(*)::int AS count FROM t");
const isOpen = async () =>
  (
    await askPostgres(kit.server, `SELECT datallowconn AS open FROM pg_database WHERE datname = '${name}'`)
  )[0];

/** The file with other bytes in it. */
function changed(kind: FileKind, change: (text: string) => string): RestoreFile {
  const folder = join(kit.folder, `changed-${made++}`);
  mkdirSync(folder);
  const local = join(folder, "file");
  writeFileSync(local, Buffer.from(change(readFileSync(fileOf(kind).local, "latin1")), "latin1"));
  return { ...fileOf(kind), local };
}

const asUser = (url: string) => {
  const own = new URL(url);
  own.username = USER;
  own.password = "x";
  return own.href;
};

describe("a plan refuses", () => {
  const all = (from: string, to: string) => (text: string) => text.replaceAll(from, to);

  it.each<[string, FileKind, (text: string) => string, RegExp]>([
    ["an extension that is not there", "postgres-custom", all("vector", "vektor"), /does not have: vektor$/],
    ["one in a script", "postgres-plain", all("vector", "vektor"), /does not have: vektor$/],
    [
      "a newer dump",
      "postgres-plain",
      all("Dumped from database version 1", "Dumped from database version 9"),
      /is a dump of PostgreSQL 9\d, and the server at .* is version \d\d/,
    ],
    [
      "a script that was cut off",
      "postgres-plain",
      (text) => text.slice(0, text.indexOf("-- PostgreSQL database dump complete")),
      /postgres\/.*\.sql: the script does not end/,
    ],
    [
      "a dump that is none",
      "postgres-custom",
      () => "PGDMP",
      /postgres\/.*\.dump: pg_restore: error: .*end of file/,
    ],
    [
      "a tablespace that is not there, in a script",
      "postgres-plain",
      all("SET default_tablespace = '';", "SET default_tablespace = fast;"),
      /tablespaces that are not there or closed at .*: fast$/,
    ],
  ])("%s", async (_, kind, change, message) => {
    const part = await kit.restoring({ ...order, files: [changed(kind, change)] }).part();
    const error = await failure(part.plan(testCall()));
    expect(error.message).toMatch(message);
    expect(error.code).toBe(/cut|none/.test(_) ? "integrity" : "failed");
  });

  it.each<[string, (user: string) => string, string, RegExp]>([
    [
      "that cannot create databases",
      (user) => `ALTER ROLE ${user} NOCREATEDB`,
      "x",
      /may not create databases/,
    ],
    ["that cannot install an extension", () => "SELECT 1", "x", /may not create the extensions vector/],
  ])("a user %s", async (_, prepare, other, message) => {
    await askPostgres(kit.server, `ALTER ROLE ${USER} CREATEDB; ${prepare(USER)}`);
    const part = await kit.restoring({ ...order, url: asUser(kit.server), name: other || name }).part();
    const error = await failure(part.plan(testCall()));
    expect(error).toMatchObject({ code: "failed", hint: expect.any(String) });
    expect(error.message).toMatch(message);
    await askPostgres(kit.server, `ALTER ROLE ${USER} CREATEDB; REVOKE ${ROLE}, postgres FROM ${USER}`);
  });

  it("a pooler", async () => {
    const folder = mkdtempSync(join(tmpdir(), "opsctl-pgbouncer-"));
    // for root another user runs it
    chmodSync(folder, 0o711);
    const dir = join(folder, "session");
    const pooler = await startPgbouncer({ dir, upstream: database.url, mode: "session" });
    try {
      const url = new URL(kit.server);
      url.port = String(pooler.port);
      url.pathname = "/postgres";
      const error = await failure((await kit.restoring({ ...order, url: url.href }).part()).plan(testCall()));
      expect(error.message).toContain("connection pooler");
    } finally {
      await pooler.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe("a role that is missing", () => {
  const without = () => [
    changed("postgres-custom", (text) =>
      text.replaceAll(ROLE, GONE.padEnd(ROLE.length, "x").slice(0, ROLE.length)),
    ),
  ];

  it("may still come when the plan is made, and must be there when it is loaded", async () => {
    const part = await kit.restoring({ ...order, files: without() }).part();
    const plan = await part.plan(testCall());
    expect(plan.notes.join()).toMatch(/the roles gone_\S+ are missing: the part globals must bring them/);
    const error = await failure(part.prepare(testCall()));
    expect(error).toMatchObject({ code: "failed", message: expect.stringContaining("gone_") });
    await part.abandon(testCall());
  });

  it("does not keep a drill from looking at the rows", async () => {
    const restoring = kit.restoring({ ...order, files: without() });
    const drilled = await restoring.drill(kit.server);
    expect(drilled).toMatchObject({ loaded: true, problems: [], counts: order.expected!.counts });
    expect(drilled.notes.join()).toContain("without owners and privileges");
  });
});

describe("a script", () => {
  it.each([["\\! touch MARK"], ["\\unrestrict x"]])(
    "with the command %s is stopped there",
    async (command) => {
      const mark = join(kit.folder, `mark-${made++}`);
      const file = changed("postgres-plain", (text) =>
        text.replace("CREATE TABLE public.t ", `${command.replace("MARK", mark)}\nCREATE TABLE public.t `),
      );
      const part = await kit.restoring({ ...order, files: [file] }).part();
      const error = await failure(part.prepare(testCall()));
      expect(error).toMatchObject({
        code: "failed",
        message: expect.stringMatching(/backslash commands are restricted|unrestrict: wrong key/),
      });
      expect(existsSync(mark)).toBe(false);
      await part.abandon(testCall());
      expect(await rows()).toEqual([{ count: 100 }]);
    },
  );
});

describe("what is loaded", () => {
  it.each<[string, Order["expected"], RegExp]>([
    [
      "has too few rows",
      { counts: {}, breakdown: { "public.t": 101 } },
      /public\.t: it holds 100, and .* 101/,
    ],
    ["lacks a table", { counts: {}, breakdown: { "public.x": 0 } }, /public\.x: it is missing/],
    [
      "has too many tables",
      { counts: { tables: 1, rows: 100 }, breakdown: {} },
      /tables: it holds 2, and .* 1/,
    ],
  ])("and %s is never swapped", async (_, expected, message) => {
    const restoring = kit.restoring({ ...order, expected: expected! });
    const part = await restoring.part();
    const error = await failure(part.prepare(testCall()));
    expect(error.code).toBe("integrity");
    expect(error.message).toMatch(message);
    expect((await failure(part.swap(testCall()))).message).toContain("not whole");
    await (await restoring.part()).abandon(testCall());
    expect(await kit.beside(restoring.id)).toEqual([]);
  });
});

describe("killed while it loads", () => {
  /** The load stops in a view until it is killed. */
  async function loading(restoring: Restoring): Promise<{ error: Promise<Error>; pid: number }> {
    // there before the load begins, however quick that is
    const gate = `gate_${name}`;
    await askPostgres(kit.server, `CREATE ROLE ${gate}`);
    const error = failure((await restoring.part()).prepare(testCall()));
    const scratch = `${name}__opsctl_${restoring.id}`;
    const active = async () =>
      (
        await askPostgres(
          kit.server,
          `SELECT pid FROM pg_stat_activity WHERE datname = '${scratch}' AND query LIKE 'REFRESH%' AND state = 'active'`,
        )
      )[0]?.["pid"];
    try {
      await expect.poll(active, WAIT).toEqual(expect.any(Number));
      return { error, pid: Number(await active()) };
    } finally {
      // a load that begins anew goes on
      await askPostgres(kit.server, `DROP ROLE ${gate}`);
    }
  }

  it.each(["pg_restore", "backend"])("(%s) it fails, and begins anew", async (which) => {
    const restoring = kit.restoring(order);
    const { error, pid } = await loading(restoring);
    if (which === "backend") await askPostgres(kit.server, `SELECT pg_terminate_backend(${pid})`);
    else for (const tool of toolsRunning("pg_restore")) process.kill(tool, "SIGKILL");
    expect(await error).toMatchObject({ code: "failed", engine: "postgres" });
    const part = await restoring.part();
    await part.prepare(testCall());
    await part.swap(testCall());
    expect(await part.verify(testCall())).toMatchObject({ problems: [], counts: order.expected!.counts });
    await part.rollback(testCall());
    expect(await kit.beside(restoring.id)).toEqual([]);
  });

  it("(a server that stands still) it is unreachable", async () => {
    const restoring = kit.restoring({ ...order, limits: { queryMs: 1_000 } });
    const { error } = await loading(restoring);
    const ask = `SELECT pid FROM pg_stat_activity WHERE query LIKE '%pg_database_size(oid)%' AND pid <> pg_backend_pid()`;
    await expect.poll(() => askPostgres(kit.server, ask), WAIT).toHaveLength(1);
    const pid = Number((await askPostgres(kit.server, ask))[0]!["pid"]);
    process.kill(pid, "SIGSTOP");
    try {
      expect(await error).toMatchObject({ code: "unreachable", engine: "postgres" });
      expect(toolsRunning("pg_restore")).toEqual([]);
    } finally {
      process.kill(pid, "SIGCONT");
    }
    await (await restoring.part()).abandon(testCall());
    expect(await kit.beside(restoring.id)).toEqual([]);
  });
});

describe("killed while it swaps, with the live database closed", () => {
  async function killed(): Promise<Restoring> {
    const restoring = kit.restoring(order);
    await (await restoring.part()).prepare(testCall());
    const [live] = await askPostgres(
      kit.server,
      `SELECT oid::int AS oid FROM pg_database WHERE datname = '${name}'`,
    );
    restoring.saved = { ...restoring.saved, swapping: true, live: Number(live!["oid"]) };
    await askPostgres(kit.server, `ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
    return restoring;
  }

  it.each(["rollback", "abandon"] as const)("%s opens it", async (way) => {
    const restoring = await killed();
    await (await restoring.part())[way](testCall());
    expect(await isOpen()).toEqual({ open: true });
    expect(await kit.beside(restoring.id)).toEqual([]);
    expect(await rows()).toEqual([{ count: 100 }]);
  });

  it("a swap goes on", async () => {
    const restoring = await killed();
    await (await restoring.part()).swap(testCall());
    expect(await isOpen()).toEqual({ open: true });
    expect(await kit.beside(restoring.id)).toEqual([`${name}__opsctl_old_${restoring.id}`]);
    // forgets nothing while the live one is missing
    await askPostgres(kit.server, `ALTER DATABASE ${name} RENAME TO ${name}_away`);
    const error = await failure((await restoring.part()).forget(testCall()));
    expect(error.message).toContain("is the only copy that is left");
    await (await restoring.part()).rollback(testCall());
    expect(await rows()).toEqual([{ count: 100 }]);
    await askPostgres(kit.server, `DROP DATABASE ${name}_away`);
  });
});

describe("a user who owns his database, and is no superuser", () => {
  const own = `own_${process.pid}`;
  let url: string;
  let small: Order;

  beforeAll(async () => {
    await askPostgres(kit.server, `CREATE DATABASE ${own} OWNER ${USER}`);
    url = urlOf(kit.server, own);
    await askPostgres(
      url,
      `CREATE TABLE t (id int); INSERT INTO t VALUES (1); ALTER TABLE t OWNER TO ${USER}`,
    );
    await askPostgres(
      kit.server,
      `ALTER DATABASE ${own} SET search_path TO public; REVOKE CONNECT ON DATABASE ${own} FROM PUBLIC`,
    );
    ({ order: small } = await kit.backup(url));
  });
  afterAll(() => askPostgres(kit.server, `DROP DATABASE IF EXISTS ${own} WITH (FORCE)`));

  it("restores it; a session that he may not end keeps it as it is, and open", async () => {
    const restoring = kit.restoring({ ...small, url: asUser(url) });
    const part = await restoring.part();
    await part.plan(testCall());
    await part.prepare(testCall());
    const superuser = await kit.connect(url);
    const session = await superuser.lend(testCall());
    const error = await failure(part.swap(testCall()));
    expect(error).toMatchObject({ code: "failed", hint: expect.stringContaining("pg_signal_backend") });
    expect(await askPostgres(url, "SELECT id FROM t")).toEqual([{ id: 1 }]);
    session.release(true);
    await superuser.close();
    // that session is gone, and nothing is in the way
    await part.swap(testCall());
    expect(await part.verify(testCall())).toMatchObject({ problems: [] });
    await part.forget(testCall());
    expect(await kit.beside(restoring.id)).toEqual([]);
  });

  it("may restore neither over the database of another, nor objects of another", async () => {
    const over = await kit.restoring({ ...small, url: asUser(url), name }).part();
    expect((await failure(over.plan(testCall()))).message).toMatch(
      /may not rename the database .* belongs to "postgres"/,
    );
    await askPostgres(url, `ALTER TABLE t OWNER TO ${ROLE}`);
    const { order: foreign } = await kit.backup(url);
    const part = await kit.restoring({ ...foreign, url: asUser(url) }).part();
    expect((await failure(part.plan(testCall()))).message).toContain(
      `may not give objects to their owners ${ROLE}`,
    );
  });
});
