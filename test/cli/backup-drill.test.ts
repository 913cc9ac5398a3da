/** `backup drill` as an operator meets it, on archives of SQLite files: the built program, nothing else. */
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { sidecarPath } from "../../src/backup/archives.ts";
import { backupsOf, sidecarOf } from "../support/backup.ts";
import { Sandbox } from "../support/cli.ts";
import { damage } from "./backup-drill-kit.ts";

const box = new Sandbox({ shared: true });
/** Where drills work. */
const work = join(box.dir, "work-of-drills");
const env = { OPSCTL_RESTORE_DIR: work };
/** Good ones: a file, and a plain folder elsewhere. */
let packed: string;
let plain: string;

beforeAll(async () => {
  const database = new Database(join(box.cwd, "app.db"));
  database.exec(
    "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT); CREATE INDEX users_name ON users (name);" +
      "INSERT INTO users (name) VALUES ('ann'), ('bob'), ('cid'); CREATE TABLE empty (x)",
  );
  database.close();
  packed = await make("--name", "packed");
  plain = await make("--name", "plain", "--format", "dir", "--dir", "originals");
});
// whatever came out: nothing of a drill stays
afterEach(() => expect(readdirSync(work)).toEqual([]));
afterAll(() => box.remove());

const BACKUP = ["backup", "sqlite", "--sqlite", "app.db"];

async function make(...args: string[]): Promise<string> {
  mkdirSync(work, { recursive: true });
  return String((await box.json("backup", [...BACKUP, ...args], { env }))["path"]);
}

const drill = (args: string[] = [], code = 0) =>
  box.json("backup drill", ["backup", "drill", ...args], { env, code });

/** A copy of an archive, in a folder of its own. */
function copyOf(archive: string, folder: string): string {
  const to = join(box.dir, folder, basename(archive));
  cpSync(archive, to, { recursive: true });
  cpSync(sidecarPath(archive), sidecarPath(to));
  return to;
}

describe("a good archive", () => {
  it("passes, and everything that looks at it says so", async () => {
    expect(await drill()).toMatchObject({
      name: "packed",
      ok: true,
      level: "drill",
      trusted: "catalogue",
      recorded: true,
      parts: [
        {
          engine: "sqlite",
          name: "app.db",
          result: "ok",
          loaded: true,
          breakdown: { users: 3, empty: 0 },
          compared: 4,
          error: null,
        },
      ],
    });
    await box.ok(["backup", "verify"]);
    // a look that is less close takes nothing back
    expect(sidecarOf(packed)).toMatchObject({
      verified: { level: "drill" },
      damaged: null,
      drill: { ok: true, parts: [{ engine: "sqlite", name: "app.db", loaded: true, ok: true }] },
    });
    const drilled = sidecarOf(packed).drill!;
    const cells = (await box.ok(["backup", "list"])).trimEnd().split("\t");
    expect(cells.at(-1)).toBe(`ok ${drilled.at}`);
    const shown = await box.json("backup show", ["backup", "show", "packed"]);
    const estimate = { duration_ms: drilled.duration_ms, from: "packed", without: [] };
    expect(shown).toMatchObject({ drill: drilled, restore_estimate: estimate });
    const stats = await box.json("stats", ["stats"]);
    expect(stats["drilled_backup"]).toMatchObject({ name: "packed", drilled_at: drilled.at });
  });

  it("has one line a part in a pipe, also where it lies elsewhere", async () => {
    const cells = (await box.ok(["backup", "drill", plain], { env })).trimEnd().split("\t");
    expect(cells).toEqual([
      "sqlite app.db",
      expect.any(String),
      "loaded",
      "ok",
      expect.stringMatching(/^\d+$/),
      "4 counts compared",
    ]);
  });

  it("is drilled within the backup by --drill, and outlives the policy then", async () => {
    const dir = ["--dir", "drilled", "--keep-last", "1"];
    const made = await box.json("backup", [...BACKUP, ...dir, "--drill"], { env });
    expect(made).toMatchObject({ verified: { level: "drill" }, drill: { ok: true } });
    expect(await box.json("backup", [...BACKUP, ...dir])).toMatchObject({ removed: [], drill: null });
    const kept = await box.json("cleanup", ["cleanup", ...dir, "--dry-run"]);
    expect(kept["archives"]).toMatchObject([
      { action: "keep" },
      { name: made["name"], action: "keep", reasons: ["the last drilled archive"] },
    ]);
  });
});

const inFile = (sql: string) => (file: string) => {
  const database = new Database(file);
  database.unsafeMode();
  database.exec(sql);
  database.close();
};

describe("a damaged archive whose checksums are right", () => {
  it.each([
    { what: "a missing table", change: inFile("DROP TABLE empty"), problem: "empty is missing" },
    {
      what: "wrong counts",
      change: inFile("DELETE FROM users WHERE name = 'bob'"),
      problem: "users: it holds 2, and the metadata says 3",
    },
    {
      what: "an index that is not valid",
      // rows that were written while nobody knew of the index are not in it
      change: inFile(
        `PRAGMA writable_schema = ON;
         CREATE TABLE hidden AS SELECT * FROM sqlite_schema WHERE name = 'users_name';
         DELETE FROM sqlite_schema WHERE name = 'users_name';
         PRAGMA writable_schema = RESET; UPDATE users SET name = 'eve' WHERE name = 'bob';
         PRAGMA writable_schema = ON; INSERT INTO sqlite_schema SELECT * FROM hidden;
         PRAGMA writable_schema = RESET; DROP TABLE hidden`,
      ),
      problem: "index users_name",
    },
    {
      what: "half a file",
      change: (file: string) => {
        const content = readFileSync(file);
        writeFileSync(file, content.subarray(0, content.length / 2));
      },
      problem: "malformed",
    },
  ])("fails: $what", async ({ what, change, problem }) => {
    const path = copyOf(plain, what);
    await damage(path, /app\.db$/, change);
    await box.ok(["backup", "verify", path]);
    const { code, stdout, stderr } = await box.run(["backup", "drill", path, "--trust-archive"], { env });
    expect([code, stdout.split("\t")[3]]).toEqual([23, "damaged"]);
    expect(stderr).toMatch(/^error: .*\/plain is damaged: sqlite app\.db: .*\nTry: /m);
    expect(stderr).toContain(problem);
    const { damaged, drill: record } = sidecarOf(path);
    expect(damaged).toMatchObject({ level: "drill", message: expect.stringContaining(problem) });
    expect(record).toMatchObject({ ok: false, parts: [{ ok: false }] });
    const dir = join(box.dir, what);
    const [row] = (await box.json("backup list", ["backup", "list", "--dir", dir]))["backups"];
    expect(row).toMatchObject({ state: "damaged", latest: false, problem: damaged!.message });
  });

  it("has all of it in the object", async () => {
    const path = copyOf(plain, "object");
    await damage(path, /app\.db$/, inFile("DROP TABLE empty"));
    const found = await drill([path, "--trust-archive"], 23);
    expect(found).toMatchObject({ ok: false, level: null, trusted: "operator", recorded: true });
    expect(found["parts"]).toMatchObject([
      {
        result: "damaged",
        problems: ["table empty is missing", "tables: it holds 1, and the metadata says 2"],
      },
    ]);
  });
});

describe("an archive that is not restored at all", () => {
  it("has bytes that were changed: 23, in the object, too", async () => {
    const path = copyOf(packed, "flipped");
    const bytes = readFileSync(path);
    bytes[bytes.length >> 1]! ^= 1;
    writeFileSync(path, bytes);
    const found = await drill([path], 23);
    expect(found).toMatchObject({ ok: false, trusted: null, parts: [] });
    expect(found["problems"]).toHaveLength(1);
    expect(sidecarOf(path).damaged).toMatchObject({ level: "checksums" });
  });

  it("is of unknown origin, until somebody says that it is not", async () => {
    const path = copyOf(packed, "foreign");
    rmSync(sidecarPath(path));
    const foreign = { env: { ...env, OPSCTL_STATE: join(box.dir, "other.db") } };
    const { code, stderr } = await box.run(["backup", "drill", path], foreign);
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining("--trust-archive") });
    const args = ["backup", "drill", path, "--trust-archive"];
    expect(await box.json("backup drill", args, foreign)).toMatchObject({ ok: true, trusted: "operator" });
    // it had no sidecar, and has one now
    expect(sidecarOf(path)).toMatchObject({ verified: { level: "drill" }, drill: { ok: true } });
  });

  it("was packed anew by another program, and has nothing beside it to record in", async () => {
    const path = join(box.dir, "packed-anew.tar.gz");
    execFileSync("tar", ["-czf", path, "--format=posix", "-C", plain, "."]);
    const drilled = await drill([path, "--only", "sqlite", "--trust-archive"]);
    expect(drilled).toMatchObject({ ok: true, level: "drill", recorded: true });
    const file = join(box.dir, "foreign.tar.gz");
    execFileSync("tar", ["-czf", file, "--format=posix", "--exclude=metadata.json", "-C", plain, "."]);
    expect(await drill([file, "--trust-archive"])).toMatchObject({ ok: true, level: null, recorded: false });
    expect(existsSync(sidecarPath(file))).toBe(false);
  });

  it.each([
    { args: [""], code: 2, message: "name is empty" },
    { args: ["nowhere"], code: 25, message: "there is no archive" },
    { args: ["latest", "--dir", "empty"], code: 25, message: "no complete and verified archive" },
    { args: ["packed", "--only", "redis"], code: 25, message: "holds no part of redis" },
    { args: ["packed", "--only", "rediss"], code: 2, message: "is no engine" },
    {
      args: ["packed"],
      settings: { NEO4J_URI: "bolt://10.0.0.1", DRILL_NEO4J_URI: "bolt://u:secret@10.0.0.1:7687" },
      code: 2,
      message: "DRILL_NEO4J_URI is the server of NEO4J_URI",
    },
  ])("$args: $code", async ({ args, code, message, settings }) => {
    mkdirSync(join(box.cwd, "empty"), { recursive: true });
    const ran = await box.run(["backup", "drill", ...args], { env: { ...env, ...settings } });
    expect([ran.code, ran.stdout]).toEqual([code, ""]);
    expect(ran.stderr).toContain(message);
    expect(ran.stderr).not.toContain("secret");
  });
});

it("a drill holds up no backup and no other drill, and sweeps what a killed one left", async () => {
  mkdirSync(join(work, ".opsctl-drill-killed", "files"), { recursive: true });
  writeFileSync(join(work, ".opsctl-drill-killed", "files", "1"), "all the data");
  const [one, two] = await Promise.all([drill(["packed"]), drill(["packed"]), make("--name", "meanwhile")]);
  expect([one["ok"], two["ok"]]).toEqual([true, true]);
  expect(readdirSync(backupsOf(box))).toContain("meanwhile.tar.gz");
});
