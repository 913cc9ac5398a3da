/** `cleanup`, and what a backup removes afterwards: on archives whose sidecars are written by hand, and on real ones. */
import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { sidecarPath } from "../../src/backup/archives.ts";
import { makeSqlite } from "../support/backup.ts";
import { Sandbox } from "../support/cli.ts";
import { DAY, type SetFacts, writeSet } from "../unit/backup/sets.ts";

let box: Sandbox;
let folder: string;
const now = Date.now();
beforeEach(() => {
  box = new Sandbox({ shared: true });
  folder = join(box.cwd, "backups");
  mkdirSync(folder);
});
afterEach(() => box.remove());

/** Good sets of so many days ago, oldest first. */
function fill(ages: readonly number[], facts: Partial<SetFacts> = {}): string[] {
  return ages.map((days, nth) =>
    writeSet(folder, { at: now - days * DAY, sequence: nth + 1, name: `set-${nth + 1}`, ...facts }),
  );
}

const left = () =>
  readdirSync(folder)
    .filter((name) => !name.startsWith("."))
    .toSorted();
const hidden = () => readdirSync(folder).filter((name) => name.startsWith(".opsctl-"));
const both = (...names: string[]) => names.flatMap((name) => [`${name}.json`, `${name}.tar.gz`]);

describe("cleanup", () => {
  it("removes archives with their sidecars, as RETENTION_DAYS says", async () => {
    fill([30, 8, 6, 0]);
    const done = await box.json("cleanup", ["cleanup"]);
    expect(done).toMatchObject({
      dry_run: false,
      policy: { days: 7, keep_last: null },
      removed_count: 2,
      removed_bytes: 2000,
    });
    expect(done["archives"].map((one: { action: string }) => one.action)).toEqual([
      "keep",
      "keep",
      "remove",
      "remove",
    ]);
    expect(left()).toEqual(both("set-3", "set-4"));
    expect(await box.json("cleanup", ["cleanup"])).toMatchObject({ removed_count: 0 });
    await box.ok(["cleanup"], { env: { RETENTION_DAYS: "3" } });
    expect(left()).toEqual(both("set-4"));
  });

  it("--dry-run says why, and writes nothing", async () => {
    fill([30, 0]);
    mkdirSync(join(folder, ".opsctl-set-gone"));
    const before = readdirSync(folder);
    const { stdout, stderr } = await box.run(["cleanup", "--dry-run", "--keep-last", "1"]);
    expect(stdout).toBe(
      "set-2\tkeep\t1000\tthe last good archive; last 1\nset-1\tremove\t1000\tno rule keeps it\n",
    );
    expect(stderr).toContain("1 would be removed");
    expect(readdirSync(folder)).toEqual(before);
  });

  it.each<[string, string[], Record<string, string>, object]>([
    [
      "flags for rules replace the days",
      ["--keep-last", "2"],
      { RETENTION_DAYS: "1" },
      { days: null, keep_last: 2 },
    ],
    [
      "settings for rules replace the days, a flag its setting",
      ["--keep-daily", "5"],
      { OPSCTL_KEEP_DAILY: "3", OPSCTL_KEEP_WITHIN: "2d" },
      { days: null, keep_daily: 5, keep_within_ms: 2 * DAY },
    ],
    [
      "a flag for days replaces the rules of the settings",
      ["--retention-days", "3"],
      { OPSCTL_KEEP_LAST: "9" },
      { days: 3, keep_last: null },
    ],
  ])("%s", async (_, flags, env, policy) => {
    expect(await box.json("cleanup", ["cleanup", "--dry-run", ...flags], { env })).toMatchObject({ policy });
  });

  it.each([
    ["--keep-last", "0"],
    ["--keep-within", "0d"],
    ["--retention-days", "-1"],
    ["--retention-days", "1", "--keep-last", "1"],
  ])("refuses %s %s %s %s", async (...flags) => {
    fill([30, 0]);
    expect((await box.run(["cleanup", ...flags])).code).toBe(2);
    expect(left()).toHaveLength(4);
  });

  it("sweeps what killed runs left behind, and nothing else", async () => {
    fill([0]);
    mkdirSync(join(folder, ".opsctl-set-abc123"));
    writeFileSync(join(folder, ".opsctl-set-abc123", "spool"), "half");
    writeFileSync(join(folder, ".hidden"), "mine");
    expect(await box.json("cleanup", ["cleanup"])).toMatchObject({ swept: [".opsctl-set-abc123"] });
    expect(existsSync(join(folder, ".hidden"))).toBe(true);
    expect(hidden()).toEqual([]);
  });

  it("a folder that is missing is empty when it is the configured one, and an error when it is named", async () => {
    rmSync(folder, { recursive: true });
    expect(await box.json("cleanup", ["cleanup"])).toMatchObject({ archives: [], removed_count: 0 });
    expect(existsSync(folder)).toBe(false);
    expect((await box.run(["cleanup", "--dir", "nowhere"])).code).toBe(25);
  });

  it("removes folders with what is in them, links without what they lead to, and no folder that is no set", async () => {
    const [set, other, link] = fill([40, 39, 38], { container: "dir" });
    writeSet(folder, { at: now, sequence: 9, name: "set-9" });
    rmSync(join(other!, "metadata.json"));
    writeFileSync(join(other!, "precious"), "mine");
    rmSync(link!, { recursive: true });
    const elsewhere = join(box.dir, "elsewhere");
    mkdirSync(elsewhere);
    writeFileSync(join(elsewhere, "metadata.json"), "{}");
    symlinkSync(elsewhere, link!);
    const { code, stderr, stdout } = await box.run(["cleanup"]);
    expect([code, stderr]).toEqual([1, expect.stringContaining("holds no metadata.json")]);
    expect(stdout).toContain("set-2\tfailed");
    expect(existsSync(set!)).toBe(false);
    expect(existsSync(join(other!, "precious"))).toBe(true);
    expect(left()).toEqual(["set-2", "set-2.json", ...both("set-9")]);
    expect(existsSync(join(elsewhere, "metadata.json"))).toBe(true);
  });

  it("leaves files of others and single files alone", async () => {
    fill([30, 0]);
    const single = { at: now - 90 * DAY, sequence: 0, name: "latest.dump", container: "file" } as const;
    writeSet(folder, single);
    const foreign = ["photos.tar.gz", "photos.json", "notes.json", "set-1.json.bak", "data"];
    for (const name of foreign) writeFileSync(join(folder, name), "mine");
    await box.ok(["cleanup", "--keep-last", "1"]);
    expect(left()).toEqual([...both("set-2"), "latest.dump", "latest.dump.json", ...foreign].toSorted());
  });

  it("what is half removed is never good, and is removed by the next run", async () => {
    const [first, second] = fill([30, 29, 0]);
    rmSync(first!);
    rmSync(sidecarPath(second!));
    writeSet(folder, { at: now - 28 * DAY, sequence: 2, name: "20260101_000000", state: "unknown" });
    const { archives } = await box.json("cleanup", ["cleanup", "--dry-run"]);
    expect(archives.map(({ name, action }: Record<string, string>) => [name, action])).toEqual([
      ["set-3", "keep"],
      ["20260101_000000", "remove"],
      ["set-1", "remove"],
      // nothing says how old it is
      ["set-2", "keep"],
    ]);
  });
});

describe("a backup", () => {
  it("removes what the policy says after it was verified, and says so", async () => {
    fill([30, 20]);
    const file = makeSqlite(join(box.cwd, "shop.db"), 50_000);
    const made = await box.json("backup", ["backup", "sqlite", "--sqlite", file, "--name", "fresh"]);
    // of the engines of the sets before, PostgreSQL is not in the new one
    expect(made).toMatchObject({ state: "complete", removed: ["set-1"] });
    expect(left()).toEqual(both("fresh", "set-2"));
    await box.ok(["backup", "sqlite", "--sqlite", file, "--name", "more", "--no-retention"]);
    expect(left()).toEqual(both("fresh", "more", "set-2"));
  });
});
