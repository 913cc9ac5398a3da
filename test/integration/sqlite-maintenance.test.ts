/** What keeps a SQLite file small: planned where it pays, and done. */
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, beforeEach, expect, it } from "vitest";
import { createCall } from "../../src/call.ts";
import { sqliteTarget } from "../../src/config/targets.ts";
import { DEFAULT_THRESHOLDS, type Thresholds } from "../../src/config/thresholds.ts";
import { type SqliteConnection, sqliteConnection } from "../../src/engines/sqlite/connect.ts";
import { sqliteMaintenance } from "../../src/engines/sqlite/maintenance.ts";
import { sqliteMemory } from "../../src/engines/sqlite/memory.ts";
import { OpsError } from "../../src/errors.ts";
import { remember } from "../contract/memory-store.ts";
import { testCall } from "../support/calls.ts";

let dir: string;
let path: string;
let connection: SqliteConnection;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "opsctl-maintenance-"));
  path = join(dir, "data.db");
  connection = sqliteConnection(path);
});
afterEach(async () => {
  await connection.close();
  rmSync(dir, { recursive: true });
});

function plan(thresholds: Partial<Thresholds> = {}, all = false) {
  const limits = { connectMs: 5_000, queryMs: 30_000, poolSize: 1 };
  const origin = { target: sqliteTarget(path), limits };
  const maintenance = sqliteMaintenance(connection, origin, { ...DEFAULT_THRESHOLDS, ...thresholds });
  return maintenance.plan(testCall(), { all });
}
const kinds = async (...given: Parameters<typeof plan>) => (await plan(...given)).map(({ kind }) => kind);
const size = () => statSync(path).size;

it("a file that is not there, and a fresh one, need nothing", async () => {
  expect(await kinds({}, true)).toEqual([]);
  connection.database().exec("CREATE TABLE t (a)");
  expect(await kinds()).toEqual([]);
  expect(await kinds({}, true)).toEqual(["checkpoint", "vacuum", "optimize"]);
});

it("a log, free pages and statistics: planned, done, and not planned again", async () => {
  connection.database().exec(
    `CREATE TABLE t (a, b); CREATE INDEX t_b ON t (b);
     WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 500) INSERT INTO t SELECT randomblob(1000), x FROM n;
     DELETE FROM t WHERE b > 100`,
  );
  const low = { sqlite_wal: 100_000, large: 100_000 };
  const tasks = await plan(low);
  expect(tasks.map(({ kind }) => kind)).toEqual(["checkpoint", "vacuum", "optimize"]);
  const freed: number[] = [];
  for (const task of tasks) freed.push((await task.run(testCall())).freed_bytes!);
  expect(freed[1]).toBeGreaterThan(300_000);
  expect(size()).toBeLessThan(250_000);
  expect(await kinds(low)).toEqual([]);
  const database = connection.database();
  expect(database.prepare("SELECT stat FROM sqlite_stat1 WHERE idx = 't_b'").pluck().get()).toBe("100 1");
  expect(database.prepare("SELECT count(*) FROM t").pluck().get()).toBe(100);
});

it("a reader keeps the log: said, and no failure", async () => {
  connection.database().exec("CREATE TABLE t (a)");
  const reader = new Database(path, { readonly: true });
  reader.exec("BEGIN");
  reader.prepare("SELECT count(*) FROM t").get();
  connection.database().exec("INSERT INTO t VALUES (1)");
  const [checkpoint] = await plan({ sqlite_wal: 1 });
  expect(await checkpoint!.run(testCall())).toMatchObject({
    note: expect.stringContaining("another process reads"),
  });
  reader.close();
});

it("a writer keeps VACUUM away: locked, and the file is as it was", async () => {
  connection.database().exec("CREATE TABLE t AS SELECT randomblob(100000) AS x");
  const [vacuum] = (await plan({}, true)).filter(({ kind }) => kind === "vacuum");
  const writer = new Database(path);
  writer.exec("BEGIN IMMEDIATE");
  await expect(vacuum!.run(testCall())).rejects.toMatchObject({ code: "locked" });
  writer.close();
  expect(await vacuum!.run(testCall())).toMatchObject({ note: null });
});

it("an index without its entries: made anew, or when it is broken off, as it was", async () => {
  const store = sqliteMemory(connection);
  // more than are indexed between two looks at the deadline
  const writes = Array.from({ length: 150 }, (_, n) =>
    remember({ key: `issue:${n}`, content: `restart worker ${n}`, eventId: `event ${n}` }),
  );
  await store.apply(testCall(), writes);
  const database = connection.database();
  const entries = () => database.prepare("SELECT rowid, * FROM memori_index").all();
  const whole = entries();
  expect(await kinds()).toEqual([]);
  database.exec("DELETE FROM memori_index WHERE rowid > 120");

  const [task, ...more] = await plan();
  expect(more).toEqual([]);
  expect(task).toMatchObject({
    kind: "reindex",
    why: "30 of 150 records have no entry, 0 entries no record; ranking counts 150 records",
  });
  const controller = new AbortController();
  const call = createCall({ ...testCall(), signal: controller.signal });
  const running = task!.run(call);
  controller.abort(new OpsError({ code: "interrupted", message: "stopped" }));
  await expect(running).rejects.toMatchObject({ code: "interrupted" });
  expect(entries()).toEqual(whole.slice(0, 120));

  expect(await task!.run(testCall())).toMatchObject({ note: "150 records indexed" });
  expect(entries()).toEqual(whole);
  expect(await kinds()).toEqual([]);
  expect((await store.terms(testCall(), ["worker"])).frequencies.get("worker")).toBe(150);
});
