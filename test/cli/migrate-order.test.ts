/** What a run says and leaves in less usual orders of events, on SQLite files. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { executedChecksum } from "../../src/migrate/stepwise.ts";
import { Sandbox } from "../support/cli.ts";

let box: Sandbox;
beforeEach(() => {
  box = new Sandbox({ shared: true });
});
afterEach(() => box.remove());

const FILE = "app.db";
const run = (verb: string, ...more: string[]) =>
  box.run(["migrate", verb, "sqlite", "--database", FILE, ...more]);
const json = (verb: string, ...more: string[]) =>
  box.json(`migrate ${verb}`, ["migrate", verb, "sqlite", "--database", FILE, ...more]);

async function write(
  number: number,
  text = `CREATE TABLE t${number} (id integer);`,
  down = `DROP TABLE t${number};`,
) {
  const name = `V00${number}-t${number}`;
  if (number === 1) await box.run(["migrate", "new", "sqlite", "t1"]);
  box.file(join("migrations", "sqlite", `${name}-up.sql`), text);
  box.file(join("migrations", "sqlite", `${name}-down.sql`), down);
}

function sql<T>(work: (database: Database.Database) => T): T {
  const database = new Database(join(box.cwd, FILE));
  try {
    return work(database);
  } finally {
    database.close();
  }
}

const copies = () => readdirSync(box.cwd).filter((name) => name.includes(".before-"));

test("a host whose clock is ahead does not change which file is rolled back", async () => {
  await write(1);
  await write(2);
  await json("up");
  sql((database) =>
    database.exec(`UPDATE opsctl_migrations SET applied_at = applied_at + 3600000 WHERE version = 'V001'`),
  );
  await write(3);
  await json("up");
  const planned = await json("down", "--dry-run", "--steps", "2");
  expect(planned.engines[0].files.map(({ version }: { version: string }) => version)).toEqual([
    "V003",
    "V001",
  ]);
});

test("redo takes an edited file, up does not", async () => {
  await write(1);
  await json("up");
  await write(1, "CREATE TABLE t1 (id integer, name text);");
  expect(await run("up")).toMatchObject({
    code: 23,
    stderr: expect.stringContaining("differs from the file"),
  });
  const { code, stderr } = await run("redo");
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: expect.stringMatching(/needs a confirmation\nTry: repeat with --yes\n/),
  });
  expect((await json("redo", "--yes")).engines[0].files).toMatchObject([
    { state: "reverted" },
    { state: "applied" },
  ]);
  expect(sql((database) => database.pragma("table_info(t1)"))).toHaveLength(2);
});

describe("a copy of the file is kept", () => {
  test("when something was applied; not when nothing was", async () => {
    await write(1);
    await json("up");
    expect(copies()).toEqual([]);
    await write(2, "CREATE TABEL t2 (id);");
    const failed = await run("up");
    expect(failed).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("nothing was changed: the copy"),
    });
    expect(copies()).toEqual([]);
    await write(2);
    const { engines } = await json("up");
    expect(copies()).toEqual([engines[0].copy.split("/").at(-1)]);
  });

  test("when a file without a transaction came half way", async () => {
    await write(1);
    await json("up");
    await write(2, "-- opsctl: no-transaction\nCREATE TABLE a (id);\nCREATE TABEL b (id);");
    expect((await run("up")).code).toBe(1);
    expect(copies()).toHaveLength(1);
  });
});

test("nothing to do is said of what was asked for only", async () => {
  await write(1);
  await write(2);
  expect((await run("down", "--yes")).stderr).toContain(
    "nothing of migrations/sqlite (opsctl) is to be rolled back",
  );
  expect((await run("up", "--to", "V001")).code).toBe(0);
  expect((await run("up", "--to", "1")).stderr).toContain("is applied that far");
  expect((await run("up", "--to", "V001", "--steps", "1")).code).toBe(2);
  expect((await run("up")).code).toBe(0);
  expect((await run("up")).stderr).toContain("is up to date");
});

test.each<[string, string[], number, RegExp]>([
  ["--database with all engines", ["up", "all", "--database", "x.db"], 2, /all engines are asked for/],
  ["an empty --database", ["up", "sqlite", "--database", ""], 2, /--database is empty/],
  ["an empty --dir", ["up", "sqlite", "--dir", ""], 2, /--dir is empty/],
  [
    "a baseline of a file that is not there",
    ["baseline", "sqlite", "V001", "--database", "typo.db"],
    25,
    /there is no file .*typo\.db/,
  ],
  [
    "repair asks, and its hint works",
    ["repair", "sqlite", "V001", "--mark", "applied", "--database", "app.db"],
    2,
    /Try: repeat with --yes; opsctl migrate status sqlite --database app\.db shows/,
  ],
])("refused: %s", async (_, args, code, message) => {
  await write(1);
  await json("up");
  const refused = await box.run(["migrate", ...args]);
  expect({ code: refused.code, stderr: refused.stderr }).toEqual({
    code,
    stderr: expect.stringMatching(message),
  });
  expect(readdirSync(box.cwd).filter((name) => /x\.db|typo/.test(name))).toEqual([]);
});

test("--database alone says what it leaves alone", async () => {
  await write(1);
  await box.run(["migrate", "new", "postgres", "a"]);
  const { code, stderr } = await box.run(["migrate", "up", "--database", FILE]);
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr: expect.stringContaining("warning: migrations/postgres is left alone"),
  });
});

test("the digest of what was executed knows every statement before it", () => {
  const list = (texts: string[]) => texts.map((text) => ({ text, offset: 0 }));
  const whole = list(["a", "b", "c"]);
  const digests = [0, 1, 2, 3].map((done) => executedChecksum(whole, done));
  expect(new Set(digests).size).toBe(4);
  expect(executedChecksum(list(["a", "b", "x"]), 2)).toBe(digests[2]);
  expect(executedChecksum(list(["x", "b", "c"]), 2)).not.toBe(digests[2]);
  expect(executedChecksum(list(["a"]), 2)).not.toBe(digests[2]);
});
