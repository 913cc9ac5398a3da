/** `backup list`, `show` and `diff` on archives whose sidecars are written by hand, and on real ones. */
import { mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { sidecarPath } from "../../src/backup/archives.ts";
import { makeSqlite } from "../support/backup.ts";
import { Sandbox } from "../support/cli.ts";
import { DAY, HOUR, sidecarOf, writeSet } from "../unit/backup/sets.ts";

let box: Sandbox;
let folder: string;
const now = Date.now();
beforeEach(() => {
  box = new Sandbox({ shared: true });
  folder = join(box.cwd, "backups");
  mkdirSync(folder);
});
afterEach(() => box.remove());

/** The newest is complete and good, and lies between others. */
function fill() {
  return [
    writeSet(folder, { at: now - 3 * DAY, sequence: 1, name: "first", container: "dir" }),
    writeSet(folder, { at: now - 2 * DAY, sequence: 2, name: "second", container: "tar.zst", size: 5000 }),
    writeSet(folder, { at: now - DAY, sequence: 3, name: "third", state: "incomplete" }),
    writeSet(folder, { at: now - HOUR, sequence: 4, name: "fourth", state: "torn" }),
    writeSet(folder, { at: now, sequence: 5, name: "20250131_030000", state: "unknown" }),
  ];
}

describe("backup list", () => {
  it("shows archives newest first, and what is known of each", async () => {
    fill();
    rmSync(writeSet(folder, { at: now, sequence: 6, name: "sixth" }));
    writeFileSync(join(folder, "notes.json"), "{}");
    writeFileSync(join(folder, "README.txt"), "mine");
    const list = await box.json("backup list", ["backup", "list"]);
    const rows = list["backups"].map((row: Record<string, unknown>) => [
      row["name"],
      row["sequence"],
      row["state"],
      row["latest"],
      row["container"],
      row["problem"],
    ]);
    expect(rows).toEqual([
      ["sixth", 6, "missing", false, "tar.gz", "the archive is missing, only its sidecar is there"],
      ["fourth", 4, "damaged", false, "tar.gz", "it has 3 bytes, and its sidecar says 1000"],
      ["third", 3, "incomplete", false, "tar.gz", null],
      ["second", 2, "complete", true, "tar.zst", null],
      ["first", 1, "complete", false, "dir", null],
      ["20250131_030000", null, "unknown", false, "tar.gz", "it has no sidecar"],
    ]);
    expect(list["backups"][3]).toMatchObject({
      path: join(folder, "second.tar.zst"),
      size_bytes: 5000,
      created_at: new Date(now - 2 * DAY).toISOString(),
      engines: ["postgres", "sqlite"],
      consistency: "consistent",
      skew_ms: 3,
      verified: { level: "checksums" },
      parts: [{ engine: "postgres", name: "app", state: "complete", consistency: "consistent" }, {}],
    });
    expect(list["backups"][3].age_ms).toBeGreaterThanOrEqual(2 * DAY);
    expect(list["backups"][5]).toMatchObject({
      created_at: "2025-01-31T03:00:00.000Z",
      engines: [],
      verified: null,
    });
  });

  it("has one line for each in a pipe, and pages", async () => {
    fill();
    const lines = (await box.ok(["backup", "list", "--limit", "2", "--offset", "2"])).trimEnd().split("\n");
    expect(lines.map((line) => line.split("\t").slice(0, 1))).toEqual([["second"], ["first"]]);
    expect(lines[0]!.split("\t").slice(2, 6)).toEqual(["5000", "postgres sqlite", "complete", "consistent"]);
    const page = await box.json("backup list", ["backup", "list", "--limit", "1"]);
    expect(page).toMatchObject({ count: 1, total: 5, backups: [{ name: "fourth", latest: false }] });
  });

  it("is empty where nothing was made yet, and refuses a folder that is none", async () => {
    rmSync(folder, { recursive: true });
    expect(await box.json("backup list", ["backup", "list"])).toMatchObject({ backups: [], total: 0 });
    const missing = await box.run(["backup", "list", "--dir", "nowhere"]);
    expect([missing.code, missing.stderr]).toEqual([25, expect.stringContaining("there is no folder")]);
    const file = box.file("file", "");
    const none = await box.run(["backup", "list", "--dir", file]);
    expect([none.code, none.stderr]).toEqual([2, expect.stringContaining("is no folder")]);
  });

  it("escapes what a sidecar says", async () => {
    const path = writeSet(folder, { at: now, sequence: 1, name: "hostile" });
    const sidecar = sidecarOf({ at: now, sequence: 1, name: "hostile", state: "damaged" });
    sidecar.damaged!.message = "\u001b]52;c;ZXZpbA==\u0007\tred\n\u202e";
    sidecar.metadata.parts[0]!.source = "\u001b[31mred\r";
    sidecar.metadata.parts[0]!.snapshot = { "\u001b[2J": "\u009b" };
    sidecar.metadata.parts[0]!.counts = { "a\nb\u001b": 1 };
    writeFileSync(sidecarPath(path), JSON.stringify(sidecar));
    const list = await box.ok(["backup", "list"]);
    expect(list).toContain("\\x1b]52;c;ZXZpbA==\\x07\\tred\\n\\u202e");
    expect(list.split("\n")).toHaveLength(2);
    const shown = await box.ok(["backup", "show", "hostile"]);
    expect(`${list}${shown}`).not.toMatch(/[\u001b\u0007\u009b\u202e\r]/);
    expect(shown).toContain("1 a\\nb\\x1b");
  });

  it("an unreadable sidecar is a problem of its archive, not of the list", async () => {
    const path = writeSet(folder, { at: now, sequence: 1, name: "broken" });
    writeSet(folder, { at: now - DAY, sequence: 2, name: "whole" });
    writeFileSync(sidecarPath(path), "{");
    const { backups } = await box.json("backup list", ["backup", "list"]);
    expect(backups).toMatchObject([
      { name: "whole", state: "complete" },
      { name: "broken", state: "unknown", problem: expect.stringContaining("is no JSON") },
    ]);
  });
});

describe("backup show", () => {
  it("shows one archive by name, path or as the latest", async () => {
    const [, second] = fill();
    const shown = await box.json("backup show", ["backup", "show", "latest"]);
    expect(shown).toMatchObject({
      name: "second",
      state: "complete",
      latest: true,
      sha256: "b".repeat(64),
      damaged: null,
      metadata: { sequence: 2, parts: [{ counts: { rows: 100 }, snapshot: { lsn: "0/1" } }, {}] },
    });
    const { age_ms: _, ...same } = await box.json("backup show", ["backup", "show", second!]);
    expect(shown).toMatchObject(same);
    const text = await box.ok(["backup", "show", "second"]);
    for (const line of ["state\tcomplete", "part\tpostgres app", "holds\t100 rows", "snapshot lsn\t0/1"])
      expect(text.split("\n")).toContain(line);
    expect(text).toContain(`postgres/app.dump\tsqlite-database\t100000\t${"a".repeat(64)}\n`);
  });

  it("says what is wrong, and what is not there", async () => {
    fill();
    expect(await box.ok(["backup", "show", "fourth"])).toContain("problem\tit has 3 bytes");
    expect(await box.ok(["backup", "show", "third"])).toContain(
      "error\tunreachable: the server does not answer",
    );
    const bare = await box.json("backup show", ["backup", "show", "20250131_030000"]);
    expect(bare).toMatchObject({
      state: "unknown",
      metadata: null,
      sha256: null,
      problem: "it has no sidecar",
    });
    const none = await box.run(["backup", "show", "nothing"]);
    expect([none.code, none.stderr]).toEqual([25, expect.stringContaining("opsctl backup list")]);
  });
});

describe("backup diff", () => {
  it("compares the counts of two archives", async () => {
    writeSet(folder, { at: now - DAY, sequence: 1, name: "a", counts: { rows: 3 }, engines: ["sqlite"] });
    writeSet(folder, { at: now, sequence: 2, name: "b", counts: { rows: 1 }, engines: ["sqlite"] });
    const { stdout, code } = await box.run(["backup", "diff", "a", "b", "--exit-code"]);
    expect([code, stdout]).toEqual([4, "sqlite\tapp\trows\t3\t1\t-2\nsqlite\tapp\tpublic.users\t3\t1\t-2\n"]);
    const different = await box.json("backup diff", ["backup", "diff", "a", "latest"]);
    expect(different).toMatchObject({
      a: "a",
      b: "b",
      same: false,
      unchanged: 0,
      changes: [{ change: -2 }, {}],
    });
    const same = await box.json("backup diff", ["backup", "diff", "b", "b", "--exit-code"]);
    expect(same).toMatchObject({ same: true, changes: [], parts: [] });
  });

  it("needs to know what both hold", async () => {
    fill();
    const { code, stderr } = await box.run(["backup", "diff", "first", "20250131_030000"]);
    expect([code, stderr]).toEqual([25, expect.stringContaining("has no sidecar")]);
  });
});

it("real archives: listed, shown, compared", async () => {
  const file = makeSqlite(join(box.cwd, "shop.db"), 100_000);
  const env = { OPSCTL_BACKUP_SQLITE: file };
  await box.ok(["backup", "--name", "one"], { env });
  makeSqlite(join(box.cwd, "other.db"), 200_000);
  await box.ok(["backup", "sqlite", "--sqlite", "other.db", "--name", "two", "--format", "dir"], { env });
  const { backups } = await box.json("backup list", ["backup", "list"]);
  expect(backups).toMatchObject([
    { name: "two", state: "complete", latest: true, container: "dir", verified: { level: "checksums" } },
    { name: "one", state: "complete", latest: false, container: "tar.gz", engines: ["sqlite"] },
  ]);
  expect(backups[1].size_bytes).toBe(statSync(join(folder, "one.tar.gz")).size);
  const { metadata } = await box.json("backup show", ["backup", "show", "one"]);
  expect(metadata.parts).toMatchObject([{ name: "shop.db", counts: { rows: 7 } }]);
  const diff = await box.json("backup diff", ["backup", "diff", "one", "two"]);
  expect(diff).toMatchObject({ same: false, parts: [{ name: "other.db", a: null, b: "complete" }] });
});
