import { spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import type { EngineName } from "../../../src/errors.ts";
import { createMigration } from "../../../src/migrate/create.ts";
import { readFolder } from "../../../src/migrate/formats/folder.ts";
import type { Format } from "../../../src/migrate/port.ts";
import { collect } from "../../support/cli.ts";

const NOW = new Date("2025-01-15T23:59:58.900Z");
const root = mkdtempSync(join(tmpdir(), "opsctl-create-"));
let count = 0;
let place = "";
beforeEach(() => {
  count += 1;
  place = join(root, String(count), "migrations");
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

function lay(names: readonly string[]): void {
  for (const name of names) {
    mkdirSync(dirname(join(place, name)), { recursive: true });
    writeFileSync(join(place, name), "-- migrate:up\nSELECT 1;\n", { flag: "wx" });
  }
}

const create = (
  description = "Create users",
  { engine = "postgres" as EngineName, format = "auto" as Format | "auto", now = NOW } = {},
) => createMigration(engine, place, "migrations", format, description, now);

describe("the next version", () => {
  const V3 = ["V1-a-up.sql", "V003-b-up.sql", "V003-b-down.sql"];
  const CASES: [string, EngineName, Format | "auto", string[], string, string[]][] = [
    ["no folder", "postgres", "auto", [], "V001", ["V001-create-users-up.sql", "V001-create-users-down.sql"]],
    ["SQLite", "sqlite", "auto", [], "V001", ["V001-create-users-up.sql", "V001-create-users-down.sql"]],
    ["Redis", "redis", "auto", [], "V001", ["V001-create-users-up.redis", "V001-create-users-down.redis"]],
    [
      "Neo4j",
      "neo4j",
      "auto",
      [],
      "2025-01-15-001",
      ["2025-01-15-001-create-users.cypher", "2025-01-15-001-create-users-down.cypher"],
    ],
    [
      "after the highest",
      "postgres",
      "auto",
      V3,
      "V004",
      ["V004-create-users-up.sql", "V004-create-users-down.sql"],
    ],
    [
      "more digits",
      "sqlite",
      "auto",
      ["V9-a-up.sql"],
      "V10",
      ["V10-create-users-up.sql", "V10-create-users-down.sql"],
    ],
    [
      "another day",
      "neo4j",
      "auto",
      ["2025-01-14-007-a.cypher"],
      "2025-01-15-001",
      ["2025-01-15-001-create-users.cypher", "2025-01-15-001-create-users-down.cypher"],
    ],
    [
      "the same day, in SQL",
      "postgres",
      "auto",
      ["2025-01-15-007-a.sql"],
      "2025-01-15-008",
      ["2025-01-15-008-create-users.sql", "2025-01-15-008-create-users-down.sql"],
    ],
    [
      "a day to come",
      "neo4j",
      "auto",
      ["2025-12-31-001-a.cypher"],
      "2025-12-31-002",
      ["2025-12-31-002-create-users.cypher", "2025-12-31-002-create-users-down.cypher"],
    ],
    [
      "golang-migrate, numbers",
      "postgres",
      "auto",
      ["000009_a.up.sql"],
      "000010",
      ["000010_create_users.up.sql", "000010_create_users.down.sql"],
    ],
    [
      "golang-migrate, times",
      "postgres",
      "auto",
      ["20240101000000_a.up.sql"],
      "20250115235958",
      ["20250115235958_create_users.up.sql", "20250115235958_create_users.down.sql"],
    ],
    [
      "golang-migrate, Neo4j",
      "neo4j",
      "golang-migrate",
      [],
      "20250115235958",
      ["20250115235958_create_users.up.cypher", "20250115235958_create_users.down.cypher"],
    ],
    ["dbmate", "sqlite", "dbmate", [], "20250115235958", ["20250115235958_create_users.sql"]],
    [
      "dbmate, the same second at the end of a day",
      "sqlite",
      "auto",
      ["20250115235959_a.sql"],
      "20250116000000",
      ["20250116000000_create_users.sql"],
    ],
    ["dbmate, numbers", "sqlite", "auto", ["007_a.sql"], "008", ["008_create_users.sql"]],
    [
      "diesel",
      "postgres",
      "auto",
      ["00000000000000_diesel_initial_setup/up.sql"],
      "20250115235958",
      ["2025-01-15-235958_create_users/up.sql", "2025-01-15-235958_create_users/down.sql"],
    ],
    [
      "diesel, with the numbers of its newer versions",
      "postgres",
      "auto",
      ["2025-01-15-235958-0003_a/up.sql"],
      "20250115235959",
      ["2025-01-15-235959_create_users/up.sql", "2025-01-15-235959_create_users/down.sql"],
    ],
  ];
  test.each(CASES)("%s", async (_title, engine, format, laid, version, files) => {
    lay(laid);
    const made = await create("Create users!", { engine, format });
    expect(made).toMatchObject({ version, files: files.map((file) => `migrations/${file}`) });
    const text = made.format === "dbmate" ? "-- migrate:up\n\n\n-- migrate:down\n\n" : "";
    for (const file of files) expect(readFileSync(join(place, file), "utf8")).toBe(text);
    const listed = readdirSync(place, { recursive: true, withFileTypes: true }).filter((entry) =>
      entry.isFile(),
    );
    expect(listed).toHaveLength(laid.length + files.length);
    // what was made is read again, and comes last
    const { migrations } = readFolder(engine, place, made.format, "migrations");
    expect(migrations.at(-1)).toMatchObject({ description: "create users", up: { file: files[0] } });
    expect(migrations.at(-1)!.up.text.trim()).toBe("");
  });

  test.each(["scale down", "roll up", "down", "up"])('"%s" is no direction', async (description) => {
    await create(description, { engine: "neo4j" });
    const { migrations } = readFolder("neo4j", place, "auto", "migrations");
    expect(migrations).toMatchObject([{ description, up: {}, down: {} }]);
  });

  test("one after another, in one second", async () => {
    for (const format of ["dbmate", "diesel", "golang-migrate"] as const) {
      place = join(root, String(count), format);
      const versions: string[] = [];
      for (let n = 0; n < 3; n += 1) versions.push((await create("x", { format })).version);
      expect(versions).toEqual(["20250115235958", "20250115235959", "20250116000000"]);
    }
  });
});

describe("refusals write nothing", () => {
  test.each(["", "  ", "!?", "日本"])("the description %j", async (description) => {
    await expect(create(description)).rejects.toMatchObject({
      code: "usage",
      hint: expect.stringMatching(/words/),
    });
    expect(existsSync(place)).toBe(false);
  });

  test("a layout that the engine does not have", async () => {
    await expect(create("x", { engine: "redis", format: "diesel" })).rejects.toMatchObject({ code: "usage" });
    expect(existsSync(place)).toBe(false);
  });

  test("a folder that is no folder of migrations", async () => {
    lay(["V1-a-up.sql", "notes.txt"]);
    await expect(create()).rejects.toMatchObject({
      code: "usage",
      message: expect.stringMatching(/notes\.txt/),
    });
    await expect(create("x", { format: "dbmate" })).rejects.toMatchObject({
      message: expect.stringMatching(/looks like opsctl/),
    });
    expect(readdirSync(place)).toEqual(["V1-a-up.sql", "notes.txt"]);
  });

  test("a file where the folder should be, or above it", async () => {
    mkdirSync(dirname(place), { recursive: true });
    writeFileSync(place, "");
    await expect(create()).rejects.toMatchObject({
      code: "usage",
      message: expect.stringMatching(/a file is in the way/),
    });
    place = join(place, "below");
    await expect(create()).rejects.toMatchObject({
      code: "usage",
      message: expect.stringMatching(/a file is in the way/),
    });
  });

  test("a place where nothing can be made", async () => {
    place = "/proc/opsctl-migrations";
    await expect(create()).rejects.toMatchObject({
      code: "failed",
      message: expect.stringMatching(/migrations cannot be written \(E[A-Z]+\)/),
    });
  });

  test("the thousandth version of a day", async () => {
    lay(["2025-01-15-999-a.cypher"]);
    await expect(create("x", { engine: "neo4j" })).rejects.toMatchObject({
      message: expect.stringMatching(/999 versions/),
    });
  });

  test("a link where a claim would be is neither followed nor kept for ever", async () => {
    lay(["V1-a-up.sql"]);
    symlinkSync(join(root, "precious"), join(place, ".opsctl-new-2"));
    expect((await create("b")).version).toBe("V3");
    expect(existsSync(join(root, "precious"))).toBe(false);
  });
});

describe("several processes at once", () => {
  const WORKER = join(import.meta.dirname, "create-worker.ts");
  const start = (args: string[]) => collect(spawn(process.execPath, [WORKER, ...args]));

  test.each([
    ["eight", false],
    ["eight, while somebody removes every claim", true],
  ])("%s: each gets versions of its own", async (_title, isSabotaged) => {
    mkdirSync(place, { recursive: true });
    let isOver = false;
    const saboteur = (async () => {
      while (isSabotaged && !isOver) {
        for (const name of readdirSync(place).filter((one) => one.startsWith(".opsctl-new-"))) {
          rmSync(join(place, name), { force: true });
        }
        await new Promise(setImmediate);
      }
    })();
    const workers = Array.from({ length: 8 }, (_, index) =>
      start(["postgres", place, `worker ${index}`, "3"]),
    );
    const ran = await Promise.all(workers);
    isOver = true;
    await saboteur;
    expect(ran.map(({ code, stderr }) => ({ code, stderr }))).toEqual(
      ran.map(() => ({ code: 0, stderr: "" })),
    );
    const versions = ran.flatMap(({ stdout }) => stdout.trim().split("\n"));
    expect(new Set(versions).size).toBe(24);
    const { migrations } = readFolder("postgres", place, "auto", "migrations");
    expect(migrations.map(({ version }) => version)).toEqual(versions.sort());
    expect(migrations.filter(({ down }) => down === null)).toEqual([]);
  });

  test("the claim of a process that was killed is left alone for ten seconds, then removed", async () => {
    lay(["V1-a-up.sql"]);
    const claim = join(place, ".opsctl-new-2");
    writeFileSync(claim, "somebody");
    expect((await create("b")).version).toBe("V3");
    expect(existsSync(claim)).toBe(true);
    const old = new Date(Date.now() - 11_000);
    utimesSync(claim, old, old);
    expect((await create("c")).version).toBe("V4");
    expect(existsSync(claim)).toBe(false);
  });
});
