/** Restores into SQLite files that are cut off, and drills. */
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Thread, useThread } from "../../src/engines/sqlite/backup-thread.ts";
import { sqliteDrill } from "../../src/engines/sqlite/restore-drill.ts";
import type { OpsError } from "../../src/errors.ts";
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
const contents = (path = files.live) => rowsOf(path, "SELECT DISTINCT content FROM t");
const digest = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");
const failure = (work: Promise<unknown>) =>
  work.then(
    () => expect.fail("it did not fail"),
    (error: OpsError) => error,
  );

describe("a process that dies when it says how far it is", () => {
  const before: [name: string, make: () => void][] = [
    ["no file", () => {}],
    ["a damaged file", () => files.damage(files.live)],
    ["a file", () => files.fill(files.live, "old", 100, WAL)],
  ];
  const deaths = before.flatMap(([name, make]) =>
    [1, 2, 3].flatMap((at) => [
      { name, make, at, isWritten: false },
      { name, make, at, isWritten: true },
    ]),
  );

  test.each(deaths)("$name, write $at, in the journal: $isWritten", async ({ make, at, isWritten }) => {
    make();
    const was = existsSync(files.live) ? digest(files.live) : null;
    files.fill(files.staged, "new");
    let writes = 0;
    const dying = await files.part({
      async save(_call, saved) {
        writes += 1;
        if (writes < at || isWritten) files.saved = structuredClone(saved);
        if (writes === at) throw new Error("killed");
      },
    });
    await failure(dying.prepare(testCall()).then(() => dying.swap(testCall())));
    // another process undoes it, twice, and then does it
    const { undo } = files.saved;
    for (const _ of [1, 2]) await (await files.part()).rollback(testCall());
    if (undo !== "safety") expect(existsSync(files.live) ? digest(files.live) : null).toBe(was);
    const again = await files.part();
    await again.prepare(testCall());
    await again.swap(testCall());
    expect(contents()).toEqual(["new"]);
    expect(rowsOf(files.live, "PRAGMA integrity_check")).toEqual(["ok"]);
  });
});

describe("drill", () => {
  const drill = (changes: Parameters<RestoreFolder["task"]>[0] = {}) =>
    sqliteDrill(testCall(), files.task(changes), undefined, { connectMs: 1, queryMs: 1, poolSize: 1 });

  test("a good file", async () => {
    files.fill(files.staged, "new", 100, WAL);
    const before = digest(files.staged);
    const expected = { counts: { tables: 2, rows: 100 }, breakdown: { t: 100, log: 0 } };
    const where = "a SQLite file of its own";
    expect(await drill({ expected })).toEqual({ ...expected, loaded: true, where, problems: [], notes: [] });
    expect(digest(files.staged)).toBe(before);
  });

  test.each<[name: string, make: () => void, problems: RegExp[]]>([
    ["a damaged page", () => files.damage(files.staged), [/sqlite\/app\.db is damaged/]],
    [
      "no database",
      () => writeFileSync(files.staged, "x".repeat(8192)),
      [/app\.db is not a SQLite database/],
    ],
    ["cut off", () => truncate(files.staged), [/app\.db is damaged/]],
    ["fewer rows", () => files.fill(files.staged, "new", 98), [/^rows: it holds 98/, /^t: it holds 98/]],
    [
      "a missing table",
      () => files.sql(files.staged, "CREATE TABLE log (line)"),
      [/^tables: it holds 1/, /^rows: it holds 0/, /^table t is missing/],
    ],
  ])("%s", async (_name, make, problems) => {
    make();
    const expected = { counts: { tables: 2, rows: 100 }, breakdown: { t: 100, log: 0 } };
    const found = await drill({ expected });
    expect(found.problems).toEqual(problems.map((problem) => expect.stringMatching(problem)));
  });
});

function truncate(path: string): void {
  files.fill(path, "new");
  writeFileSync(path, readFileSync(path).subarray(0, 4096 * 10));
}
