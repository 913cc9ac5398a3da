/** `backup` where there is no room, or nothing may be written. */
import { chmodSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  archivesIn,
  backupsOf,
  fillPostgres,
  leftoversIn,
  makeSqlite,
  problemsIn,
  publishedIn,
} from "../support/backup.ts";
import { BIN, type Ran, Sandbox } from "../support/cli.ts";
import { postgresDatabase } from "../support/servers.ts";

const MIB = 1024 * 1024;
const isRoot = process.getuid?.() === 0;

let box: Sandbox;
let folder: string;

beforeEach(() => {
  box = new Sandbox({ shared: true });
  folder = backupsOf(box);
});
afterEach(() => box.remove());

/**
 * Runs a script where the folder of archives is a file system of its own, so small. It is gone with the script, which therefore prints what is
 * in there in the end, after a line `---`.
 */
async function onSmallDisk(mib: number, script: string, env: Record<string, string> = {}) {
  mkdirSync(folder);
  const program = `opsctl() { "${process.execPath}" "${BIN}" "$@"; }`;
  const inside = `${program}; mount -t tmpfs -o size=${mib}m none backups || exit 99; ${script}; code=$?; echo ---; ls -A backups; exit $code`;
  // a user who is not root is root of a namespace of his own
  const ran = await box.shell(`unshare ${isRoot ? "-m" : "-Urm"} bash -c '${inside}'`, env);
  const [, left = ""] = ran.stdout.split("---\n");
  return { ...ran, left: left.split("\n").filter((name) => name !== "" && !name.includes("lock")) };
}

function checkRefused(ran: Ran, says: RegExp): void {
  expect(ran.code, ran.stderr).toBe(1);
  expect(ran.stderr).toMatch(says);
  expect(ran.stderr).toMatch(/^Try: ./m);
  expect(ran.stderr).not.toMatch(/\n\s+at /);
}

describe("a small disk", () => {
  it("is seen before anything is copied, with the bytes that are needed and free", async () => {
    const [small, large] = [join(box.dir, "small.db"), join(box.dir, "large.db")];
    makeSqlite(small, 100_000);
    makeSqlite(large, 30 * MIB);
    const ran = await onSmallDisk(
      24,
      `opsctl backup sqlite --sqlite ${small} --name small && opsctl backup sqlite --sqlite ${large}`,
    );
    checkRefused(ran, /needs? .*\d.* free/s);
    expect(ran.left).toEqual(["small.json", "small.tar.gz"]);
  });

  it("that fills up nevertheless ends the run; earlier archives are as they were", async () => {
    const database = await postgresDatabase();
    try {
      await fillPostgres(database.url, 24 * MIB);
      // compresses to nothing, and so promises that the next one will
      const zeros = join(box.dir, "zeros.db");
      const { stdout } = await box.shell(
        `sqlite3 ${zeros} 'CREATE TABLE z AS SELECT zeroblob(3000000) AS b' && echo made`,
      );
      expect(stdout).toBe("made\n");
      const ran = await onSmallDisk(
        26,
        `opsctl backup sqlite --sqlite ${zeros} --name before || exit 98
         opsctl backup postgres; code=$?
         opsctl backup verify before || exit 97
         exit $code`.replaceAll("exit $code", "(exit $code)"),
        { DATABASE_URL: database.url },
      );
      checkRefused(ran, /disk is full.*ENOSPC/s);
      expect(ran.left).toEqual(["before.json", "before.tar.gz"]);
    } finally {
      await database.drop();
    }
  });

  it.each(["tar.gz", "tar.zst", "dir"])("%s: a file that may not grow is the same", async (format) => {
    await box.ok(["backup", "sqlite", "--sqlite", makeSqlite(join(box.dir, "a.db"), 10_000), "--name", "a"]);
    const before = publishedIn(folder);
    const large = makeSqlite(join(box.dir, "large.db"), 2 * MIB);
    // bash counts in KiB
    const ran = await box.shell(
      `trap '' XFSZ; ulimit -f 1024; opsctl backup sqlite --sqlite ${large} --format ${format}`,
    );
    checkRefused(ran, /full|EFBIG|large/);
    expect(publishedIn(folder)).toEqual(before);
    expect(leftoversIn(folder)).toEqual([]);
    expect(await problemsIn(folder)).toEqual([]);
  });
});

describe("a folder that may not be written", () => {
  /** As somebody whom permissions stop: root they do not. */
  const stopped = isRoot ? "setpriv --bounding-set=-dac_override,-dac_read_search " : "";

  function backup(file: string): Promise<Ran> {
    return box.shell(`${stopped}"${process.execPath}" "${BIN}" backup sqlite --sqlite ${file}`);
  }

  it("is refused, with its name, and is as it was", async () => {
    const file = makeSqlite(join(box.dir, "app.db"), 10_000);
    await box.ok(["backup", "sqlite", "--sqlite", file]);
    const before = readdirSync(folder);
    chmodSync(folder, 0o555);
    checkRefused(await backup(file), /backups/);
    expect(readdirSync(folder)).toEqual(before);
    chmodSync(folder, 0o755);
    expect(await backup(file)).toMatchObject({ code: 0 });
    expect(archivesIn(folder)).toHaveLength(2);
  });

  it("cannot be made", async () => {
    const file = makeSqlite(join(box.dir, "app.db"), 10_000);
    chmodSync(box.cwd, 0o555);
    checkRefused(await backup(file), /backups/);
    chmodSync(box.cwd, 0o755);
    expect(readdirSync(box.cwd)).toEqual([]);
  });
});
