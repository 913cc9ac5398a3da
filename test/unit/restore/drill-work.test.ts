import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { acquireLock } from "../../../src/engines/sqlite/lock-file.ts";
import { OpsError } from "../../../src/errors.ts";
import { type LockFolder, makeDrillWork } from "../../../src/restore/drill-work.ts";
import { testCall } from "../../support/calls.ts";

let parent: string;
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), "opsctl-drill-work-"));
});
afterEach(() => rmSync(parent, { recursive: true, force: true }));

const lock: LockFolder = (call, folder) => acquireLock(join(folder, ".opsctl.lock"), call.actor);
const make = (to = parent) => makeDrillWork(testCall(), to, lock);

it("makes a private folder, also where its parent is missing, and removes it with all that is in it", async () => {
  const work = await make(join(parent, "not", "there"));
  expect(statSync(work.folder).mode & 0o777).toBe(0o700);
  mkdirSync(join(work.folder, "set"));
  writeFileSync(join(work.folder, "set", "file"), "x");
  await work.remove();
  expect(existsSync(work.folder)).toBe(false);
});

it("sweeps what killed drills left, and nothing else", async () => {
  const alive = await make();
  const dead = join(parent, ".opsctl-drill-dead00");
  mkdirSync(join(dead, "files"), { recursive: true });
  writeFileSync(join(dead, "files", "1"), "left behind");
  const never = join(parent, ".opsctl-drill-empty0");
  mkdirSync(never);
  mkdirSync(join(parent, ".opsctl-restore-1a2b3c4d"));
  mkdirSync(join(parent, "mine"));
  writeFileSync(join(parent, ".opsctl-drill-file"), "mine");
  symlinkSync(join(parent, "mine"), join(parent, ".opsctl-drill-link"));
  const work = await make();
  expect([dead, never, alive.folder, work.folder].map((path) => existsSync(path))).toEqual([
    false,
    false,
    true,
    true,
  ]);
  await Promise.all([alive.remove(), work.remove()]);
  expect(readdirSync(parent).sort()).toEqual([
    ".opsctl-drill-file",
    ".opsctl-drill-link",
    ".opsctl-restore-1a2b3c4d",
    "mine",
  ]);
});

it("takes another folder when a sweeper was quicker", async () => {
  let isFirst = true;
  const work = await makeDrillWork(testCall(), parent, (call, folder) => {
    if (!isFirst) return lock(call, folder);
    isFirst = false;
    rmSync(folder, { recursive: true });
    return Promise.reject(new OpsError({ code: "locked", message: "a sweeper has it" }));
  });
  expect(readdirSync(parent).map((name) => join(parent, name))).toEqual([work.folder]);
  await work.remove();
});

it("names the setting where nothing can be written", async () => {
  const file = join(parent, "file");
  writeFileSync(file, "");
  chmodSync(file, 0o600);
  await expect(make(join(file, "below"))).rejects.toMatchObject({
    code: "failed",
    hint: expect.stringContaining("OPSCTL_RESTORE_DIR"),
  });
});
