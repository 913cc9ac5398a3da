import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connectPostgres, type PostgresConnection } from "../../src/engines/postgres/connect.ts";
import { postgresMigrations } from "../../src/engines/postgres/migrations.ts";
import { splitSql } from "../../src/engines/postgres/split.ts";
import type { OpsError } from "../../src/errors.ts";
import { shippedMigrations } from "../../src/migrate/files.ts";
import type { Migration } from "../../src/migrate/port.ts";
import { applySets } from "../../src/migrate/runner.ts";
import { setsOf } from "../../src/migrate/sets.ts";
import { testCall } from "../support/calls.ts";
import { postgresDatabase, type TestDatabase } from "../support/servers.ts";

const LIMITS = { connectMs: 5000, queryMs: 20_000, poolSize: 2 };
const SETS = setsOf("postgres");
const suffix = randomBytes(4).toString("hex");

let base: TestDatabase;
let admin: PostgresConnection;
const opened: PostgresConnection[] = [];

beforeAll(async () => {
  base = await postgresDatabase();
  admin = await open({});
});
afterAll(async () => {
  for (const connection of opened) await connection.close();
  await base?.drop();
});

function urlOf(change: { database?: string; user?: string; password?: string }): URL {
  const url = new URL(base.url);
  if (change.database) url.pathname = `/${change.database}`;
  if (change.user) url.username = change.user;
  if (change.password) url.password = change.password;
  return url;
}

async function open(change: Parameters<typeof urlOf>[0]): Promise<PostgresConnection> {
  const url = urlOf(change).href;
  const connection = await connectPostgres({ engine: "postgres", url, shown: "", identity: "" }, LIMITS);
  opened.push(connection);
  return connection;
}

const sql = (text: string, connection = admin) => connection.query(testCall(), text);

/** Runs `work` with the name of a database that does not exist yet, and drops it afterwards. */
async function withNewName(work: (name: string) => Promise<void>): Promise<void> {
  const name = `new_${randomBytes(5).toString("hex")}`;
  try {
    await work(name);
  } finally {
    for (const connection of opened.splice(1)) await connection.close();
    await sql(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
  }
}

async function withUser(options: string, work: (user: string) => Promise<void>): Promise<void> {
  const user = `user_${suffix}_${randomBytes(3).toString("hex")}`;
  await sql(`CREATE ROLE ${user} LOGIN PASSWORD 'u' ${options}`);
  try {
    await work(user);
  } finally {
    for (const connection of opened.splice(1)) await connection.close();
    await sql(`DROP OWNED BY ${user}`);
    await sql(`DROP ROLE ${user}`);
  }
}

const migration = (text: string, version = "V001"): Migration => ({
  set: "test",
  version,
  seq: Number(version.slice(1)),
  file: `${version}-test-up.sql`,
  description: "test",
  checksum: "sha256:0",
  text,
});

const rowOf = ({ set, version, seq, file, description, checksum }: Migration) => {
  const fields = { applied_by: "t@h", applied_at: 1, tool_version: "0" };
  return { set_name: set, version, seq, file, description, checksum, ...fields };
};

const failure = (work: Promise<unknown>): Promise<OpsError> =>
  work.then(
    () => Promise.reject(new Error("it did not fail")),
    (error) => error,
  );

describe("PostgreSQL: init", () => {
  it("plans, creates database, extensions and sets, and changes nothing the second time", async () => {
    await withNewName(async (name) => {
      const connection = await open({ database: name });
      const target = postgresMigrations(connection);
      expect(await target.history(testCall())).toEqual([]);
      const changes = [
        { name: `database ${name}`, before: null, after: "created" },
        { name: "extension pg_trgm", before: null, after: "created" },
        { name: "extension vector", before: null, after: "created" },
      ];
      const plan = await applySets(testCall(), target, SETS, true);
      expect(plan.changes).toEqual(changes);
      expect(plan.sets.map((set) => set.state)).toEqual(["planned", "planned"]);
      expect(plan.statements.length).toBeGreaterThan(10);
      expect(await target.history(testCall())).toEqual([]);

      const first = await applySets(testCall(), target, SETS, false);
      expect(first.changes).toEqual(changes);
      expect(first.sets).toMatchObject([
        {
          set: "memory",
          state: "applied",
          counts: { records: 0, events: 0, agents: 0, terms: 0, indexes: 11 },
        },
        { set: "vectors", state: "applied", counts: { embeddings: 0 } },
      ]);
      const second = await applySets(testCall(), target, SETS, false);
      expect(second.changes).toEqual([]);
      expect(second.sets.map((set) => set.state)).toEqual(["unchanged", "unchanged"]);
      expect(await target.history(testCall())).toMatchObject([
        { set_name: "memory", version: "V001", seq: 1, state: "applied", applied_by: "tester@host" },
        { set_name: "vectors", version: "V001", seq: 1, state: "applied" },
      ]);
    });
  });

  it("lets several start at once on a server without the database", async () => {
    await withNewName(async (name) => {
      const targets = [];
      for (let n = 0; n < 4; n++) targets.push(postgresMigrations(await open({ database: name })));
      const reports = await Promise.all(targets.map((target) => applySets(testCall(), target, SETS, false)));
      const applied = reports.flatMap((report) => report.sets).filter((set) => set.state === "applied");
      expect(applied).toHaveLength(2);
      expect(reports.flatMap((report) => report.changes).map((change) => change.name)).toHaveLength(3);
    });
  });

  it("says what a user without rights cannot do", async () => {
    await withUser("NOCREATEDB", async (user) => {
      const connection = await open({ database: "not_there", user, password: "u" });
      for (const dryRun of [true, false]) {
        const error = await failure(postgresMigrations(connection).prepare(testCall(), ["memory"], dryRun));
        expect(error).toMatchObject({ code: "failed", hint: expect.stringContaining("CREATE DATABASE") });
      }
      const here = postgresMigrations(await open({ user, password: "u" }));
      expect(await here.unavailable(testCall(), "vectors")).toContain("may not create the extension");
      expect(await here.unavailable(testCall(), "memory")).toBeNull();
      // neither lock nor table is needed to read the history
      expect(await here.history(testCall())).toEqual([]);
    });
  });

  it("applies the memory without pg_trgm, where it cannot be had", async () => {
    await withUser("", async (user) => {
      await sql(`CREATE SCHEMA ${user} AUTHORIZATION ${user}`);
      const connection = await open({ user, password: "u" });
      const report = await applySets(testCall(), postgresMigrations(connection), SETS.slice(0, 1), false);
      expect(report.changes).toEqual([]);
      expect(report.sets[0]).toMatchObject({ state: "applied", counts: { indexes: 10 } });
    });
  });

  it("ships files that plain psql runs", async () => {
    await withNewName(async (name) => {
      await sql(`CREATE DATABASE ${name}`);
      for (const { set } of SETS) {
        for (const { text } of shippedMigrations("postgres", set)) {
          const args = ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-", urlOf({ database: name }).href];
          execFileSync("psql", args, { input: text, stdio: ["pipe", "pipe", "pipe"] });
        }
      }
      const rows = await sql(
        "SELECT count(*) AS n FROM memori_embeddings, memori_statistics",
        await open({ database: name }),
      );
      expect(rows).toEqual([{ n: 0 }]);
    });
  });
});

describe("PostgreSQL: migrations", () => {
  it("keeps nothing of a file that fails, and names its line", async () => {
    const target = postgresMigrations(admin);
    await target.prepare(testCall(), [], false);
    const broken = migration("CREATE TABLE half (a int);\n\nCREATE TABEL other (a int);");
    const error = await failure(target.apply(testCall(), broken, rowOf(broken)));
    expect(error.code).toBe("failed");
    expect(error.message).toContain("test/V001-test-up.sql line 3: syntax error");
    expect(await sql("SELECT to_regclass('half') AS half")).toEqual([{ half: null }]);
    expect((await target.history(testCall())).filter((row) => row.set_name === "test")).toEqual([]);
  });

  it("keeps values out of the error and settings out of later queries", async () => {
    const target = postgresMigrations(admin);
    await target.prepare(testCall(), [], false);
    const secret = migration("CREATE TABLE t (a int UNIQUE); INSERT INTO t SELECT 'canary'::text::int");
    const error = await failure(target.apply(testCall(), secret, rowOf(secret)));
    expect(error.message).toContain("SQLSTATE 22P02");
    expect(`${error.message}${error.stack}${error.hint}`).not.toContain("canary");
    const good = migration(
      "CREATE SCHEMA elsewhere; SET search_path = elsewhere; CREATE TABLE t (a int);",
      "V002",
    );
    await target.apply(testCall(), good, rowOf(good));
    expect((await target.history(testCall())).find((row) => row.version === "V002")?.state).toBe("applied");
    expect(await sql("SHOW search_path")).not.toEqual([{ search_path: "elsewhere" }]);
  });

  it("lets one runner work at a time and names the one who does", async () => {
    const [one, two] = [postgresMigrations(admin), postgresMigrations(await open({}))];
    await one.exclusively(testCall(), async () => {
      const startedAt = performance.now();
      const error = await failure(two.exclusively(testCall(1500), async () => {}));
      expect(error.code).toBe("locked");
      expect(error.message).toMatch(/backend \d+ \(opsctl, for \d+ s\)/);
      expect(performance.now() - startedAt).toBeLessThan(2000);
    });
    expect(await two.exclusively(testCall(), async () => "done")).toBe("done");
    await expect(
      one.exclusively(testCall(), () => Promise.reject(new Error("of the work"))),
    ).rejects.toThrow();
    expect(await two.exclusively(testCall(), async () => "again")).toBe("again");
  });

  it("applies nothing more once the connection with the lock is gone", async () => {
    const target = postgresMigrations(await open({}));
    const late = migration("CREATE TABLE late (a int)", "V003");
    const error = await failure(
      target.exclusively(testCall(), async () => {
        await sql(
          `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND database =
             (SELECT oid FROM pg_database WHERE datname = current_database())`,
        );
        await target.apply(testCall(), late, rowOf(late));
      }),
    );
    expect(error.message).toContain("migration lock");
    expect(await sql("SELECT to_regclass('late') AS late")).toEqual([{ late: null }]);
  });
});

describe("PostgreSQL: statements of a script", () => {
  it("splits at semicolons outside quotes, dollar quotes and nested comments", () => {
    const script = `-- a; comment
SELECT 'it''s; fine', E'back\\'; slash', "odd;name"; /* one ; /* two ; */ three ; */
CREATE FUNCTION f() RETURNS int AS $body$ BEGIN RETURN 1; END $body$ LANGUAGE plpgsql;
DO $$ BEGIN PERFORM $1$;$1$; END $$;
SELECT a$b$c FROM t;;
SELECT 1 -- the end`;
    expect(splitSql(script)).toEqual([
      `SELECT 'it''s; fine', E'back\\'; slash', "odd;name"`,
      "CREATE FUNCTION f() RETURNS int AS $body$ BEGIN RETURN 1; END $body$ LANGUAGE plpgsql",
      "DO $$ BEGIN PERFORM $1$;$1$; END $$",
      "SELECT a$b$c FROM t",
      "SELECT 1",
    ]);
  });

  it("survives scripts that end in the middle of something", () => {
    for (const open of ["'", '"', "E'\\", "$$", "$a$", "/*", "/* /* */", "--"]) {
      expect(splitSql(`SELECT 1; SELECT ${open} x`)[0]).toBe("SELECT 1");
    }
  });

  it("splits the shipped files into what they hold", () => {
    const statements = SETS.flatMap(({ set }) => shippedMigrations("postgres", set)).flatMap(({ text }) =>
      splitSql(text),
    );
    expect(statements.every((statement) => /^(CREATE|INSERT|DO) /.test(statement))).toBe(true);
  });
});
