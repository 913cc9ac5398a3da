import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { acquireLock } from "../../src/engines/sqlite/lock-file.ts";
import { collect, until } from "../support/cli.ts";
import { withoutRights } from "./sqlite-backup-kit.ts";

const HOLDER = join(import.meta.dirname, "sqlite-lock-file-holder.ts");

let dir: string;
let path: string;
const children: ChildProcess[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "opsctl-lock-"));
  path = join(dir, ".opsctl.lock");
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  rmSync(dir, { recursive: true });
});

const start = () => {
  const child = spawn(process.execPath, [HOLDER, path]);
  children.push(child);
  return child;
};

async function holder(): Promise<ChildProcess> {
  const child = start();
  let output = "";
  child.stdout.on("data", (chunk) => {
    output += chunk;
  });
  await until("the other process has the lock", () => output === "held\n");
  return child;
}

test("one at a time, within a process, too; the file is private and stays", async () => {
  const lock = await acquireLock(path, "me@here");
  const refused = {
    code: "locked",
    message: expect.stringContaining(`process ${process.pid} (me@here, since 2`),
  };
  await expect(acquireLock(path, "you@here")).rejects.toMatchObject(refused);
  await expect(acquireLock(path, "you@here")).rejects.toMatchObject(refused);
  // a process that closes a file gives up its locks on it: the refused ones took nothing away
  const other = await collect(start());
  expect(other).toMatchObject({
    code: 22,
    stdout: expect.stringContaining(`process ${process.pid} (me@here`),
  });
  expect(readdirSync(dir).sort()).toEqual([".opsctl.lock", ".opsctl.lock.holder"]);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(statSync(`${path}.holder`).mode & 0o777).toBe(0o600);
  await lock.release();
  await lock.release();
  expect(readdirSync(dir)).toEqual([".opsctl.lock"]);
  const next = await acquireLock(path, "you@here");
  await next.release();
});

test("the other process is named; a stopped one keeps it, a killed one loses it", async () => {
  const child = await holder();
  child.kill("SIGSTOP");
  await expect(acquireLock(path, "me@here")).rejects.toMatchObject({
    code: "locked",
    message: expect.stringMatching(
      new RegExp(`process ${child.pid} \\(runner@elsewhere, since 20\\S+Z\\) holds`),
    ),
    hint: expect.stringContaining(`kill -9 ${child.pid} on elsewhere`),
  });
  const ended = collect(child);
  child.kill("SIGKILL");
  await ended;
  const lock = await acquireLock(path, "me@here");
  await expect(acquireLock(path, "you@here")).rejects.toMatchObject({
    message: expect.stringContaining(`process ${process.pid} (me@here`),
  });
  await lock.release();
});

test("of many who start at once, exactly one has it", async () => {
  const started = Array.from({ length: 6 }, start);
  const outputs = started.map(collect);
  await until("all have an answer", async () => {
    const ended = started.filter(({ exitCode }) => exitCode !== null);
    return ended.length === started.length - 1;
  });
  for (const child of started) child.stdin!.end();
  const codes = (await Promise.all(outputs)).map(({ code }) => code);
  expect(codes.sort()).toEqual([0, 22, 22, 22, 22, 22]);
});

test("a folder that cannot be written, or is not there: failed, and clear", async () => {
  chmodSync(dir, 0o555);
  await withoutRights(async () => {
    await expect(acquireLock(path, "me@here")).rejects.toMatchObject({
      code: "failed",
      message: `the lock ${path} cannot be taken (EACCES)`,
      hint: expect.stringContaining("writable"),
    });
  });
  await expect(acquireLock(join(dir, "absent", "x"), "me@here")).rejects.toMatchObject({ code: "failed" });
});

test("a lock of another user that may only be read: failed, not held by two", async () => {
  chmodSync(dir, 0o755);
  writeFileSync(path, "", { mode: 0o644 });
  await withoutRights(async () => {
    await expect(acquireLock(path, "me@here")).rejects.toMatchObject({ code: "failed" });
  });
});

test("a file that is something else is left alone", async () => {
  writeFileSync(path, "important ".repeat(200));
  await expect(acquireLock(path, "me@here")).rejects.toMatchObject({
    code: "failed",
    message: `${path}, the lock, holds something else`,
  });
  expect(statSync(path).size).toBe(2000);
});
