/** Files without a transaction that were broken off, and the ways on from there. */
import { cpSync, existsSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Sandbox } from "../support/cli.ts";
import { writeMigrations } from "../support/migrations.ts";

const UP = "V002-steps-up.sql";
const insert = (step: number | string) => `INSERT INTO steps VALUES ('${step}');`;
const file = (...statements: string[]) => `-- opsctl: no-transaction\n${statements.join("\n")}\n`;
const BROKEN = file(insert(1), insert(2), "INSERT INTO stepps VALUES ('3');", insert(4));
const RIGHT = file(insert(1), insert(2), insert(3), insert(4));

/** The second file has done two of its four statements. */
const base = new Sandbox({ shared: true });
let box: Sandbox;

beforeAll(async () => {
  edit("V001-table-up.sql", "CREATE TABLE steps (step TEXT NOT NULL);", base);
  edit(UP, BROKEN, base);
  edit("V002-steps-down.sql", "DELETE FROM steps;", base);
  const { code, stderr } = await base.run(["migrate", "up", "sqlite", "--no-copy", ...TARGET]);
  expect(code).toBe(1);
  expect(stderr).toContain(`${UP}:4:13: `);
  expect(stderr).toContain("the 2 statements before it are kept");
});
afterAll(() => base.remove());
beforeEach(() => {
  box = new Sandbox({ shared: true });
  cpSync(base.cwd, box.cwd, { recursive: true });
});
afterEach(() => box.remove());

const TARGET = ["--database", "app.db"];
const repair = (...more: string[]) => ["migrate", "repair", "sqlite", ...TARGET, ...more];
const up = ["migrate", "up", "sqlite", "--no-copy", ...TARGET];

function edit(name: string, text: string, sandbox = box): void {
  writeMigrations(sandbox, { [name]: text });
}

function database<T>(work: (database: Database.Database) => T): T {
  const opened = new Database(join(box.cwd, "app.db"));
  try {
    return work(opened);
  } finally {
    opened.close();
  }
}

const steps = () => database((opened) => opened.prepare("SELECT step FROM steps").pluck().all());

async function state(): Promise<unknown> {
  const { engines } = await box.json("migrate status", ["migrate", "status", "sqlite", ...TARGET]);
  const { state, statement_index } = engines[0].migrations[1];
  return [state, statement_index];
}

describe("a statement was refused", () => {
  test("status says how far it came, and up goes on when it was corrected", async () => {
    expect(await state()).toEqual(["failed", 2]);
    edit(UP, RIGHT);
    const { engines } = await box.json("migrate up", up);
    expect(engines[0].files).toMatchObject([{ version: "V002", resumed_at: 2, state: "applied" }]);
    expect(steps()).toEqual(["1", "2", "3", "4"]);
    expect(await state()).toEqual(["applied", 0]);
  });

  test("with nothing corrected it fails in the same place, and nothing runs twice", async () => {
    expect((await box.run(up)).code).toBe(1);
    expect(await state()).toEqual(["failed", 2]);
    expect(steps()).toEqual(["1", "2"]);
  });

  test.each([
    ["up", up],
    ["repair --retry", repair("--retry")],
  ])("%s refuses when what has run was edited", async (_, args) => {
    edit(UP, file(insert("one"), insert(2), insert(3)));
    const refused = await box.run(args);
    expect(refused.code).toBe(23);
    expect(refused.stderr).toContain(`${UP}: its first 2 statements have run, and they were edited since`);
    expect(refused.stderr).toContain("opsctl migrate repair sqlite V002 --mark applied");
    expect(steps()).toEqual(["1", "2"]);
  });

  test("repair --retry --statement leaves statements out", async () => {
    const repaired = await box.json("migrate repair", repair("--retry", "--statement", "4"));
    expect(repaired).toMatchObject({ version: "V002", before: "failed", after: "applied" });
    expect(steps()).toEqual(["1", "2", "4"]);
  });

  test("a statement that is not there is refused", async () => {
    const refused = await box.run(repair("--retry", "--statement", "6"));
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain(`${UP} has 4 statements`);
    expect(await state()).toEqual(["failed", 2]);
  });

  test("--mark applied and --mark reverted write what was found, and run nothing", async () => {
    await box.json("migrate repair", repair("V002", "--mark", "applied", "--yes"));
    expect(await state()).toEqual(["applied", 0]);
    await box.json("migrate repair", repair("V002", "--mark", "reverted", "--yes"));
    expect(await state()).toEqual(["reverted", 0]);
    expect(steps()).toEqual(["1", "2"]);
  });

  test("down refuses before anything runs, and says how to go on", async () => {
    const refused = await box.run(["migrate", "down", "sqlite", "--yes", ...TARGET]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("V002");
    expect(refused.stderr).toMatch(/^Try: opsctl migrate up sqlite/m);
    expect(steps()).toEqual(["1", "2"]);
  });
});

describe("nobody knows whether the statement took effect", () => {
  /** As a runner leaves it that was killed during a statement which leaves a file behind. */
  beforeEach(async () => {
    edit(UP, file(insert(1), insert(2), "VACUUM INTO 'copy.db';", insert(4)));
    database((opened) =>
      opened.exec("UPDATE opsctl_migrations SET state = 'running' WHERE version = 'V002'"),
    );
  });

  test("up waits for a decision, and names it", async () => {
    const refused = await box.run(up);
    expect(refused.code).toBe(24);
    expect(refused.stderr).toContain("statement 3 of 4, which may or may not have taken effect");
    expect(refused.stderr).toMatch(/^Try: look; then opsctl migrate repair sqlite V002 --retry /m);
    expect(refused.stderr).toContain("--statement 4");
    expect(await state()).toEqual(["running", 2]);
  });

  test("--mark failed says that it did nothing: the next run goes on with it", async () => {
    const marked = await box.json("migrate repair", repair("--mark", "failed", "--yes"));
    expect(marked).toMatchObject({ before: "running", after: "failed" });
    await box.ok(up);
    expect(existsSync(join(box.cwd, "copy.db"))).toBe(true);
    expect(steps()).toEqual(["1", "2", "4"]);
  });

  test("--retry goes on with it at once", async () => {
    await box.ok(repair("--retry"));
    expect(await state()).toEqual(["applied", 0]);
    expect(steps()).toEqual(["1", "2", "4"]);
  });
});

test("a rollback that was broken off goes on with down, and up says so", async () => {
  edit(UP, RIGHT);
  edit(
    "V002-steps-down.sql",
    file("DELETE FROM steps WHERE step > '2';", "DELETE FROM stepps;", insert("down")),
  );
  await box.ok(up);
  const down = ["migrate", "down", "sqlite", "--yes", "--no-copy", ...TARGET];
  expect((await box.run(down)).code).toBe(1);
  expect(await state()).toEqual(["failed", 1]);
  const refused = await box.run(up);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toMatch(/^Try: opsctl migrate down sqlite/m);
  edit("V002-steps-down.sql", file("DELETE FROM steps WHERE step > '2';", "SELECT 1;", insert("down")));
  await box.ok(down);
  expect(await state()).toEqual(["reverted", 0]);
  expect(steps()).toEqual(["1", "2", "down"]);
});
