/** Every check of SQLite: planted in a real file, found, mended by its own commands, gone. */
import { type ChildProcess, spawn } from "node:child_process";
import {
  chmodSync,
  chownSync,
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { sqliteTarget } from "../../src/config/targets.ts";
import { DEFAULT_THRESHOLDS, type Thresholds } from "../../src/config/thresholds.ts";
import { sqliteChecks } from "../../src/engines/sqlite/checks/index.ts";
import { type SqliteConnection, sqliteConnection } from "../../src/engines/sqlite/connect.ts";
import { sqliteMemory } from "../../src/engines/sqlite/memory.ts";
import { type Found, Unknowable } from "../../src/health/doctor/check.ts";
import { remember } from "../contract/memory-store.ts";
import { testCall } from "../support/calls.ts";
import { Sandbox, until } from "../support/cli.ts";
import { mend } from "../support/doctor.ts";

let box: Sandbox;
let connection: SqliteConnection;
let root: string;
const children: ChildProcess[] = [];
beforeEach(async () => {
  box = new Sandbox();
  // folders of tests are made like /tmp's, for others too
  chmodSync(box.dir, 0o700);
  root = "/";
  connection = sqliteConnection(box.db);
  const store = sqliteMemory(connection);
  await store.apply(
    testCall(),
    ["a", "b", "c"].map((name) =>
      remember({ key: `issue:${name}`, content: `restart ${name}`, eventId: name }),
    ),
  );
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  await connection.close();
  box.remove();
});

const sql = (text: string) => connection.database().exec(text);

/** With its temporary tables and pragmas a connection of its own. */
async function alone(work: (database: Database.Database) => void): Promise<void> {
  await connection.close();
  const database = new Database(box.db);
  database.pragma("foreign_keys = OFF");
  database.unsafeMode();
  work(database);
  database.close();
}

function look(id: string, thresholds: Partial<Thresholds> = {}): Promise<Found[]> {
  const check = sqliteChecks.find((one) => one.id === id)!;
  return check.run(testCall(), {
    connection,
    target: sqliteTarget(box.db),
    limits: { connectMs: 5_000, queryMs: 30_000, poolSize: 1 },
    thresholds: { ...DEFAULT_THRESHOLDS, ...thresholds },
    root,
  });
}

/** Found once, mended by its commands, gone. @returns what was found */
async function mends(id: string, thresholds: Partial<Thresholds> = {}): Promise<Found> {
  const [found, ...more] = await look(id, thresholds);
  expect(more).toEqual([]);
  const set = Object.entries(thresholds).map(([name, value]) => `${name}=${value}`);
  await mend(box, { OPSCTL_THRESHOLDS: set.join() }, found!);
  expect(await look(id, thresholds)).toEqual([]);
  return found!;
}

it("a fresh file has nothing", async () => {
  for (const { id } of sqliteChecks) expect([id, await look(id)]).toEqual([id, []]);
  expect(new Set(sqliteChecks.map(({ id }) => id)).size).toBe(sqliteChecks.length);
});

describe("what is planted is found, mended and gone", () => {
  it("an index without what its table has", async () => {
    sql("CREATE TABLE t (a); CREATE INDEX broken ON t (a)");
    await alone((database) => {
      database.pragma("writable_schema = ON");
      const row = database.prepare("SELECT * FROM sqlite_schema WHERE name = 'broken'").get() as object;
      database.exec("DELETE FROM sqlite_schema WHERE name = 'broken'; PRAGMA writable_schema = RESET");
      database.exec("INSERT INTO t VALUES (1), (2); PRAGMA writable_schema = ON");
      database
        .prepare("INSERT INTO sqlite_schema VALUES (@type, @name, @tbl_name, @rootpage, @sql)")
        .run(row);
    });
    const found = await mends("sqlite-integrity");
    expect(found).toMatchObject({ severity: "error", subject: `${box.db}, index broken` });
  });

  it("rows without their parents, also of a table without rowid and of two columns", async () => {
    sql(`CREATE TABLE parent (a, b, PRIMARY KEY (a, b)); INSERT INTO parent VALUES (1, 1);
         CREATE TABLE child (x, y, FOREIGN KEY (x, y) REFERENCES parent)`);
    await alone((database) => {
      database.exec(
        "INSERT INTO child VALUES (1, 1), (1, 2), (NULL, 5); DELETE FROM memori_metadata WHERE id IN (SELECT id FROM memori_metadata LIMIT 1)",
      );
    });
    const found = await look("sqlite-foreign-keys");
    expect(found.map(({ subject, evidence }) => [subject.split(", ")[1], evidence])).toEqual([
      ["table child", "1 rows refer to rows of parent that are not there"],
      ["table memori_events", "1 rows refer to rows of memori_metadata that are not there"],
    ]);
    for (const one of found) await mend(box, {}, one);
    expect(await look("sqlite-foreign-keys")).toEqual([]);
    const left = connection.database().prepare("SELECT count(*) FROM child").pluck().get();
    expect([left, connection.database().prepare("SELECT count(*) FROM memori_events").pluck().get()]).toEqual(
      [2, 2],
    );
  });

  it("full-text entries of nobody, and wrong sums", async () => {
    sql("INSERT INTO memori_index (rowid, title, body) VALUES (99, 'x', 'y')");
    expect(await mends("sqlite-full-text")).toMatchObject({
      evidence: "1 entries belong to no visible record",
    });
    sql("UPDATE memori_statistics SET documents = 7");
    expect(await mends("sqlite-full-text")).toMatchObject({ evidence: "it counts 7 records, there are 3" });
  });

  it("records without an entry: indexed again in place, and nothing else is touched", async () => {
    const store = sqliteMemory(connection);
    const recordId = remember({ key: "issue:c", content: "restart c", eventId: "c" }).record.id;
    await store.apply(testCall(), [
      { kind: "agent", name: "builder", server: "web", status: "active", at: 5, order: 5 },
      { kind: "forget", recordId, order: 2_000 },
    ]);
    const rows = (table: string) => connection.database().prepare(`SELECT * FROM ${table}`).all();
    const names = ["index", "terms", "statistics", "metadata", "events", "agents"];
    const all = () => Object.fromEntries(names.map((name) => [name, rows(`memori_${name}`)]));
    const before = all();
    expect(before).toMatchObject({ agents: [{ name: "builder" }], statistics: [{ documents: 2 }] });
    // as a program that knows the tables, but not the index, would write
    sql(`DELETE FROM memori_index WHERE rowid = 1; DELETE FROM memori_terms WHERE term = 'a';
         UPDATE memori_metadata SET folded_key = '', body_length = 0 WHERE row_id = 1`);
    const id = connection
      .database()
      .prepare<[], string>("SELECT id FROM memori_metadata WHERE row_id = 1")
      .pluck()
      .get()!;
    const forgetting = store.apply(testCall(), [{ kind: "forget", recordId: id, order: 3_000 }]);
    await expect(forgetting).rejects.toMatchObject({
      code: "integrity",
      hint: expect.stringContaining("opsctl maintain"),
    });
    expect(await mends("sqlite-full-text")).toMatchObject({ evidence: "1 of 2 records have no entry" });
    expect(all()).toEqual(before);
  });

  it("a log that has grown", async () => {
    connection.database().pragma("wal_autocheckpoint = 0");
    sql("CREATE TABLE big AS SELECT randomblob(200000) AS x");
    const found = await mends("sqlite-wal", { sqlite_wal: 150_000 });
    expect(found).toMatchObject({ severity: "warning", subject: `${box.db}-wal` });
    expect(statSync(`${box.db}-wal`).size).toBe(0);
  });

  it("free pages", async () => {
    sql("CREATE TABLE big AS SELECT randomblob(400000) AS x; DELETE FROM big");
    expect(await mends("sqlite-free-pages", { large: 100_000 })).toMatchObject({ severity: "info" });
    expect(statSync(box.db).size).toBeLessThan(400_000);
    expect(await look("sqlite-free-pages", { large: 1 })).toEqual([]);
  });

  it("statistics that nobody gathered", async () => {
    sql("CREATE TABLE t (a, b); CREATE INDEX t_a ON t (a)");
    sql(
      "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 500) INSERT INTO t SELECT x, x FROM n",
    );
    expect(await mends("sqlite-statistics", { large: 1 })).toMatchObject({ severity: "info" });
  });

  it("modes of the file, of its log, and of a folder that everybody may write to", async () => {
    sql("CREATE TABLE t (a)");
    chmodSync(`${box.db}-wal`, 0o644);
    expect(await mends("sqlite-mode")).toMatchObject({
      subject: `${box.db}-wal`,
      evidence: "mode 0644 instead of 0600",
    });
    chmodSync(box.db, 0o660);
    expect(await mends("sqlite-mode")).toMatchObject({ subject: box.db });
    chmodSync(box.dir, 0o707);
    expect(await mends("sqlite-mode")).toMatchObject({ subject: box.dir });
    chmodSync(box.dir, 0o1777);
    expect(await look("sqlite-mode")).toEqual([]);
  });

  it("a file that its owner may not write", async () => {
    chmodSync(box.db, 0o400);
    expect(await mends("sqlite-read-only")).toMatchObject({ subject: box.db });
  });

  it("a process that keeps the right to write, by its number", async () => {
    const holding = `const D = require("better-sqlite3"); const d = new D(process.argv[1]); d.exec("BEGIN IMMEDIATE"); console.log("held"); setInterval(() => {}, 1000)`;
    const child = spawn(process.execPath, ["-e", holding, box.db], {
      cwd: join(import.meta.dirname, "../.."),
    });
    children.push(child);
    let isHeld = false;
    child.stdout.on("data", () => {
      isHeld = true;
    });
    await until("the lock is held", () => isHeld);
    const [found] = await look("sqlite-locked");
    expect(found!.evidence).toContain(`process ${child.pid} (`);
    expect(found!.remedies).toEqual([{ argv: ["kill", String(child.pid)], safe: false }]);
    await mend(box, {}, found!);
    await expect.poll(() => look("sqlite-locked")).toEqual([]);
  });
});

describe("what no single command mends", () => {
  it("damaged pages", async () => {
    const page = connection
      .database()
      .prepare<[], number>("SELECT rootpage FROM sqlite_schema WHERE name = 'memori_metadata'")
      .pluck()
      .get()!;
    await connection.close();
    const copy = join(box.dir, "copy.db");
    copyFileSync(box.db, copy);
    const file = openSync(box.db, "r+");
    writeSync(file, Buffer.alloc(100, 0xff), 0, 100, 4_096 * (page - 1));
    closeSync(file);
    expect(await look("sqlite-integrity")).toMatchObject([
      { severity: "error", subject: box.db, remedies: [] },
    ]);
    await connection.close();
    writeFileSync(box.db, readFileSync(copy));
    expect(await look("sqlite-integrity")).toEqual([]);
  });

  it("damage of a large file, which a process of its own reads", async () => {
    sql("CREATE TABLE large AS SELECT zeroblob(34000000) AS x");
    // from the log into the file
    await connection.close();
    expect(await look("sqlite-integrity")).toEqual([]);
    await connection.close();
    const file = openSync(box.db, "r+");
    // a page of the long value, whose first four bytes lead to the next one
    writeSync(file, Buffer.alloc(4, 0xff), 0, 4, 4_096 * 1_000);
    closeSync(file);
    expect(await look("sqlite-integrity")).toMatchObject([{ severity: "error", remedies: [] }]);
  });

  it.each([
    ["nfs4", "", 1],
    ["fuse.sshfs", "", 1],
    ["ext4", "", 0],
    // a local file system on a folder of the other
    ["nfs", "/data.db-is-not-a-folder", 0],
  ])("a file system of type %s", async (type, below, count) => {
    root = join(box.dir, "host");
    mkdirSync(join(root, "proc/self"), { recursive: true });
    const folder = `${box.dir}${below}`.replaceAll(" ", "\\040");
    writeFileSync(
      join(root, "proc/self/mounts"),
      `/dev/a / ext4 rw 0 0\nserver:/x ${folder} ${type} rw 0 0\n`,
    );
    expect(await look("sqlite-network")).toHaveLength(count);
  });

  it("mounts that cannot be read are unknown, not fine", async () => {
    root = join(box.dir, "nothing");
    await expect(look("sqlite-network")).rejects.toThrow(Unknowable);
  });

  it("a lock whose holder cannot be seen", async () => {
    root = join(box.dir, "nothing");
    const other = new Database(box.db);
    other.exec("BEGIN IMMEDIATE");
    expect(await look("sqlite-locked")).toMatchObject([{ severity: "error", remedies: [] }]);
    other.close();
    expect(await look("sqlite-locked")).toEqual([]);
  });

  it("a log of another user", async () => {
    sql("CREATE TABLE t (a)");
    const { uid } = statSync(box.db);
    if (process.getuid!() !== 0) {
      // only root gives files away: the file is then seen as it is, of one owner
      expect(await look("sqlite-owner")).toEqual([]);
      return;
    }
    chownSync(`${box.db}-wal`, uid + 1, -1);
    expect(await mends("sqlite-owner")).toMatchObject({ subject: `${box.db}-wal`, severity: "warning" });
  });
});
