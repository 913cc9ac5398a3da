/** `cleanup` beside archives (which backup-retention.test.ts has): every kind is looked for, removed once, and nothing else goes. */
import { spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { sqliteConnection } from "../../src/engines/sqlite/connect.ts";
import { sqliteMemory } from "../../src/engines/sqlite/memory.ts";
import { sqliteSamples } from "../../src/engines/sqlite/samples.ts";
import { sha256 } from "../../src/hash.ts";
import { remember } from "../contract/memory-store.ts";
import { testCall } from "../support/calls.ts";
import { collect, Sandbox } from "../support/cli.ts";
import { freePort } from "../support/servers.ts";
import { DAY, writeSet } from "../unit/backup/sets.ts";

let box: Sandbox;
let folder: string;
let env: Record<string, string>;
const now = Date.now();
beforeEach(() => {
  box = new Sandbox();
  folder = join(box.cwd, "backups");
  const temporary = join(box.dir, "tmp");
  for (const path of [folder, temporary]) mkdirSync(path);
  env = { TMPDIR: temporary };
});
afterEach(() => box.remove());

type Kind = { kind: string; engine: string | null; found: number; removed: number; error: string | null };
const clean = (...args: string[]) => box.json("cleanup", ["cleanup", ...args], { env });
/** Counts of the kinds that found something. */
const counts = ({ kinds }: Record<string, Kind[]>, which: "found" | "removed") =>
  Object.fromEntries(kinds!.filter(({ found }) => found > 0).map((kind) => [kind.kind, kind[which]]));

/** One of every kind that needs no server, and beside each one that has to stay. @returns paths that stay */
async function litter(): Promise<{ goes: string[]; stays: string[] }> {
  for (const [nth, days] of [30, 0].entries())
    writeSet(folder, { at: now - days * DAY, sequence: nth + 1, name: `set-${nth + 1}` });
  const memory = sqliteConnection(box.db);
  const write = (name: string) => remember({ key: `issue:${name}`, content: "restart", eventId: name });
  await sqliteMemory(memory).apply(testCall(), ["old", "young", "kept"].map(write));
  const forget = memory.database().prepare("UPDATE memori_metadata SET deleted_at = ? WHERE key = ?");
  forget.run(now - 91 * DAY, "issue:old");
  forget.run(now - 89 * DAY, "issue:young");
  await memory.close();
  const work = (parent: string, name: string, ageDays: number) => {
    const path = join(parent, name);
    mkdirSync(path);
    writeFileSync(join(path, "piece"), "half");
    for (const one of [join(path, "piece"), path])
      utimesSync(one, now / 1000 - ageDays * 86_400, now / 1000 - ageDays * 86_400);
    return path;
  };
  const restores = `.opsctl-restore-${sha256(`${hostname()}:${box.state}`).slice(0, 8)}-`;
  const safety = work(folder, `${restores}0000000b`, 0);
  writeFileSync(join(safety, "before.tar.zst"), "all there is");
  const dead = await deadPid();
  const note = join(box.dir, ".opsctl.lock.holder");
  writeFileSync(
    note,
    JSON.stringify({ pid: dead, who: `tester@${hostname()}`, since: "2026-01-01T00:00:00Z" }),
  );
  const log = join(box.dir, "operations.log.1");
  writeFileSync(log, '{"at":1}\n{"at":2}\n');
  utimesSync(log, now / 1000 - 31 * 86_400, now / 1000 - 31 * 86_400);
  return {
    goes: [
      work(folder, ".opsctl-set-abc123", 0),
      work(folder, `${restores}0000000a`, 0),
      work(env["TMPDIR"]!, ".opsctl-drill-abc123", 0),
      work(env["TMPDIR"]!, "opsctl-live-abc123", 2),
      note,
      log,
    ],
    stays: [
      safety,
      work(folder, ".opsctl-restore-deadbeef-0000000a", 0),
      work(env["TMPDIR"]!, "opsctl-live-def456", 0),
      work(env["TMPDIR"]!, "opsctl-something", 9),
      join(folder, "set-2.tar.gz"),
    ],
  };
}

/** Of a process that was here. */
async function deadPid(): Promise<number> {
  const child = spawn("true");
  const { pid } = child;
  await collect(child);
  return pid!;
}

const tree = () =>
  [box.dir, folder, env["TMPDIR"]!].flatMap((path) =>
    readdirSync(path)
      .filter((name) => name !== "operations.log" && name !== "node-compile-cache")
      .map((name) => [name, statSync(join(path, name)).size]),
  );

const FOUND = { locks: 1, spools: 4, archives: 1, operations: 2, tombstones: 1 };

it("finds every kind, a dry run touches nothing, and what it counts is what goes", async () => {
  const { goes, stays } = await litter();
  const before = [tree(), readFileSync(box.db)];
  const dry = await clean("--dry-run");
  expect([tree(), readFileSync(box.db)]).toEqual(before);
  expect([counts(dry, "found"), counts(dry, "removed"), dry["swept"]]).toEqual([
    FOUND,
    Object.fromEntries(Object.keys(FOUND).map((kind) => [kind, 0])),
    [],
  ]);
  const done = await clean();
  expect([counts(done, "found"), counts(done, "removed")]).toEqual([FOUND, FOUND]);
  expect(done["swept"].toSorted()[1]).toBe(".opsctl-set-abc123");
  expect(goes.filter((path) => existsSync(path))).toEqual([]);
  expect(stays.filter((path) => !existsSync(path))).toEqual([]);
  const memory = new Database(box.db, { readonly: true });
  expect(memory.prepare("SELECT key FROM memori_metadata ORDER BY key").pluck().all()).toEqual([
    "issue:kept",
    "issue:young",
  ]);
  memory.close();
  expect(counts(await clean(), "found")).toEqual({});
});

it("--only takes the kinds that are named, repeated or with commas", async () => {
  const { goes } = await litter();
  const { kinds, archives } = await clean("--only", "tombstones,locks", "--only", "samples");
  expect(kinds.map(({ kind, removed }: Kind) => [kind, removed])).toEqual([
    ["locks", 1],
    ["samples", 0],
    ["tombstones", 1],
  ]);
  expect(archives).toEqual([]);
  expect(goes.filter((path) => existsSync(path))).toHaveLength(5);
  const { code, stderr } = await box.run(["cleanup", "--only", "sampels"], { env });
  expect([code, stderr]).toEqual([2, expect.stringContaining("did you mean samples?")]);
});

it("samples older than OPSCTL_KEEP_SAMPLES", async () => {
  const connection = sqliteConnection(box.state);
  const samples = sqliteSamples(connection);
  await samples.add(
    testCall(),
    [31, 29, 1].map((days) => ({ at: now - days * DAY, target: "a", metric: "x", value: days })),
  );
  expect(counts(await clean("--dry-run"), "found")).toEqual({ samples: 1 });
  env["OPSCTL_KEEP_SAMPLES"] = "2d";
  expect(counts(await clean(), "removed")).toEqual({ samples: 2 });
  expect((await samples.since(testCall(), "a", 0)).map(({ value }) => value)).toEqual([1]);
  await connection.close();
});

describe("a server that is away", () => {
  it("is said on stderr, and the rest goes on; the exit code is 3", async () => {
    await litter();
    env["DATABASE_URL"] = `postgresql://u:p@127.0.0.1:${await freePort()}/app`;
    const done = await box.json("cleanup", ["cleanup"], { env, code: 3 });
    expect(done["degraded"]).toMatchObject([{ engine: "postgres", code: "unreachable" }]);
    const away = done["kinds"].filter(({ engine }: Kind) => engine === "postgres");
    expect(away.map(({ kind, error }: Kind) => [kind, error !== null])).toContainEqual(["tombstones", true]);
    expect(counts(done, "removed")).toMatchObject({ spools: 4, archives: 1 });
    const ran = await box.run(["cleanup"], { env });
    expect([ran.code, ran.stderr]).toEqual([3, expect.stringContaining("postgres is missing here")]);
  });
});

it("a state file that is damaged fails the kinds that need it, and no other", async () => {
  await litter();
  writeFileSync(box.state, "this is no database, and long enough to be read as one".repeat(100));
  const { code, stdout } = await box.run(["cleanup", "--json"], { env });
  expect(code).toBe(23);
  const kinds = JSON.parse(stdout).kinds as Kind[];
  expect(kinds.filter(({ error }) => error !== null).map(({ kind }) => kind)).toEqual(["spools", "samples"]);
  expect(kinds.find(({ kind }) => kind === "archives")).toMatchObject({ removed: 1 });
});
