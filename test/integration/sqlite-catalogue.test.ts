import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { CatalogueEntry } from "../../src/backup/port.ts";
import { sqliteCatalogue } from "../../src/engines/sqlite/catalogue.ts";
import { type SqliteConnection, sqliteConnection } from "../../src/engines/sqlite/connect.ts";
import { sqliteJournal } from "../../src/engines/sqlite/journal.ts";
import { sqliteMigrations } from "../../src/engines/sqlite/migrations.ts";
import { DEFAULT_LIMITS, run } from "../../src/migrate/runner.ts";
import { shippedSource } from "../../src/migrate/source.ts";
import { testCall } from "../support/calls.ts";

let dir: string;
let path: string;
let connection: SqliteConnection;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "opsctl-catalogue-"));
  path = join(dir, "state.db");
  connection = sqliteConnection(path);
});
afterEach(async () => {
  await connection.close();
  rmSync(dir, { recursive: true });
});

const ENTRY: CatalogueEntry = {
  name: "20261121_030000",
  path: "/backups/20261121_030000.tar.gz",
  sha256: "a".repeat(64),
  sequence: 1,
  created_at: 1_795_230_000_000,
  state: "complete",
};

function rows(): unknown[] {
  const database = new Database(path, { readonly: true });
  try {
    return database.prepare("SELECT * FROM opsctl_archives ORDER BY sequence").all();
  } finally {
    database.close();
  }
}

test("numbers only rise: above all that were given, and above the folder's", async () => {
  const catalogue = sqliteCatalogue(connection);
  const next = (least: number) => catalogue.nextSequence(testCall(), least);
  expect([await next(0), await next(0), await next(41), await next(7), await next(-5)]).toEqual([
    1, 2, 42, 43, 44,
  ]);
  await connection.close();
  expect(await sqliteCatalogue(sqliteConnection(path)).nextSequence(testCall(), 0)).toBe(45);
});

test("two processes never get the same number", async () => {
  const others = Array.from({ length: 4 }, () => sqliteConnection(path));
  const numbers = await Promise.all(
    others.flatMap((other) =>
      Array.from({ length: 5 }, () => sqliteCatalogue(other).nextSequence(testCall(), 0)),
    ),
  );
  await Promise.all(others.map((other) => other.close()));
  expect(numbers.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
});

test("knows what was made here, by its digest; recording twice changes nothing", async () => {
  const catalogue = sqliteCatalogue(connection);
  expect(await catalogue.knows(testCall(), ENTRY.sha256)).toBe(false);
  await catalogue.add(testCall(), ENTRY);
  await catalogue.add(testCall(), ENTRY);
  await catalogue.add(testCall(), { ...ENTRY, sequence: 2, sha256: "b".repeat(64), state: "incomplete" });
  expect(await catalogue.knows(testCall(), ENTRY.sha256)).toBe(true);
  expect(await catalogue.knows(testCall(), "c".repeat(64))).toBe(false);
  expect(rows()).toEqual([ENTRY, { ...ENTRY, sequence: 2, sha256: "b".repeat(64), state: "incomplete" }]);
});

test("a state file of the first version is brought up to date, with what waits in it", async () => {
  const target = sqliteMigrations(connection);
  await target.prepare(testCall(), ["state"], false);
  await run(testCall(), target, shippedSource("sqlite", "state"), "up", {
    extent: { to: "V001" },
    lockWaitMs: 1_000,
    limits: DEFAULT_LIMITS,
    onDone: () => {},
  });
  connection.database().exec(`
    INSERT INTO opsctl_journal (write_time, payload) VALUES (5, '{}');
    INSERT INTO opsctl_journal_targets (store, seq, owner, owned_to) VALUES ('s', 1, 0, 0)`);
  await connection.close();
  expect(await target.history(testCall())).toMatchObject([{ set_name: "state", version: "V001" }]);
  expect(await sqliteCatalogue(sqliteConnection(path)).nextSequence(testCall(), 0)).toBe(1);
  expect(await target.history(testCall())).toMatchObject([
    { version: "V001" },
    { version: "V002" },
    { version: "V003" },
    { version: "V004" },
  ]);
  expect(await sqliteJournal(sqliteConnection(path)).counts(testCall())).toEqual([
    { store: "s", waiting: 1, rejected: 0 },
  ]);
  expect(await target.verify(testCall(), "state")).toEqual({
    queued: 1,
    archives: 0,
    restores: 0,
    samples: 0,
  });
});
