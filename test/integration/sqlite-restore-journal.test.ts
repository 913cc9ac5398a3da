import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type SqliteConnection, sqliteConnection } from "../../src/engines/sqlite/connect.ts";
import { sqliteRestoreJournal } from "../../src/engines/sqlite/restore-journal.ts";
import type { PartRecord, RestoreRecord } from "../../src/restore/journal.ts";
import { testCall } from "../support/calls.ts";

let dir: string;
let connection: SqliteConnection;
/** As another process would find it. */
const others: SqliteConnection[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "opsctl-restores-"));
  connection = sqliteConnection(join(dir, "state.db"));
});
afterEach(async () => {
  for (const other of [connection, ...others.splice(0)]) await other.close();
  rmSync(dir, { recursive: true });
});

function elsewhere() {
  const other = sqliteConnection(join(dir, "state.db"));
  others.push(other);
  return sqliteRestoreJournal(other);
}

const part = (engine: PartRecord["engine"], name: string): PartRecord => ({
  engine,
  name,
  identity: `${engine}:localhost/${name}`,
  source: name,
  kinds: ["postgres-custom", "postgres-plain"],
  undo: "kept",
  safety: null,
  state: "planned",
  saved: {},
});

const restore = (id: string, parts: PartRecord[] = []): RestoreRecord => ({
  id,
  name: "20261121_030000",
  path: "/backups/20261121_030000.tar.gz",
  sha256: "a".repeat(64),
  folder: `/backups/.opsctl-restore-${id}`,
  state: "preparing",
  actor: "tester@host",
  started_at: 1_795_230_000_000,
  finished_at: null,
  request: JSON.stringify({ only: ["postgres"] }),
  parts,
});

test("nothing was restored on a new host", async () => {
  expect(await sqliteRestoreJournal(connection).list(testCall())).toEqual([]);
});

test("another process finds every field, the restores and the parts in their order", async () => {
  const journal = sqliteRestoreJournal(connection);
  const first = restore("ffffffff", [
    part("redis", "0"),
    part("postgres", "globals"),
    part("postgres", "app"),
  ]);
  const second = { ...restore("00000000"), state: "done" as const, finished_at: 7 };
  await journal.begin(testCall(), first);
  await journal.begin(testCall(), second);
  expect(await elsewhere().list(testCall())).toEqual([first, second]);
});

test("changes reach the one row that they are for, and leave the rest", async () => {
  const journal = sqliteRestoreJournal(connection);
  const parts = [part("postgres", "app"), part("neo4j", "app")];
  await journal.begin(testCall(), restore("aaaaaaaa", parts));
  await journal.begin(testCall(), restore("bbbbbbbb", parts));
  await journal.update(testCall(), "aaaaaaaa", { state: "swapping" });
  const saved = { database: "app__opsctl_aaaaaaaa", count: 3, isEmpty: false, none: null };
  const neo4j = { engine: "neo4j", name: "app" } as const;
  await journal.updatePart(testCall(), "aaaaaaaa", neo4j, { saved });
  await journal.updatePart(testCall(), "aaaaaaaa", neo4j, { safety: "before.tar.zst" });
  await journal.updatePart(testCall(), "aaaaaaaa", neo4j, { state: "swapping" });
  expect(await elsewhere().list(testCall())).toEqual([
    {
      ...restore("aaaaaaaa"),
      state: "swapping",
      parts: [parts[0], { ...parts[1], saved, safety: "before.tar.zst", state: "swapping" }],
    },
    restore("bbbbbbbb", parts),
  ]);
  await journal.update(testCall(), "aaaaaaaa", { state: "undone", finished_at: 9 });
  await journal.updatePart(testCall(), "aaaaaaaa", neo4j, { saved: {} });
  const [again] = await elsewhere().list(testCall());
  expect(again).toMatchObject({ state: "undone", finished_at: 9 });
  expect(again!.parts[1]).toMatchObject({ state: "swapping", saved: {} });
});

test("a restore begins whole or not at all", async () => {
  const journal = sqliteRestoreJournal(connection);
  const twice = restore("aaaaaaaa", [part("redis", "0"), part("redis", "0")]);
  await expect(journal.begin(testCall(), twice)).rejects.toThrow(/UNIQUE/);
  expect(await journal.list(testCall())).toEqual([]);
});

test("what is not there cannot be changed", async () => {
  const journal = sqliteRestoreJournal(connection);
  await journal.begin(testCall(), restore("aaaaaaaa", [part("redis", "0")]));
  const absent = { engine: "redis", name: "1" } as const;
  await expect(journal.update(testCall(), "bbbbbbbb", {})).rejects.toThrow(/no row bbbbbbbb/);
  await expect(journal.updatePart(testCall(), "aaaaaaaa", absent, { state: "prepared" })).rejects.toThrow(
    /no row aaaaaaaa redis 1/,
  );
});
