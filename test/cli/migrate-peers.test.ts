/**
 * Layouts of other tools: applied as they are, adopted from the tool's own table, rolled back. dbmate runs itself; golang-migrate and diesel are
 * no npm packages, so their tables are made here as their sources make them.
 */
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Sandbox } from "../support/cli.ts";
import { dbmate, layFiles, type SharedDatabase, sharedDatabase } from "../support/peers.ts";

type Engine = SharedDatabase["engine"];
const ENGINES: Engine[] = ["postgres", "sqlite"];

let sandbox: Sandbox;
let database: SharedDatabase;
afterEach(async () => {
  await database.drop();
  sandbox.remove();
});

/** An index that PostgreSQL makes only outside a transaction. */
const indexOf = (engine: Engine, name: string, on: string) =>
  `CREATE INDEX ${engine === "postgres" ? "CONCURRENTLY " : ""}${name} ON ${on};\n`;

/** Files of the first two versions, and of a third that comes later. */
interface Layout {
  applied: Record<string, string>;
  next: Record<string, string>;
}

const LAYOUTS: Record<"dbmate" | "golang-migrate" | "diesel", (engine: Engine) => Layout> = {
  dbmate: (engine) => ({
    applied: {
      "20240101000000_users.sql":
        "-- migrate:up\nCREATE TABLE users (id int);\n-- migrate:down\nDROP TABLE users;\n",
      "20240102000000_users_id.sql": `-- migrate:up transaction:false\n${indexOf(engine, "users_id", "users (id)")}\n-- migrate:down\nDROP INDEX users_id;\n`,
    },
    next: {
      "20240103000000_posts.sql":
        "-- migrate:up\nCREATE TABLE posts (id int);\n-- migrate:down\nDROP TABLE posts;\n",
    },
  }),
  "golang-migrate": () => ({
    applied: {
      "000001_users.up.sql": "CREATE TABLE users (id int);",
      "000001_users.down.sql": "DROP TABLE users;",
      "000002_users_id.up.sql": "BEGIN;\nCREATE INDEX users_id ON users (id);\nCOMMIT;\n",
      "000002_users_id.down.sql": "BEGIN;\nDROP INDEX users_id;\nCOMMIT;\n",
      "embed.go": "package migrations\n",
    },
    next: {
      "000003_posts.up.sql": "CREATE TABLE posts (id int);",
      "000003_posts.down.sql": "DROP TABLE posts;",
    },
  }),
  diesel: (engine) => ({
    applied: {
      "2024-01-01-000000_users/up.sql": "CREATE TABLE users (id int);",
      "2024-01-01-000000_users/down.sql": "DROP TABLE users;",
      "2024-01-02-000000-0000_users_id/up.sql": indexOf(engine, "users_id", "users (id)"),
      "2024-01-02-000000-0000_users_id/down.sql": "DROP INDEX users_id;",
      "2024-01-02-000000-0000_users_id/metadata.toml": "run_in_transaction = false\n",
    },
    next: {
      "2024-01-03-000000-0000_posts/up.sql": "CREATE TABLE posts (id int);",
      "2024-01-03-000000-0000_posts/down.sql": "DROP TABLE posts;",
    },
  }),
};

/** Versions of the layouts, as opsctl names them. */
const VERSIONS = {
  dbmate: ["20240101000000", "20240102000000", "20240103000000"],
  "golang-migrate": ["000001", "000002", "000003"],
  diesel: ["20240101000000", "202401020000000000", "202401030000000000"],
} as const;

/** What the two versions make, when a tool that is not here has applied them. */
const BY_HAND = "CREATE TABLE users (id int); CREATE INDEX users_id ON users (id);";

/** The tools' own tables and rows after two versions. */
const TABLES: Record<"golang-migrate" | "diesel", Record<Engine, string>> = {
  "golang-migrate": {
    // golang-migrate/migrate, database/postgres/postgres.go, ensureVersionTable and SetVersion
    postgres: `CREATE TABLE IF NOT EXISTS "public"."schema_migrations" (version bigint not null primary key, dirty boolean not null);
      INSERT INTO "public"."schema_migrations" (version, dirty) VALUES (2, false)`,
    // golang-migrate/migrate, database/sqlite3/sqlite3.go, the same functions
    sqlite: `CREATE TABLE IF NOT EXISTS schema_migrations (version uint64,dirty bool);
      CREATE UNIQUE INDEX IF NOT EXISTS version_unique ON schema_migrations (version);
      INSERT INTO schema_migrations (version, dirty) VALUES (2, false)`,
  },
  diesel: {
    // diesel-rs/diesel, diesel/src/migration/setup_migration_table.sql, for both
    postgres: `CREATE TABLE IF NOT EXISTS __diesel_schema_migrations (
       version VARCHAR(50) PRIMARY KEY NOT NULL, run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP);
      INSERT INTO __diesel_schema_migrations (version) VALUES ('20240101000000'), ('202401020000000000')`,
    sqlite: `CREATE TABLE IF NOT EXISTS __diesel_schema_migrations (
       version VARCHAR(50) PRIMARY KEY NOT NULL, run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP);
      INSERT INTO __diesel_schema_migrations (version) VALUES ('20240101000000'), ('202401020000000000')`,
  },
};

const folder = () => join(sandbox.cwd, "db");
const args = (verb: string, ...more: string[]) => [
  "migrate",
  verb,
  database.engine,
  ...more,
  "--dir",
  "db",
  ...database.flags,
];
const opsctl = (contract: string, code: number, verb: string, ...more: string[]) =>
  sandbox.json(contract, args(verb, ...more), { env: database.env, code });
const refused = async (verb: string, ...more: string[]) => {
  const { code, stderr } = await sandbox.run(args(verb, ...more), { env: database.env });
  return { code, stderr };
};
const files = ({ engines }: Record<string, { files: { file: string }[] }[]>) =>
  engines![0]!.files.map(({ file }) => file);
const history = async (table: string) => database.query(`SELECT * FROM ${table} ORDER BY version`);
/** Which of the things that the layouts make are there. */
async function made(): Promise<string[]> {
  const listing =
    database.engine === "postgres"
      ? "SELECT relname AS name FROM pg_class"
      : "SELECT name FROM sqlite_schema";
  const rows = await database.query(
    `${listing} WHERE ${database.engine === "postgres" ? "relname" : "name"} IN ('users', 'users_id', 'posts') ORDER BY 1`,
  );
  return rows.map(({ name }) => String(name));
}

describe.each(ENGINES)("%s", (engine) => {
  beforeEach(async () => {
    sandbox = new Sandbox({ shared: true });
    database = await sharedDatabase(engine, sandbox);
  });

  test.each(["dbmate", "golang-migrate", "diesel"] as const)(
    "%s: applied as it is on an empty database, and rolled back",
    async (format) => {
      const { applied, next } = LAYOUTS[format](engine);
      layFiles(folder(), { ...applied, ...next });
      const up = await opsctl("migrate up", 0, "up");
      expect(up).toMatchObject({ engines: [{ format, status: "migrated" }] });
      expect(up["engines"][0].files.map((file: { version: string }) => file.version)).toEqual(
        VERSIONS[format],
      );
      expect(await made()).toEqual(["posts", "users", "users_id"]);
      expect(await opsctl("migrate verify", 0, "verify")).toMatchObject({ ok: true });
      expect(await opsctl("migrate down", 0, "down", "--to", "0", "--yes")).toMatchObject({
        engines: [{ status: "migrated", files: VERSIONS[format].map((version) => ({ version })).reverse() }],
      });
      expect(await made()).toEqual([]);
    },
  );

  test("dbmate's files and table: adopted, continued, rolled back, and dbmate goes on with them", async () => {
    const { applied, next } = LAYOUTS.dbmate(engine);
    layFiles(folder(), applied);
    await dbmate(database.url, folder(), "up");
    const before = await history("schema_migrations");
    expect(before).toHaveLength(2);

    // without a word about its past a database that is not empty is left alone
    expect(await refused("up")).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/not empty.*\n.*--from-history/),
    });
    const adopted = await opsctl("migrate baseline", 0, "baseline", "--from-history");
    expect(adopted).toMatchObject({
      format: "dbmate",
      changed: true,
      adopted: VERSIONS.dbmate.slice(0, 2),
      pending: [],
    });
    expect(adopted["from_history"]).toMatch(/schema_migrations$/);
    expect(await opsctl("migrate baseline", 0, "baseline", "--from-history")).toMatchObject({
      changed: false,
      adopted: [],
    });

    layFiles(folder(), next);
    expect(files(await opsctl("migrate up", 0, "up"))).toEqual(Object.keys(next));
    expect(await made()).toContain("posts");
    // said again, with a version that only opsctl has applied
    expect(await opsctl("migrate baseline", 0, "baseline", "--from-history")).toMatchObject({
      changed: false,
      pending: [],
    });
    expect(files(await opsctl("migrate down", 0, "down", "--yes"))).toEqual([
      `${Object.keys(next)[0]} (migrate:down)`,
    ]);
    expect(await made()).toEqual(["users", "users_id"]);

    expect(await history("schema_migrations")).toEqual(before);
    const status = await dbmate(database.url, folder(), "status");
    expect(status).toMatch(
      /\[X\] 20240101000000_users\.sql\n\[X\] 20240102.*\n\[ \] 20240103.*\n\nApplied: 2\nPending: 1/,
    );
    await dbmate(database.url, folder(), "up");
    expect(await made()).toContain("posts");
  });

  test("fifty files of dbmate are adopted in one command", async () => {
    const all = Array.from({ length: 50 }, (_, index) => String(20240101000001 + index));
    const text = (version: string) =>
      `-- migrate:up\nCREATE TABLE t${version} (id int);\n-- migrate:down\nDROP TABLE t${version};\n`;
    layFiles(folder(), Object.fromEntries(all.map((version) => [`${version}_t.sql`, text(version)])));
    await dbmate(database.url, folder(), "up");
    expect(await opsctl("migrate baseline", 0, "baseline", "--from-history")).toMatchObject({
      adopted: all,
      pending: [],
    });
    expect(await opsctl("migrate status", 0, "status", "--exit-code")).toMatchObject({
      up_to_date: true,
      engines: [{ applied: 50, pending: 0, problems: 0 }],
    });
    expect(await opsctl("migrate down", 0, "down", "--steps", "2", "--yes")).toMatchObject({
      engines: [{ files: [{ version: all[49] }, { version: all[48] }] }],
    });
  });

  test.each(["golang-migrate", "diesel"] as const)(
    "%s: adopted from its table, continued, rolled back",
    async (format) => {
      const { applied, next } = LAYOUTS[format](engine);
      layFiles(folder(), { ...applied, ...next });
      const table = format === "diesel" ? "__diesel_schema_migrations" : "schema_migrations";
      await database.query(BY_HAND);
      await database.query(TABLES[format][engine]);
      const before = await history(table);

      const versions = VERSIONS[format];
      const adopted = await opsctl("migrate baseline", 0, "baseline", "--from-history");
      expect(adopted).toMatchObject({ format, adopted: versions.slice(0, 2), pending: versions.slice(2) });
      expect(await opsctl("migrate up", 0, "up")).toMatchObject({
        engines: [{ files: [{ version: versions[2] }] }],
      });
      expect(await opsctl("migrate down", 0, "down", "--steps", "3", "--yes")).toMatchObject({
        engines: [{ files: [{ version: versions[2] }, { version: versions[1] }, { version: versions[0] }] }],
      });
      expect(await made()).toEqual([]);
      expect(await history(table)).toEqual(before);
    },
  );

  test("what cannot be adopted is said, and nothing is recorded", async () => {
    const { applied } = LAYOUTS["golang-migrate"](engine);
    layFiles(folder(), applied);
    expect(await refused("baseline", "--from-history")).toMatchObject({
      code: 25,
      stderr: expect.stringMatching(
        /golang-migrate has no history here: there is no table schema_migrations/,
      ),
    });
    // a table of dbmate is not golang-migrate's
    await database.query("CREATE TABLE schema_migrations (version varchar(128) primary key)");
    expect(await refused("baseline", "--from-history")).toMatchObject({ code: 25 });
    await database.query("DROP TABLE schema_migrations");
    await database.query(TABLES["golang-migrate"][engine]);
    await database.query("UPDATE schema_migrations SET dirty = true");
    expect(await refused("baseline", "--from-history")).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/golang-migrate broke off in version 2 .*\n.*migrate force VERSION/),
    });
    await database.query("UPDATE schema_migrations SET dirty = false, version = 7");
    expect(await refused("baseline", "--from-history")).toMatchObject({
      code: 23,
      stderr: expect.stringMatching(
        /schema_migrations has a version without a file in db: 7; nothing was recorded/,
      ),
    });
    const list = ["migrate", "history", engine, ...database.flags];
    expect(await sandbox.json("migrate history", list, { env: database.env })).toMatchObject({ count: 0 });
  });
});
