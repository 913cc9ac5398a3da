import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, test } from "vitest";
import { sqliteConnection } from "../../src/engines/sqlite/connect.ts";
import { sqliteMigrations } from "../../src/engines/sqlite/migrations.ts";
import { collect, until } from "../support/cli.ts";
import { MigratedFile } from "./sqlite-folder.ts";

const RUNNER = join(import.meta.dirname, "sqlite-runner.ts");

describe("the lock of migrations on a SQLite file", () => {
  let file: MigratedFile;
  const children: ChildProcess[] = [];
  beforeEach(async () => {
    file = new MigratedFile();
    await file.target.prepare(file.call, ["user"], false);
  });
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill("SIGKILL");
    await file.remove();
  });

  const lockPath = () => `${file.path}-opsctl-lock`;
  const take = (waitMs: number) => file.target.exclusively(file.call, waitMs, async () => "done");

  async function holder(path = file.path): Promise<ChildProcess> {
    const child = spawn(process.execPath, [RUNNER, "hold", path]);
    children.push(child);
    let output = "";
    child.stdout.on("data", (chunk) => {
      output += chunk;
    });
    await until("the other process has the lock", () => output === "held\n");
    return child;
  }

  it("is refused, with the name of who holds it, when the wait is over", async () => {
    const child = await holder();
    await expect(take(0)).rejects.toMatchObject({
      code: "locked",
      message: expect.stringMatching(
        new RegExp(`process ${child.pid} \\(runner@elsewhere, for \\d+ s\\) holds the lock`),
      ),
      hint: expect.stringContaining(`kill -9 ${child.pid}`),
    });
    child.stdin!.end();
    expect(await take(10_000)).toBe("done");
    expect(existsSync(lockPath())).toBe(false);
  });

  it("says who holds it while it waits", async () => {
    const child = await holder();
    const waiting = take(60_000);
    await until("the wait is reported", () => file.log.length > 0);
    expect(file.log).toEqual([
      expect.stringMatching(new RegExp(`^WARNING waiting: .* process ${child.pid} \\(runner@elsewhere`)),
    ]);
    child.stdin!.end();
    expect(await waiting).toBe("done");
  });

  it("is kept by a process that was stopped, and free as soon as a process is killed", async () => {
    const child = await holder();
    child.kill("SIGSTOP");
    await expect(take(500)).rejects.toMatchObject({ code: "locked" });
    const ended = collect(child);
    child.kill("SIGKILL");
    await ended;
    expect(existsSync(lockPath())).toBe(true);
    expect(await take(10_000)).toBe("done");
    expect(readdirSync(file.dir).sort()).toEqual(["app.db", "migrations"]);
  });

  it("is one lock whatever link leads to the file, and within a process, too", async () => {
    const link = join(file.dir, "link.db");
    symlinkSync(file.path, link);
    await holder(link);
    await expect(take(0)).rejects.toMatchObject({ code: "locked" });
    children[0]!.stdin!.end();
    const other = sqliteConnection(file.path, true);
    await file.target.exclusively(file.call, 10_000, async () => {
      const again = sqliteMigrations(other).exclusively(file.call, 50, async () => {});
      await expect(again).rejects.toMatchObject({
        code: "locked",
        message: expect.stringContaining(`process ${process.pid} `),
      });
      file.files({ "V001-x-up.sql": "CREATE TABLE a (b)" });
    });
    await other.close();
  });

  it("lets one process in at a time, of six that come again and again", async () => {
    const ran = await Promise.all(
      Array.from({ length: 6 }, () => collect(spawn(process.execPath, [RUNNER, "rounds", file.path, "25"]))),
    );
    for (const { code, stderr } of ran) expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(existsSync(lockPath())).toBe(false);
  });

  it("that was taken away stops the run before its next file", async () => {
    file.files({ "V001-x-up.sql": "CREATE TABLE a (b)", "V002-x-up.sql": "CREATE TABLE c (d)" });
    const run = file.up({}, { onDone: () => rmSync(lockPath(), { force: true }) });
    await expect(run).rejects.toMatchObject({
      code: "locked",
      message: expect.stringContaining("removed or replaced"),
    });
    expect(file.tables()).toEqual(["a"]);
    // nor is the lock of somebody else removed at the end
    const replace = file.target.exclusively(file.call, 1000, async () => {
      rmSync(lockPath());
      writeFileSync(lockPath(), "");
    });
    await replace;
    expect(existsSync(lockPath())).toBe(true);
  });

  test.each<[string, () => void, RegExp]>([
    ["another file", () => writeFileSync(lockPath(), "x".repeat(5000)), /holds something else/],
    ["a folder", () => mkdirSync(lockPath()), /cannot be opened/],
  ])("is never made over %s", async (_, make, message) => {
    make();
    await expect(take(60_000)).rejects.toMatchObject({
      code: "failed",
      message: expect.stringMatching(message),
    });
  });

  it("whoever works past it finds the version taken, and keeps nothing", async () => {
    file.files({ "V001-x-up.sql": "CREATE TABLE a (b)", "V001-x-down.sql": "DROP TABLE a" });
    const row = { ...(await firstRow()), applied_by: "somebody@else" };
    const beforeFirst = async () => {
      await file.target.record(file.call, [row]);
    };
    await expect(file.up({}, { beforeFirst })).rejects.toMatchObject({
      code: "locked",
      message: expect.stringMatching(/V001-x-up\.sql was not run: V001 is now "applied", by somebody@else/),
    });
    expect(file.tables()).toEqual([]);
  });

  /** The row that applying V001 writes. */
  async function firstRow() {
    const other = new MigratedFile();
    try {
      await other.up({ "V001-x-up.sql": "CREATE TABLE a (b)" });
      return (await other.row())!;
    } finally {
      await other.remove();
    }
  }
});

describe("locks of other programs", () => {
  let file: MigratedFile;
  beforeEach(() => {
    file = new MigratedFile();
  });
  afterEach(() => file.remove());

  test.each([
    ["a writer", "BEGIN IMMEDIATE"],
    // in a file without a write-ahead log it holds up the commit
    ["a reader", "BEGIN; SELECT * FROM a"],
  ])("%s is waited for, but no longer than the lock timeout", async (_, begin) => {
    await file.up({ "V001-x-up.sql": "CREATE TABLE a (b); INSERT INTO a VALUES (1)" });
    file.files({ "V002-x-up.sql": "INSERT INTO a VALUES (2)" });
    const other = sqliteConnection(file.path, true);
    try {
      other.database().exec(begin);
      const limits = { lockTimeoutMs: 200, statementTimeoutMs: null };
      await expect(file.up({}, { limits })).rejects.toMatchObject({
        code: "locked",
        message: expect.stringMatching(
          /^V002-x-up\.sql: .* is locked by another process and stayed so for 0\.2 s$/,
        ),
      });
      expect(await file.row()).toMatchObject({ version: "V001" });
      const waiting = file.up({}, { limits: { ...limits, lockTimeoutMs: 60_000 } });
      other.database().exec("COMMIT");
      expect(await waiting).toEqual(["V002"]);
    } finally {
      await other.close();
    }
  });

  it("who only reads waits for a write that keeps everybody out, and says so", async () => {
    await file.up({ "V001-x-up.sql": "CREATE TABLE a (b)" });
    const writer = sqliteConnection(file.path, true);
    try {
      writer.database().exec("BEGIN EXCLUSIVE");
      const reading = file.target.history(file.call);
      await until("the wait is reported", () => file.log.length > 0);
      expect(file.log).toEqual([expect.stringContaining("another process is writing")]);
      writer.database().exec("COMMIT");
      expect(await reading).toHaveLength(1);
    } finally {
      await writer.close();
    }
  });
});
