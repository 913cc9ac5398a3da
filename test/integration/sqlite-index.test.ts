/** The index that recall searches: of other versions, made anew beside the old one, renewed in place. */
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createCall, type Progress } from "../../src/call.ts";
import { type SqliteConnection, sqliteConnection } from "../../src/engines/sqlite/connect.ts";
import { indexCounts } from "../../src/engines/sqlite/full-text-index.ts";
import { rebuildIndex } from "../../src/engines/sqlite/index-rebuild.ts";
import { renewIndex } from "../../src/engines/sqlite/index-renewal.ts";
import { sqliteMemory } from "../../src/engines/sqlite/memory.ts";
import { OpsError } from "../../src/errors.ts";
import { INDEX_VERSION } from "../../src/memory/analyze.ts";
import { checkIndex, damage, fix, found, leftovers, outdatedFile, place, store } from "../fault/index-kit.ts";
import { testCall } from "../support/calls.ts";

let file: ReturnType<typeof place>;
let path: string;
let connection: SqliteConnection;
beforeEach(() => {
  file = place();
  ({ path } = file);
  connection = sqliteConnection(path);
});
afterEach(async () => {
  await connection.close();
  file.remove();
});

const counts = () => indexCounts(connection.database());
const versions = () => [
  connection.database().prepare("SELECT index_version FROM memori_statistics").pluck().get(),
  connection.database().prepare("SELECT DISTINCT index_version FROM memori_metadata").pluck().all(),
];

/** A call that is broken off at its `steps`th report. */
function endingCall(steps: number) {
  const controller = new AbortController();
  let reports = 0;
  const progress = ({ unit }: Progress) => {
    // migrations count statements
    if (unit === "rows") reports += 1;
    if (reports === steps) controller.abort(new OpsError({ code: "interrupted", message: "stopped" }));
  };
  return createCall({ ...testCall(), signal: controller.signal, progress });
}

describe("an index of another version", () => {
  it("older: the file is opened and answers, is renewed in place, and then has its shapes", async () => {
    outdatedFile(path, 200);
    const memory = sqliteMemory(connection);
    expect(await memory.terms(testCall(), ["refus"])).toMatchObject({ documents: 200, indexVersion: 1 });
    expect(found(path, "refus")).toBe(200);
    expect(counts()).toMatchObject({ outdated: 200, version: 1, missing: 0, documents: 200 });
    // what is written meanwhile is of this version; what is forgotten and comes back, too
    await memory.apply(testCall(), [fix(1000), { kind: "forget", recordId: fix(7).record.id, order: 2_000 }]);
    await memory.apply(testCall(), [{ ...fix(7), event: { ...fix(7).event, id: "again" } }]);
    expect(checkIndex(path)).toBe(199);
    expect((await memory.terms(testCall(), [])).indexVersion).toBe(1);

    expect(await renewIndex(testCall(), connection)).toBe(199);
    expect(checkIndex(path)).toBe(0);
    expect(versions()).toEqual([INDEX_VERSION, [INDEX_VERSION]]);
    expect((await memory.terms(testCall(), [])).indexVersion).toBe(INDEX_VERSION);
    expect(await renewIndex(testCall(), connection)).toBe(0);
  });

  it("older, broken off: what is done stays, and the next run goes on", async () => {
    outdatedFile(path, 200);
    await expect(renewIndex(endingCall(2), connection)).rejects.toMatchObject({ code: "interrupted" });
    const left = checkIndex(path);
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThan(200);
    expect(await renewIndex(testCall(), connection)).toBe(left);
    expect(checkIndex(path)).toBe(0);
  });

  it("of no records: the first one says which version it has", async () => {
    outdatedFile(path, 1);
    const memory = sqliteMemory(connection);
    await memory.apply(testCall(), [{ kind: "forget", recordId: fix(0).record.id, order: 2_000 }]);
    expect(versions()[0]).toBe(1);
    await memory.apply(testCall(), [fix(2)]);
    expect(versions()[0]).toBe(INDEX_VERSION);
    expect(counts()).toMatchObject({ outdated: 0 });
  });

  it("newer: writes and upkeep are refused, and nothing is changed", async () => {
    await store(path, 0, 5);
    const database = connection.database();
    database.prepare("UPDATE memori_statistics SET index_version = ?").run(INDEX_VERSION + 1);
    const tables = ["metadata", "events", "terms", "statistics", "index"];
    const all = () => tables.map((name) => database.prepare(`SELECT * FROM memori_${name}`).all());
    const before = all();
    const refusal = {
      code: "failed",
      message: expect.stringMatching(`${path}.*${INDEX_VERSION + 1}.*${INDEX_VERSION}`),
      hint: "upgrade opsctl",
    };
    const memory = sqliteMemory(connection);
    const forget = { kind: "forget", recordId: fix(1).record.id, order: 2_000 } as const;
    for (const write of [fix(9), forget]) {
      await expect(memory.apply(testCall(), [write])).rejects.toMatchObject(refusal);
    }
    await expect(rebuildIndex(testCall(), connection)).rejects.toMatchObject(refusal);
    await expect(renewIndex(testCall(), connection)).rejects.toMatchObject(refusal);
    expect(all()).toEqual(before);
    expect(leftovers(path)).toEqual([]);
  });
});

describe("an index made anew", () => {
  it("while records come, go and return: has exactly these", async () => {
    await store(path, 0, 300);
    damage(path);
    const missing = counts()!.missing;
    const memory = sqliteMemory(connection);
    const writes: Promise<unknown>[] = [];
    let n = 0;
    const call = createCall({
      ...testCall(),
      progress: () => {
        n += 1;
        const changes = [
          fix(1000 + n),
          { kind: "forget", recordId: fix(n * 3).record.id, order: 2_000 } as const,
          { kind: "forget", recordId: fix(290 - n * 3).record.id, order: 2_000 } as const,
          { ...fix(290 - n * 3), event: { ...fix(n).event, id: `again ${n}` } },
        ];
        // the old index answers, also for the records that it has
        expect(found(path, "refus")).toBeGreaterThanOrEqual(300 - missing - n);
        for (const change of changes) writes.push(memory.apply(testCall(), [change]).catch((error) => error));
      },
    });
    await rebuildIndex(call, connection);
    await Promise.all(writes);
    expect(n).toBeGreaterThan(2);
    expect(checkIndex(path)).toBe(0);
    expect(leftovers(path)).toEqual([]);
  });

  it("broken off: the old one answers, changes are noted, and the next run goes on", async () => {
    await store(path, 0, 300);
    damage(path);
    await expect(rebuildIndex(endingCall(2), connection)).rejects.toMatchObject({ code: "interrupted" });
    const { rebuilt, missing } = counts()!;
    expect(rebuilt).toBeGreaterThan(0);
    expect(rebuilt).toBeLessThan(300);
    expect(found(path, "refus")).toBe(300 - missing);
    await store(path, 300, 350);
    expect(found(path, "refus")).toBe(350 - missing);
    const reports: number[] = [];
    const call = createCall({ ...testCall(), progress: ({ done }) => reports.push(done) });
    expect(await rebuildIndex(call, connection)).toBe(350);
    expect(reports[0]).toBeGreaterThan(rebuilt!);
    expect(checkIndex(path)).toBe(0);
    expect(leftovers(path)).toEqual([]);
  });

  it("begun by an older opsctl: that one goes, and begins again", async () => {
    await store(path, 0, 200);
    damage(path);
    await expect(rebuildIndex(endingCall(2), connection)).rejects.toMatchObject({ code: "interrupted" });
    connection.database().exec("UPDATE opsctl_index_run SET index_version = 1");
    expect(await rebuildIndex(testCall(), connection)).toBe(200);
    expect(checkIndex(path)).toBe(0);
    expect(leftovers(path)).toEqual([]);
  });

  it("by two processes: one of them does it, the other says so", async () => {
    await store(path, 0, 200);
    damage(path);
    const ran = await Promise.allSettled([
      rebuildIndex(testCall(), connection),
      rebuildIndex(testCall(), connection),
    ]);
    const failed = ran.flatMap((one) => (one.status === "rejected" ? [one.reason] : []));
    expect(failed).toMatchObject([{ code: "locked" }]);
    expect(checkIndex(path)).toBe(0);
    expect(leftovers(path)).toEqual([]);
  });

  it("of a file whose old tables were not all taken away: they go", async () => {
    await store(path, 0, 50);
    const database = new Database(path);
    database.exec("CREATE TABLE opsctl_index_old_data (id INTEGER PRIMARY KEY, block BLOB)");
    database.exec("INSERT INTO opsctl_index_old_data VALUES (1, 'x'), (2, 'y')");
    database.close();
    expect(counts()).toMatchObject({ left: 1, rebuilt: null });
    expect(await rebuildIndex(testCall(), connection)).toBe(50);
    expect(leftovers(path)).toEqual([]);
  });
});
