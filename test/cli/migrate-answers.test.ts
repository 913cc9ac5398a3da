/** What `migrate` accepts although it looks odd, what programs read of its answers, and databases that were there before it. */
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { beforeEach, describe, expect, test } from "vitest";
import type { Sandbox } from "../support/cli.ts";
import { APPLIED, type Files, SEVEN, withApplied, writeMigrations } from "../support/migrations.ts";

const sandbox = withApplied();
let box: Sandbox;
beforeEach(() => {
  box = sandbox();
});
const write = (files: Files) => writeMigrations(box, files);
const V3 = "V003-more-up.sql";

describe("accepted, although it looks odd", () => {
  const up = ["migrate", "up", "sqlite", "--database", "app.db", "--no-copy"];

  test("applied files with other line ends and a byte order mark", async () => {
    const turned = Object.entries(APPLIED).map(([name, text]) => [
      name,
      `\uFEFF${text.replaceAll("\n", "\r\n")}`,
    ]);
    write(Object.fromEntries(turned));
    expect(await box.run(up)).toMatchObject({ code: 0, stdout: "" });
    const { engines } = await box.json("migrate verify", [
      "migrate",
      "verify",
      "sqlite",
      "--database",
      "app.db",
    ]);
    expect(engines[0].problems).toEqual([]);
  });

  test("a new file with them, comments alone, a README, a hidden file, a link", async () => {
    write({
      "V003-more-up.sql": "\uFEFFCREATE TABLE c (id INTEGER);\r\n\r\nINSERT INTO c VALUES (1);\r\n",
      "V004-nothing-up.sql": "-- on purpose\n",
      "README.md": "how we do it",
      ".keep": "",
    });
    symlinkSync(
      join(box.cwd, "migrations/sqlite/V004-nothing-up.sql"),
      join(box.cwd, "migrations/sqlite/V005-link-up.sql"),
    );
    const { engines } = await box.json("migrate up", up);
    expect(engines[0].files.map(({ version }: { version: string }) => version)).toEqual([
      "V003",
      "V004",
      "V005",
    ]);
  });

  test("baseline said twice", async () => {
    const args = ["migrate", "baseline", "sqlite", "V002", "--database", "app.db"];
    expect(await box.json("migrate baseline", args)).toMatchObject({ changed: false, adopted: [] });
  });

  test("a version written as a number", async () => {
    write({ "V003-more-up.sql": "SELECT 1;", "V004-more-up.sql": "SELECT 1;" });
    const { engines } = await box.json("migrate up", [...up, "--to", "3"]);
    expect(engines[0].files).toMatchObject([{ version: "V003" }]);
  });
});

describe("what programs read", () => {
  const args = ["migrate", "up", "sqlite", "--database", "app.db", "--no-copy", "--json"];

  test("an error is one object on stderr, with the exit code of the process", async () => {
    write({ [V3]: "COMMIT;" });
    const { code, stderr } = await box.run(args);
    expect(JSON.parse(stderr)).toEqual({
      code: "usage",
      message: expect.stringContaining(`${V3}:1:1:`),
      hint: expect.any(String),
      engine: expect.toBeOneOf(["sqlite", null]),
      exit_code: 2,
    });
    expect(code).toBe(2);
  });

  test("what was applied before the error is on stdout, the error beside it", async () => {
    write({ [V3]: "CREATE TABLE c (id INTEGER);", "V004-next-up.sql": SEVEN });
    const { engines, changed } = await box.json("migrate up", args.slice(0, -1), { code: 1 });
    expect(changed).toBe(true);
    expect(engines[0]).toMatchObject({
      status: "failed",
      files: [{ version: "V003", state: "applied" }],
      error: { code: "failed", message: expect.stringContaining("V004-next-up.sql:3:8:") },
    });
  });

  test("status --exit-code is 4 while something is pending or wrong, and 0 when nothing is", async () => {
    const status = ["migrate", "status", "sqlite", "--database", "app.db", "--exit-code"];
    expect(await box.json("migrate status", status)).toMatchObject({ up_to_date: true });
    write({ [V3]: "SELECT 1;" });
    const pending = await box.json("migrate status", status, { code: 4 });
    expect(pending).toMatchObject({ up_to_date: false, engines: [{ pending: 1, problems: 0 }] });
    write({ [V3]: null, "V001-create-users-up.sql": "SELECT 1;" });
    const edited = await box.json("migrate status", status, { code: 4 });
    expect(edited).toMatchObject({ up_to_date: false, engines: [{ pending: 0, problems: 1 }] });
    expect((await box.run(status.slice(0, -1))).code).toBe(0);
  });

  test("verify is 4 for what up would refuse, and names it", async () => {
    write({ [V3]: "COMMIT;", "V001-create-users-up.sql": "SELECT 1;" });
    const verify = ["migrate", "verify", "sqlite", "--database", "app.db"];
    const { engines } = await box.json("migrate verify", verify, { code: 4 });
    expect(engines[0].problems).toMatchObject([
      { version: "V001", kind: "edited" },
      { version: "V003", kind: "invalid", message: expect.stringContaining(`${V3}:1:1:`) },
    ]);
  });
});

describe("a database that holds tables and has no history", () => {
  beforeEach(() => {
    const database = new Database(join(box.cwd, "old.db"));
    database.exec(APPLIED["V001-create-users-up.sql"]);
    database.close();
  });
  const target = ["sqlite", "--database", "old.db"];

  test("is left as it is, and baseline is suggested and works", async () => {
    const refused = await box.run(["migrate", "up", ...target]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/not empty \(users\)/);
    expect(refused.stderr).toMatch(/^Try: opsctl migrate baseline sqlite VERSION /m);
    const baseline = await box.json("migrate baseline", ["migrate", "baseline", "V001", ...target.slice(1)]);
    expect(baseline).toMatchObject({ changed: true, adopted: ["V001"], pending: ["V002"] });
    const { engines } = await box.json("migrate up", ["migrate", "up", ...target]);
    expect(engines[0].files).toMatchObject([{ version: "V002", state: "applied" }]);
  });

  test("with baseline 0 the files meet what is there", async () => {
    await box.ok(["migrate", "baseline", "sqlite", "0", ...target.slice(1)]);
    const refused = await box.run(["migrate", "up", ...target]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/V001-create-users-up\.sql:1:\d+: .*users/);
  });
});
