/** Samples of statistics in the state file. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type SqliteConnection, sqliteConnection } from "../../src/engines/sqlite/connect.ts";
import { sqliteSamples } from "../../src/engines/sqlite/samples.ts";
import { testCall } from "../support/calls.ts";

let dir: string;
let connection: SqliteConnection;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "opsctl-samples-"));
  connection = sqliteConnection(join(dir, "state.db"));
});
afterEach(async () => {
  await connection.close();
  rmSync(dir, { recursive: true });
});

const sample = (at: number, metric = "bytes", target = "a", value = at) => ({ at, metric, target, value });

it("another process finds them: of one target, since a time, oldest first, of one metric or of all", async () => {
  const store = sqliteSamples(connection);
  await store.add(testCall(), [
    sample(30),
    sample(10),
    sample(20, "rows"),
    sample(20, "bytes", "b"),
    sample(5),
  ]);
  await connection.close();
  const other = sqliteSamples(connection);
  expect(await other.since(testCall(), "a", 10)).toEqual([sample(10), sample(20, "rows"), sample(30)]);
  expect(await other.since(testCall(), "a", 0, "bytes")).toEqual([sample(5), sample(10), sample(30)]);
  expect(await other.since(testCall(), "c", 0)).toEqual([]);
});

it("the same figure at the same time is one sample", async () => {
  const store = sqliteSamples(connection);
  for (const value of [1.5, 2]) await store.add(testCall(), [sample(10, "x", "a", value)]);
  expect(await store.since(testCall(), "a", 0)).toEqual([sample(10, "x", "a", 1.5)]);
});

it("more than one step of old ones are counted and pruned, and not one more", async () => {
  const store = sqliteSamples(connection);
  const many = Array.from({ length: 25_000 }, (_, at) => sample(at));
  await store.add(testCall(), many);
  expect(await store.countBefore(testCall(), 24_990)).toBe(24_990);
  expect(await store.prune(testCall(), 24_990)).toBe(24_990);
  expect(await store.countBefore(testCall(), 24_990)).toBe(0);
  expect((await store.since(testCall(), "a", 0)).length).toBe(10);
});
