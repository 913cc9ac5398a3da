import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Thread, useThread } from "../../src/engines/sqlite/backup-thread.ts";
import { sqliteConnection } from "../../src/engines/sqlite/connect.ts";
import { OpsError } from "../../src/errors.ts";
import { testCall } from "../support/calls.ts";
import { rowsOf } from "./sqlite-backup-kit.ts";
import { RestoreFolder } from "./sqlite-restore-kit.ts";

/** Most of a small restore is the start of its threads: they are kept. */
const threads: Thread[] = [];
beforeAll(() => {
  threads.push(useThread("copying"), useThread("checking"));
});
afterAll(() => {
  for (const thread of threads) thread.release();
});

let files: RestoreFolder;
beforeEach(() => {
  files = new RestoreFolder();
});
afterEach(() => files.remove());

const WAL = "PRAGMA journal_mode = WAL";
const beside = () => readdirSync(dirname(files.live)).sort();
const contents = (path = files.live) => rowsOf(path, "SELECT DISTINCT content FROM t");
const digest = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");
const failure = (work: Promise<unknown>) =>
  work.then(
    () => expect.fail("it did not fail"),
    (error: OpsError) => error,
  );

async function restore(...args: Parameters<RestoreFolder["part"]>) {
  const part = await files.part(...args);
  const plan = await part.plan(testCall());
  await part.prepare(testCall());
  const swapped = await part.swap(testCall());
  return { part, plan, swapped, found: await part.verify(testCall()) };
}

describe("into a live file", () => {
  test.each([
    ["wal into wal", WAL, WAL, "wal"],
    ["rollback journal into wal", "", WAL, "wal"],
    ["wal into rollback journal", WAL, "", "wal"],
    ["rollback journal into rollback journal", "", "", "delete"],
    ["smaller pages into larger ones", "PRAGMA page_size = 1024", "PRAGMA page_size = 8192", "delete"],
    ["larger pages into smaller ones", "PRAGMA page_size = 8192", "PRAGMA page_size = 1024", "delete"],
    ["other pages into wal", "PRAGMA page_size = 8192", `PRAGMA page_size = 1024; ${WAL}`, "wal"],
    ["other pages and wal into wal", `PRAGMA page_size = 512; ${WAL}`, WAL, "wal"],
    ["incremental vacuum", "PRAGMA auto_vacuum = INCREMENTAL", WAL, "wal"],
  ])("%s", async (_name, staged, live, journalMode) => {
    files.fill(files.staged, "new", 60, `${staged}; PRAGMA user_version = 7; PRAGMA application_id = 9`);
    files.fill(files.live, "old", 100, live);
    const before = digest(files.staged);
    const expected = { counts: { tables: 2, rows: 60 }, breakdown: { t: 60, log: 0 } };
    const { plan, swapped, found } = await restore({ expected });
    expect(plan).toMatchObject({
      undo: "safety",
      overwrites: expect.stringMatching(/^2 tables, 100 rows, 0\.\d MB$/),
    });
    expect(swapped.how).toBe("SQLite's backup API");
    expect(found).toEqual({ ...expected, problems: [], notes: [] });
    for (const [pragma, value] of [
      ["integrity_check", "ok"],
      ["user_version", 7],
      ["application_id", 9],
      ["journal_mode", journalMode],
    ])
      expect(rowsOf(files.live, `PRAGMA ${pragma}`)).toEqual([value]);
    expect(contents()).toEqual(["new"]);
    expect(digest(files.staged)).toBe(before);
  });

  test("programs that have it open see the old content, then the new one, and go on writing", async () => {
    files.fill(files.staged, "new", 100, WAL);
    files.fill(files.live, "old", 100, WAL);
    const program = new Database(files.live);
    const ask = program.prepare("SELECT DISTINCT content FROM t").pluck();
    const part = await files.part();
    await part.prepare(testCall());
    // a reader that stays at one moment
    const reader = new Database(files.live);
    reader.exec("BEGIN; SELECT * FROM t LIMIT 1");
    const { notes, outage_ms: outage } = await part.swap(testCall());
    expect(reader.prepare("SELECT DISTINCT content FROM t").pluck().all()).toEqual(["old"]);
    expect(ask.all()).toEqual(["new"]);
    expect(outage).toBe(0);
    expect(notes).toContainEqual(expect.stringMatching(/keep the new one in the log/));
    program.exec("INSERT INTO t (content) VALUES ('newer')");
    reader.exec("COMMIT");
    expect(reader.prepare("SELECT DISTINCT content FROM t").pluck().all()).toEqual(["new", "newer"]);
    program.close();
    reader.close();
    expect(rowsOf(files.live, "PRAGMA integrity_check")).toEqual(["ok"]);
  });

  test("opsctl's own connection to it sees the new content", async () => {
    const own = sqliteConnection(files.live);
    own.database().exec("CREATE TABLE t (content); INSERT INTO t VALUES ('old')");
    const ask = own.database().prepare("SELECT content FROM t LIMIT 1").pluck();
    expect(ask.get()).toBe("old");
    files.fill(files.staged, "new");
    await restore();
    expect(ask.get()).toBe("new");
    await own.write(testCall(), (database) => database.exec("DELETE FROM t"));
    await own.close();
    expect(contents()).toEqual([]);
  });

  test("permissions and a link to it stay", async () => {
    files.fill(files.staged, "new");
    files.fill(files.live, "old");
    const link = join(files.root, "link.db");
    symlinkSync(files.live, link);
    const { mode, ino } = statSync(files.live);
    await restore({}, { live: link });
    expect(contents()).toEqual(["new"]);
    expect(statSync(files.live)).toMatchObject({ mode, ino });
    expect(beside()).toEqual(["app.db"]);
  });

  test("an empty file replaces one with tables", async () => {
    writeFileSync(files.staged, "");
    files.fill(files.live, "old", 50, WAL);
    const { found } = await restore({ expected: { counts: { tables: 0, rows: 0 }, breakdown: {} } });
    expect(found).toMatchObject({ counts: { tables: 0, rows: 0 }, problems: [] });
  });

  test("what was swapped stays when it is asked again; the way back is another file", async () => {
    files.fill(files.staged, "new");
    files.fill(files.live, "old");
    const safety = join(files.root, "set", "safety.db");
    files.fill(safety, "old");
    await restore();
    files.sql(files.live, "INSERT INTO log VALUES ('written since')");
    const again = await files.part();
    await again.swap(testCall());
    expect(rowsOf(files.live, "SELECT line FROM log")).toEqual(["written since"]);
    const back = await files.part({}, { staged: safety });
    await back.prepare(testCall());
    await back.swap(testCall());
    expect(contents()).toEqual(["old"]);
  });
});

describe("refused", () => {
  test("a writer that does not end: locked at the deadline, and nothing is changed", async () => {
    files.fill(files.staged, "new");
    files.fill(files.live, "old", 50, WAL);
    const part = await files.part();
    await part.prepare(testCall());
    const writer = new Database(files.live);
    writer.exec("BEGIN IMMEDIATE");
    expect(await failure(part.swap(testCall(1_000)))).toMatchObject({
      code: "locked",
      message: expect.stringMatching(/locked by another process; nothing of it was changed/),
    });
    expect(part.isTouched).toBe(false);
    writer.exec("COMMIT");
    expect(contents()).toEqual(["old"]);
    await (await files.part()).swap(testCall());
    expect(contents()).toEqual(["new"]);
    writer.close();
  });

  test("other pages while a program has the file open: locked, and nothing is changed", async () => {
    files.fill(files.staged, "new", 50, "PRAGMA page_size = 1024");
    files.fill(files.live, "old", 50, WAL);
    const program = new Database(files.live);
    program.prepare("SELECT count(*) FROM t").get();
    const part = await files.part();
    expect((await part.plan(testCall())).notes).toContainEqual(
      expect.stringMatching(/from 4096 to 1024 bytes: no program may/),
    );
    await part.prepare(testCall());
    expect(await failure(part.swap(testCall(1_000)))).toMatchObject({
      code: "locked",
      hint: expect.stringMatching(/^stop the programs/),
    });
    expect(program.prepare("SELECT DISTINCT content FROM t").pluck().all()).toEqual(["old"]);
    program.close();
    await (await files.part()).swap(testCall());
    expect(contents()).toEqual(["new"]);
  });

  test("a call that is over: the copy is too, and the file as it was", async () => {
    files.fill(files.staged, "new", 30_000);
    files.fill(files.live, "old");
    const part = await files.part();
    await part.prepare(testCall());
    const over = new AbortController();
    const stopped = new OpsError({ code: "interrupted", message: "stopped" });
    const call = { ...testCall(), signal: over.signal, progress: () => over.abort(stopped) };
    expect(await failure(part.swap(call))).toBe(stopped);
    expect(contents()).toEqual(["old"]);
    expect(rowsOf(files.live, "PRAGMA integrity_check")).toEqual(["ok"]);
    expect(beside()).toEqual(["app.db"]);
  });

  test.each<[name: string, content: () => void, says: RegExp]>([
    [
      "no database",
      () => writeFileSync(files.staged, "x".repeat(8192)),
      /sqlite\/app\.db is not a SQLite database/,
    ],
    ["a damaged one", () => files.damage(files.staged), /sqlite\/app\.db is damaged/],
    [
      "wrong counts",
      () => files.fill(files.staged, "new", 99),
      /rows: it holds 99, and the metadata says 100/,
    ],
    ["a missing table", () => files.sql(files.staged, "CREATE TABLE a (a)"), /metadata says|missing/],
  ])("%s in the set: integrity, before anything is touched", async (_name, make, says) => {
    make();
    files.fill(files.live, "old");
    const before = digest(files.live);
    const part = await files.part({ expected: { counts: { rows: 100 }, breakdown: { t: 100 } } });
    expect(await failure(part.prepare(testCall()))).toMatchObject({
      code: "integrity",
      engine: "sqlite",
      message: expect.stringMatching(says),
    });
    expect(digest(files.live)).toBe(before);
  });

  test.each<[name: string, path: () => string, code: string, says: RegExp]>([
    ["a folder", () => files.root, "usage", /is no file/],
    ["no folder", () => join(files.root, "a", "b.db"), "failed", /there is no folder/],
    [
      "a link that leads nowhere",
      () => {
        symlinkSync(join(files.root, "nowhere.db"), join(files.root, "link.db"));
        return join(files.root, "link.db");
      },
      "usage",
      /leads nowhere/,
    ],
    ["a space at the end", () => `${files.live} `, "usage", /space/],
  ])("%s as the target", async (_name, path, code, says) => {
    files.fill(files.staged, "new");
    const part = await files.part({}, { live: path() });
    expect(await failure(part.plan(testCall()))).toMatchObject({
      code,
      message: expect.stringMatching(says),
    });
  });

  test("a schema that would run something when it is looked at", async () => {
    files.fill(files.staged, "new");
    const hostile = new Database(files.staged);
    hostile.unsafeMode();
    hostile.exec(
      "CREATE VIEW v AS SELECT load_extension('/tmp/x'); CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT load_extension('/x'); END",
    );
    hostile.close();
    files.fill(files.live, "old");
    const { found } = await restore();
    expect(found.problems).toEqual([]);
    expect(contents()).toEqual(["new"]);
  });
});

describe("where there is no file", () => {
  test("it is made for its owner only, and removed again", async () => {
    files.fill(files.staged, "new", 100, WAL);
    const { part, plan } = await restore();
    expect(plan).toMatchObject({ overwrites: "nothing", undo: "empty" });
    expect(statSync(files.live).mode & 0o777).toBe(0o600);
    expect(contents()).toEqual(["new"]);
    await part.rollback(testCall());
    expect(beside()).toEqual([]);
  });

  test("logs of a file that is gone do not get into the new one", async () => {
    const program = new Database(files.live);
    program.exec(`${WAL}; CREATE TABLE t (content); INSERT INTO t VALUES ('old')`);
    rmSync(files.live);
    expect(existsSync(`${files.live}-wal`)).toBe(true);
    files.fill(files.staged, "new");
    await restore();
    program.close();
    expect(contents()).toEqual(["new"]);
    expect(rowsOf(files.live, "PRAGMA integrity_check")).toEqual(["ok"]);
  });

  test("what a program wrote to it since is kept when it goes back", async () => {
    files.fill(files.staged, "new");
    const { part } = await restore();
    files.sql(files.live, "INSERT INTO log VALUES ('written since')");
    const lines: string[] = [];
    await part.rollback({ ...testCall(), log: (_level, message) => lines.push(message) });
    expect(beside()).toEqual(["app.db.opsctl-1a2b3c4d-undone"]);
    expect(lines).toEqual([expect.stringContaining(".opsctl-1a2b3c4d-undone")]);
    expect(rowsOf(join(dirname(files.live), beside()[0]!), "SELECT line FROM log")).toEqual([
      "written since",
    ]);
    await part.rollback(testCall());
    expect(beside()).toHaveLength(1);
  });

  test("one that came meanwhile is not written over", async () => {
    files.fill(files.staged, "new");
    const part = await files.part();
    await part.prepare(testCall());
    files.fill(files.live, "another");
    expect(await failure(part.swap(testCall()))).toMatchObject({
      code: "failed",
      message: expect.stringContaining("now there is one"),
    });
    await part.rollback(testCall());
    expect(contents()).toEqual(["another"]);
  });
});

describe("where the file is damaged", () => {
  test.each<[name: string, make: () => void]>([
    ["a page", () => files.damage(files.live)],
    ["all of it", () => writeFileSync(files.live, "no database ".repeat(1000))],
  ])("%s: it is moved aside, comes back, and is forgotten", async (_name, make) => {
    make();
    chmodSync(files.live, 0o640);
    const before = digest(files.live);
    files.fill(files.staged, "new");
    const { part, plan } = await restore();
    expect(plan).toMatchObject({ undo: "kept", overwrites: expect.stringMatching(/^a damaged file/) });
    expect(contents()).toEqual(["new"]);
    expect(statSync(files.live).mode & 0o777).toBe(0o640);
    expect(part.isTouched).toBe(true);
    await part.requireWayBack(testCall());
    const journal = files.saved;
    await part.rollback(testCall());
    expect(part.isTouched).toBe(false);
    // killed right before it said so
    await (await files.part({ saved: journal })).rollback(testCall());
    expect(digest(files.live)).toBe(before);
    expect(beside()).toEqual(["app.db"]);
    await part.swap(testCall());
    expect(contents()).toEqual(["new"]);
    await part.forget(testCall());
    const gone = { code: "failed", message: expect.stringContaining("-before, is gone") };
    expect(await failure(part.requireWayBack(testCall()))).toMatchObject(gone);
    expect(await failure(part.rollback(testCall()))).toMatchObject(gone);
    expect(beside()).toEqual(["app.db"]);
  });
});

test("amounts that differ are problems, and explained where a program wrote since", async () => {
  files.fill(files.staged, "new", 100, WAL);
  files.fill(files.live, "old", 100, WAL);
  const { part } = await restore({ expected: { counts: { rows: 100 }, breakdown: { t: 100 } } });
  const program = new Database(files.live);
  program.exec("INSERT INTO t (content) VALUES ('newer')");
  const found = await part.verify(testCall());
  program.close();
  expect(found).toMatchObject({ counts: { rows: 101 }, problems: [] });
  expect(found.notes).toContainEqual(expect.stringMatching(/holds 101.*a program wrote/));
});
