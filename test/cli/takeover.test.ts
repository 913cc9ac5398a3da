import { execFileSync } from "node:child_process";
import { openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ROOT, Sandbox } from "../support/cli.ts";
import { postgresDatabase } from "../support/servers.ts";

/** Files and databases that somebody else touched first. */
describe("taking over", () => {
  let sandbox: Sandbox;
  beforeEach(() => {
    sandbox = new Sandbox({ shared: true });
  });
  afterEach(() => sandbox.remove());
  const shipped = (...path: string[]) => readFileSync(join(ROOT, "init", ...path), "utf8");

  it("a file whose schema sqlite3 made", async () => {
    execFileSync("sqlite3", [sandbox.db], { input: shipped("sqlite", "memory", "V001-memory-up.sql") });
    await sandbox.ok(["remember", "issue:a", "b"]);
    expect(await sandbox.json("init", ["init", "sqlite"])).toMatchObject({ changed: false });
  });

  it("a database whose schema psql made", async () => {
    const database = await postgresDatabase();
    try {
      const args = ["-v", "ON_ERROR_STOP=1", "-q", database.url];
      execFileSync("psql", args, { input: shipped("postgres", "memory", "V001-memory-up.sql") });
      const env = { DATABASE_URL: database.url };
      expect(await sandbox.json("init", ["init", "postgres"], { env })).toMatchObject({ changed: true });
      expect(await sandbox.json("init", ["init", "postgres"], { env })).toMatchObject({ changed: false });
    } finally {
      await database.drop();
    }
  });

  it("nothing from a file with other tables of that name: it says so and leaves them", async () => {
    execFileSync("sqlite3", [
      sandbox.db,
      "CREATE TABLE memori_metadata (x); INSERT INTO memori_metadata VALUES (1)",
    ]);
    const { code, stderr } = await sandbox.run(["fixes"]);
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining("Try: ") });
    const tables = execFileSync("sqlite3", [sandbox.db, ".tables"], { encoding: "utf8" });
    expect(
      tables
        .trim()
        .split(/\s+/)
        .filter((name) => name.startsWith("memori")),
    ).toEqual(["memori_metadata"]);
  });

  it("a damaged file: health, export and reads all say that it is damaged", async () => {
    const lines = Array.from({ length: 3000 }, (_, n) =>
      JSON.stringify({ issue: `i${n}`, solution: `word${n} again` }),
    );
    await sandbox.ok(["fixes", "import", "-"], { input: lines.join("\n") });
    execFileSync("sqlite3", [sandbox.db, "PRAGMA wal_checkpoint(TRUNCATE)"]);
    const file = openSync(sandbox.db, "r+");
    writeSync(file, Buffer.alloc(200 * 4096, 0x5a), 0, 200 * 4096, 20 * 4096);
    const health = await sandbox.json("health", ["health"], { code: 4 });
    expect(health).toMatchObject({ status: "unhealthy", databases: { sqlite: "disconnected" } });
    const exported = await sandbox.run(["fixes", "export"]);
    expect(exported).toMatchObject({ code: 23, stderr: expect.stringContaining("is damaged") });
  });
});
