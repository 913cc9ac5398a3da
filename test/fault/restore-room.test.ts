/** `restore` where there is no room, or nothing may be written. */
import { chmodSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { leftoversIn, makeSqlite } from "../support/backup.ts";
import { BIN, type Ran, Sandbox } from "../support/cli.ts";
import { live } from "./restore-damage.ts";

const MIB = 1024 * 1024;
const isRoot = process.getuid?.() === 0;

let box: Sandbox;

beforeEach(async () => {
  box = new Sandbox({ shared: true });
  await box.ok(["remember", "issue:disk full", "logs rotated"]);
  makeSqlite(box.db, 6 * MIB);
  await box.ok(["backup", "sqlite", "--name", "good"]);
  await box.ok(["remember", "issue:later", "nothing to be done"]);
});
afterEach(() => box.remove());

const program = `"${process.execPath}" "${BIN}"`;

/** Runs a script where the folder `small` is a file system of its own, so small. */
function onSmallDisk(mib: number, script: string, env: Record<string, string>): Promise<Ran> {
  mkdirSync(join(box.cwd, "small"));
  const inside = `mount -t tmpfs -o size=${mib}m none small || exit 99; ${script}; code=$?; ls -A small | grep -v lock; exit $code`;
  return box.shell(`unshare ${isRoot ? "-m" : "-Urm"} bash -c '${inside}'`, env);
}

async function checkRefused(ran: Ran, before: readonly string[], says: RegExp): Promise<void> {
  expect(ran.code, ran.stderr).toBe(1);
  expect(ran.stderr).toMatch(says);
  expect(ran.stderr).toMatch(/^Try: ./m);
  expect(ran.stderr).not.toMatch(/\n\s+at /);
  expect(ran.stdout, "left behind").toBe("");
  expect(await live(box)).toEqual(before);
}

describe("a small disk", () => {
  it("is seen before anything is taken out of the archive", async () => {
    const before = await live(box);
    const ran = await onSmallDisk(4, `${program} restore good --yes`, { OPSCTL_RESTORE_DIR: "small" });
    await checkRefused(ran, before, /needs? .*\d.* free/s);
  });

  it("that has no room for the copy of what is replaced: nothing is", async () => {
    const before = await live(box);
    // the set fits, and the copy beside it does not
    const ran = await onSmallDisk(10, `${program} restore good --yes`, { OPSCTL_RESTORE_DIR: "small" });
    await checkRefused(ran, before, /needs? .*\d.* free|disk is full|ENOSPC/s);
    expect(await box.run(["restore", "good", "--yes"])).toMatchObject({ code: 0 });
  });

  it("a file that may not grow is the same", async () => {
    const before = await live(box);
    // bash counts in KiB
    const ran = await box.shell("trap '' XFSZ; ulimit -f 2048; opsctl restore good --yes");
    await checkRefused(ran, before, /full|EFBIG|large/);
    expect(leftoversIn(join(box.cwd, "backups"))).toEqual([]);
  });
});

it("works from a folder of archives that nobody may write to", async () => {
  const folder = join(box.cwd, "backups");
  const before = readdirSync(folder);
  chmodSync(folder, 0o555);
  // root is stopped by no permissions
  const stopped = isRoot ? "setpriv --bounding-set=-dac_override,-dac_read_search " : "";
  const ran = await box.shell(
    `${stopped}${program} restore good --yes && ${stopped}${program} restore --rollback --yes`,
  );
  expect(ran.code, ran.stderr).toBe(0);
  expect(readdirSync(folder)).toEqual(before);
  chmodSync(folder, 0o755);
});
