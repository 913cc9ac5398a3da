/** The daily round of `migrate` as a user types it, on a SQLite file and on PostgreSQL; every `--json` is checked against its contract. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Sandbox } from "../support/cli.ts";
import { postgresDatabase, type TestDatabase } from "../support/servers.ts";

interface Engine {
  name: "sqlite" | "postgres";
  /** After the subcommand. */
  target: string[];
  env: Record<string, string>;
}

const box = new Sandbox({ shared: true });
let database: TestDatabase;
beforeAll(async () => {
  database = await postgresDatabase();
});
afterAll(async () => {
  await database.drop();
  box.remove();
});

const ENGINES = [
  ["sqlite", (): Engine => ({ name: "sqlite", target: ["sqlite", "--database", "app.db"], env: {} })],
  [
    "postgres",
    (): Engine => ({ name: "postgres", target: ["postgres"], env: { DATABASE_URL: database.url } }),
  ],
] as const;

describe.each(ENGINES)("%s: the daily round", (name, engine) => {
  const folder = join(box.cwd, "migrations", name);
  const migrate = (verb: string, ...more: string[]) => {
    const { target, env } = engine();
    return box.run(["migrate", verb, ...target, ...more], { env });
  };
  const json = (verb: string, more: string[] = [], code = 0) => {
    const { target, env } = engine();
    return box.json(`migrate ${verb}`, ["migrate", verb, ...target, ...more], { env, code });
  };
  const states = async () =>
    (await json("status")).engines[0].migrations.map(
      ({ version, state }: Record<string, string>) => `${version} ${state}`,
    );
  const edit = (file: string, text: string) => writeFileSync(join(folder, file), text);

  test("new makes the empty files of the next version, and up refuses them", async () => {
    const made = await box.json("migrate new", ["migrate", "new", name, "Create", "users & roles"]);
    const files = ["up", "down"].map((way) => join("migrations", name, `V001-create-users-roles-${way}.sql`));
    expect(made).toEqual({ engine: name, format: "opsctl", version: "V001", files });
    expect(files.map((file) => readFileSync(join(box.cwd, file), "utf8"))).toEqual(["", ""]);
    const refused = await migrate("up");
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(/V001-create-users-roles-up\.sql is empty/);
  });

  test("up --dry-run prints what it would send, and changes nothing", async () => {
    edit("V001-create-users-roles-up.sql", "CREATE TABLE users (id integer PRIMARY KEY, name text);\n");
    edit("V001-create-users-roles-down.sql", "DROP TABLE users;\n");
    const { stdout, code } = await migrate("up", "--dry-run");
    expect(code).toBe(0);
    expect(stdout).toContain("CREATE TABLE users (id integer PRIMARY KEY, name text);");
    const planned = await json("up", ["--dry-run"]);
    expect(planned).toMatchObject({ dry_run: true, changed: false, engines: [{ status: "planned" }] });
    expect(await states()).toEqual(["V001 pending"]);
    if (name === "sqlite") expect(existsSync(join(box.cwd, "app.db"))).toBe(false);
  });

  test("up applies it, once", async () => {
    const done = await json("up");
    expect(done).toMatchObject({ direction: "up", dry_run: false, changed: true });
    expect(done.engines).toMatchObject([
      {
        engine: name,
        set: "user",
        format: "opsctl",
        dir: folder,
        status: "migrated",
        files: [{ version: "V001", state: "applied", description: "create users roles", late: false }],
        error: null,
      },
    ]);
    expect(await json("up")).toMatchObject({ changed: false, engines: [{ status: "unchanged", files: [] }] });
    const again = await migrate("up");
    expect(again).toMatchObject({ code: 0, stdout: "" });
    expect(again.stderr).toContain(`nothing to do, ${join("migrations", name)} (opsctl) is up to date`);
  });

  test("status says who applied it and when", async () => {
    const { engines, up_to_date } = await json("status", ["--exit-code"]);
    expect(up_to_date).toBe(true);
    const [{ applied_at_ms, ...version }] = engines[0].migrations;
    expect(version).toMatchObject({
      version: "V001",
      state: "applied",
      reversible: true,
      statement_index: 0,
    });
    expect(Math.abs(Date.now() - applied_at_ms)).toBeLessThan(600_000);
    expect(version.applied_by).toMatch(/^.+@.+$/);
    const rows = (await migrate("status")).stdout.trimEnd().split("\n");
    expect(rows.map((line) => line.split("\t").slice(0, 5))).toEqual([
      [name, "user", "V001", "V001-create-users-roles-up.sql", "applied"],
    ]);
  });

  test("a second version goes up, comes down after a question, and goes up again", async () => {
    await box.ok(["migrate", "new", name, "orders"]);
    edit(
      "V002-orders-up.sql",
      "CREATE TABLE orders (id integer PRIMARY KEY);\nINSERT INTO orders VALUES (1);\n",
    );
    edit("V002-orders-down.sql", "DROP TABLE orders;\n");
    expect(await json("status", ["--exit-code"], 4)).toMatchObject({ up_to_date: false });
    expect((await json("up")).engines[0].files).toMatchObject([{ version: "V002" }]);
    expect((await migrate("down")).code).toBe(2);
    expect(await states()).toEqual(["V001 applied", "V002 applied"]);
    const back = await json("down", ["--yes"]);
    expect(back).toMatchObject({ direction: "down", changed: true });
    expect(back.engines[0].files).toMatchObject([
      { version: "V002", file: "V002-orders-down.sql", state: "reverted" },
    ]);
    expect(await states()).toEqual(["V001 applied", "V002 reverted"]);
    expect((await json("up")).engines[0].files).toMatchObject([{ version: "V002", state: "applied" }]);
  });

  test("redo takes the file as it is now", async () => {
    edit("V002-orders-down.sql", "DROP TABLE orders; -- corrected\n");
    const { engines } = await json("redo", ["--yes"]);
    expect(engines[0].files).toMatchObject([
      { version: "V002", state: "reverted" },
      { version: "V002", state: "applied" },
    ]);
    expect(await states()).toEqual(["V001 applied", "V002 applied"]);
  });

  test("history lists it, the last first", async () => {
    const { target, env } = engine();
    const { history } = await box.json("migrate history", ["migrate", "history", ...target], { env });
    const users = history.filter(({ set }: { set: string }) => set === "user");
    expect(users).toMatchObject([
      { engine: name, version: "V002", state: "applied", file: "V002-orders-up.sql" },
      { engine: name, version: "V001", state: "applied", file: "V001-create-users-roles-up.sql" },
    ]);
  });

  test("verify finds nothing, then the file that was edited", async () => {
    expect(await json("verify")).toMatchObject({ ok: true, engines: [{ checked: 2, problems: [] }] });
    const file = "V001-create-users-roles-up.sql";
    const text = readFileSync(join(folder, file), "utf8");
    edit(file, `${text}-- a word\n`);
    expect(await json("verify", [], 4)).toMatchObject({
      ok: false,
      engines: [{ problems: [{ version: "V001", file, kind: "edited" }] }],
    });
    edit(file, text);
    expect(await json("verify")).toMatchObject({ ok: true });
  });

  test("a dump is the same twice, and status --drift tells when the schema is another", async () => {
    const { target, env } = engine();
    const [first, second] = [await migrate("dump"), await migrate("dump")];
    expect(first).toMatchObject({ code: 0, stdout: second.stdout });
    expect(first.stdout).toMatch(/CREATE TABLE .*orders/);
    expect(first.stdout).not.toContain("opsctl_migrations");
    await box.ok(["migrate", "dump", ...target, "--output", `${name}.sql`], { env });
    expect(readFileSync(join(box.cwd, `${name}.sql`), "utf8")).toBe(first.stdout);
    expect(await json("status", ["--drift", `${name}.sql`])).toMatchObject({ engines: [{ drift: false }] });
    await box.ok(["migrate", "down", ...target, "--yes"], { env });
    const drifted = await migrate("status", "--drift", `${name}.sql`);
    expect(drifted.code).toBe(4);
    expect(drifted.stderr).toMatch(/^- CREATE TABLE .*orders/m);
    expect(await json("status", ["--drift", `${name}.sql`], 4)).toMatchObject({ engines: [{ drift: true }] });
  });

  test("a file that was merged late is applied, and named", async () => {
    edit("V010-later-up.sql", "CREATE TABLE later (id integer);\n");
    expect((await json("up")).engines[0].files).toMatchObject([{ version: "V002" }, { version: "V010" }]);
    edit("V005-late-up.sql", "CREATE TABLE late (id integer);\n");
    const { migrations } = (await json("status")).engines[0];
    expect(migrations.find(({ version }: { version: string }) => version === "V005")).toMatchObject({
      state: "pending",
      late: true,
    });
    const { stdout, stderr, code } = await migrate("up");
    expect(code).toBe(0);
    expect(stdout.split("\t").slice(0, 4)).toEqual([name, "V005", "V005-late-up.sql", "applied"]);
    expect(stderr).toContain("V005-late-up.sql was merged late");
  });

  test("down --to 0 refuses as a whole when one file cannot be rolled back", async () => {
    const refused = await migrate("down", "--to", "0", "--yes");
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain("V005-late-up.sql, V010-later-up.sql have no script to roll them back");
    edit("V005-late-down.sql", "DROP TABLE late;\n");
    edit("V010-later-down.sql", "DROP TABLE later;\n");
    const { engines } = await json("down", ["--to", "0", "--yes"]);
    // by the order of application
    expect(engines[0].files.map(({ version }: { version: string }) => version)).toEqual([
      "V005",
      "V010",
      "V002",
      "V001",
    ]);
    expect(await states()).toEqual(["V001", "V002", "V005", "V010"].map((version) => `${version} reverted`));
  });

  test("no copy, lock or temporary file is left but the copies that were announced", () => {
    if (name === "postgres") return;
    const names = readdirSync(box.cwd).filter((file) => file.startsWith("app.db") && file !== "app.db");
    for (const file of names) expect(file).toMatch(/^app\.db\.before-V\d+-\d{8}T\d{6}Z(-\d+)?$/);
  });
});

test("several engines in one run, each with its outcome", async () => {
  const env = { DATABASE_URL: database.url };
  // the embedded file and PostgreSQL: both folders are there
  const both = await box.json("migrate up", ["migrate", "up"], { env });
  expect(both.engines).toMatchObject([
    { engine: "postgres", status: "migrated", files: [{}, {}, {}, {}] },
    { engine: "sqlite", status: "migrated", files: [{}, {}, {}, {}] },
  ]);
  writeFileSync(join(box.cwd, "migrations", "postgres", "V011-wrong-up.sql"), "CREATE TABEL x (id integer);");
  writeFileSync(join(box.cwd, "migrations", "sqlite", "V011-right-up.sql"), "CREATE TABLE x (id integer);");
  const partly = await box.json("migrate up", ["migrate", "up"], { env, code: 3 });
  expect(partly.engines).toMatchObject([
    { engine: "postgres", status: "failed", error: { code: "failed" } },
    { engine: "sqlite", status: "migrated", files: [{ version: "V011" }], error: null },
  ]);
  const rest = await box.json("migrate up", ["migrate", "up"], { env, code: 3 });
  expect(rest.engines).toMatchObject([{ status: "failed" }, { status: "unchanged" }]);
  const down = await box.run(["migrate", "down", "--yes"], { env });
  expect(down.code).toBe(2);
  expect(down.stderr).toContain("postgres, sqlite");
});
