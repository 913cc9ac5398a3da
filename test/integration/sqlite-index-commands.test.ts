/** An index of another version, and one that is not whole, as the commands meet them. */
import { statSync } from "node:fs";
import Database from "better-sqlite3";
import { afterEach, beforeEach, expect, it } from "vitest";
import { INDEX_VERSION } from "../../src/memory/analyze.ts";
import { checkIndex, damage, leftovers, outdatedFile, startUpkeep, store } from "../fault/index-kit.ts";
import { Sandbox } from "../support/cli.ts";

let sandbox: Sandbox;
beforeEach(() => {
  sandbox = new Sandbox({ shared: true });
});
afterEach(() => sandbox.remove());

const tasks = async (...args: string[]) =>
  (await sandbox.json("maintain", ["maintain", "sqlite", "--json", ...args]))["tasks"] as {
    kind: string;
    status: string;
    why: string;
  }[];
/** What doctor finds of the index: its evidence and the commands. */
async function findings(): Promise<[string, string[][]][]> {
  const { stdout } = await sandbox.run(["doctor", "sqlite-full-text", "--json"]);
  return JSON.parse(stdout).findings.map((one: { evidence: string; remedies: { argv: string[] }[] }) => [
    one.evidence,
    one.remedies.map(({ argv }) => argv),
  ]);
}
const MAINTAIN = ["opsctl", "maintain", "sqlite", "--yes"];

it("older: answers, doctor names the command, which makes all entries anew", async () => {
  outdatedFile(sandbox.db, 30);
  expect((await sandbox.json("fixes", ["fixes", "--json"]))["fixes"]).toHaveLength(20);
  const [evidence, remedies] = (await findings())[0]!;
  expect([evidence, remedies]).toEqual(["an older opsctl made the entries of 30 of 30 records", [MAINTAIN]]);
  expect(await tasks("--dry-run")).toMatchObject([{ kind: "renew", status: "planned" }]);
  expect(await tasks("--yes")).toMatchObject([{ kind: "renew", status: "done" }]);
  expect(checkIndex(sandbox.db)).toBe(0);
  expect([await findings(), await tasks("--dry-run")]).toEqual([[], []]);
});

it("older, and no command has opened it yet: maintain brings it up to date by itself", async () => {
  outdatedFile(sandbox.db, 30);
  expect(await tasks("--yes")).toMatchObject([{ kind: "renew", status: "done" }]);
  expect(checkIndex(sandbox.db)).toBe(0);
});

it("newer: every command that reads or writes the index is refused, and nothing is changed", async () => {
  await store(sandbox.db, 0, 5);
  const database = new Database(sandbox.db);
  database.prepare("UPDATE memori_statistics SET index_version = ?").run(INDEX_VERSION + 1);
  database.pragma("wal_checkpoint(TRUNCATE)");
  database.close();
  const before = statSync(sandbox.db).mtimeMs;
  const lines = sandbox.file("lines.ndjson", `{"issue":"a","solution":"b"}\n`);
  for (const args of [
    ["recall", "connection refused"],
    ["remember", "issue:a", "b"],
    ["fixes", "import", lines],
  ]) {
    const { code, stderr } = await sandbox.run(args);
    expect([args[0], code, stderr]).toEqual([args[0], 1, expect.stringContaining("Try: upgrade opsctl")]);
  }
  const { code, stdout, stderr } = await sandbox.run(["maintain", "sqlite", "--yes", "--json"]);
  expect([code === 0, JSON.parse(stdout).tasks]).toEqual([false, []]);
  expect(stdout + stderr).toContain("Try: upgrade opsctl");
  expect(await findings()).toEqual([[expect.stringContaining(`version ${INDEX_VERSION + 1}`), []]]);
  expect(statSync(sandbox.db).mtimeMs).toBe(before);
});

it("made anew by a process that was killed: doctor finds it, the next one finishes it", async () => {
  await store(sandbox.db, 0, 300);
  damage(sandbox.db);
  const { begun, ended, kill } = startUpkeep(sandbox.db, "rebuild");
  await begun;
  kill();
  await ended;
  expect(await findings()).toContainEqual([
    expect.stringMatching(/^a new index was begun: \d+ of 300 records are in it$/),
    [MAINTAIN],
  ]);
  expect(await tasks("--yes")).toMatchObject([
    { kind: "reindex", status: "done", why: expect.stringContaining("begun and not finished") },
  ]);
  expect(leftovers(sandbox.db)).toEqual([]);
  expect(checkIndex(sandbox.db)).toBe(0);
  expect(await findings()).toEqual([]);
});
