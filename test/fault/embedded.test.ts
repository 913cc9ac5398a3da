import { spawn } from "node:child_process";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { collect, Sandbox } from "../support/cli.ts";
import { check, importFile, LINES } from "./kill-import.ts";

/** What can happen to the embedded file; `npm run test:faults` does more of it. */
describe("embedded file under faults", () => {
  let sandbox: Sandbox;

  beforeEach(() => {
    sandbox = new Sandbox({ shared: true });
  });
  afterEach(() => sandbox.remove());

  it("keeps every write of eight processes at once", async () => {
    const [processes, writes] = [8, 200];
    const writer = join(import.meta.dirname, "writer.ts");
    const ran = await Promise.all(
      Array.from({ length: processes }, (_, n) =>
        collect(
          spawn(process.execPath, [writer, sandbox.db, `w${n}`, String(writes)], { env: sandbox.env() }),
        ),
      ),
    );
    for (const { code, stderr } of ran) expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const acknowledged = ran.flatMap(({ stdout }) => stdout.trim().split("\n")).toSorted();
    expect(acknowledged).toHaveLength(processes * writes);
    expect(check(sandbox.db)).toBe(processes * writes);
    const database = new Database(sandbox.db, { readonly: true });
    const ids = database.prepare("SELECT id FROM memori_events ORDER BY id").pluck().all();
    database.close();
    expect(ids).toEqual(acknowledged);
  });

  it("has every write that a killed process had reported", async () => {
    const writer = join(import.meta.dirname, "writer.ts");
    const child = spawn(process.execPath, [writer, sandbox.db, "killed", "100000"], { env: sandbox.env() });
    let output = "";
    child.stdout.on("data", (chunk) => {
      output += chunk;
      if (output.split("\n").length > 300) child.kill("SIGKILL");
    });
    await new Promise((resolve) => child.on("close", resolve));
    const acknowledged = output.slice(0, output.lastIndexOf("\n")).split("\n");
    const kept = check(sandbox.db);
    expect(kept).toBeGreaterThanOrEqual(acknowledged.length);
    const database = new Database(sandbox.db, { readonly: true });
    const ids = new Set(database.prepare("SELECT id FROM memori_events").pluck().all());
    database.close();
    expect(acknowledged.filter((id) => !ids.has(id))).toEqual([]);
  });

  it("reports a full disk, keeps what it reported stored, and goes on when there is room", async () => {
    const file = importFile(sandbox);
    // the kernel refuses to let any file grow past 1 MiB (512-byte blocks)
    const full = await sandbox.shell(`trap '' XFSZ; ulimit -f 2048; opsctl fixes import ${file}`);
    expect(full.code).toBe(1);
    expect(full.stderr).toMatch(/SQLite file .*data\.db (cannot|can not)/);
    expect(full.stderr).toContain("Try: ");
    const kept = check(sandbox.db);
    expect(kept).toBeLessThan(LINES);
    const report = await sandbox.json("fixes import", ["fixes", "import", file]);
    expect(report).toMatchObject({ imported: LINES - kept, duplicates: kept, rejected: 0 });
  });

  it("makes its files readable for nobody else", async () => {
    await sandbox.ok(["remember", "issue:a", "b"], { alone: true });
    const { stdout } = await sandbox.shell(`stat -c '%a %n' ${sandbox.db}*`);
    for (const line of stdout.trim().split("\n")) expect(line).toMatch(/^600 /);
  });
});
