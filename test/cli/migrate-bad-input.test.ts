/** Bad files and bad flags of `migrate`: refused with a message that says where, a last line `Try: …`, the exit code, and nothing changed. */
import { join } from "node:path";
import Database from "better-sqlite3";
import { describe, expect, test } from "vitest";
import { APPLIED, type Files, SEVEN, withApplied, writeMigrations } from "../support/migrations.ts";

const box = withApplied();

/** Schema, history and rows of the database. */
function contents(): unknown {
  const database = new Database(join(box().cwd, "app.db"), { readonly: true });
  try {
    const ask = (sql: string) => database.prepare(sql).all();
    return [
      ask("SELECT name, sql FROM sqlite_schema"),
      ask("SELECT * FROM opsctl_migrations"),
      ask("SELECT * FROM orders"),
    ];
  } finally {
    database.close();
  }
}

interface Refusal {
  /** Beside those that are applied; null: gone. */
  files?: Files;
  /** After `migrate`; `--database app.db` is added when the engine is sqlite alone. */
  args?: string[];
  code?: number;
  /** Words of the message. */
  says: (string | RegExp)[];
  hint?: string | RegExp;
  env?: Record<string, string>;
}

/** Nothing listens there. */
const NOWHERE = { REDIS_URL: "redis://127.0.0.1:1", DATABASE_URL: "postgresql://u:p@127.0.0.1:1/d" };
const USERS = APPLIED["V001-create-users-up.sql"];
const V3 = "V003-more-up.sql";

const FILES: Record<string, Refusal> = {
  "an applied file that was edited": {
    files: { "V001-create-users-up.sql": USERS.replace("NOT NULL", "") },
    code: 23,
    says: ["V001-create-users-up.sql", /history has sha256:[0-9a-f]{64}, the file is sha256:[0-9a-f]{64}/],
    hint: "opsctl migrate repair sqlite V001 --mark applied",
  },
  "an applied file that is gone": {
    files: { "V002-create-orders-up.sql": null },
    code: 23,
    says: ["V002-create-orders-up.sql"],
    hint: "put the files back",
  },
  "two files of one version": {
    files: { "V002-another-up.sql": "SELECT 1;" },
    says: ["V002-another-up.sql", "V002-create-orders-up.sql"],
  },
  "one number written in two ways": {
    files: { "V2-another-up.sql": "SELECT 1;" },
    says: ["V2-another-up.sql", "V002-create-orders-up.sql"],
  },
  "a name with an underscore": { files: { "V003_more.sql": "SELECT 1;" }, says: ["V003_more.sql"] },
  "a name without a version": { files: { "more.sql": "SELECT 1;" }, says: ["more.sql"] },
  "a direction that is none": {
    files: { "V003-more-sideways.sql": "SELECT 1;" },
    says: ["V003-more-sideways.sql"],
  },
  "the extension of another engine": {
    files: { "V003-more-up.cypher": "RETURN 1;" },
    says: ["V003-more-up.cypher"],
  },
  "a number that is no safe integer": {
    files: { "V99999999999999999999-more-up.sql": "SELECT 1;" },
    says: ["V99999999999999999999-more-up.sql"],
  },
  "version 0": { files: { "V000-more-up.sql": "SELECT 1;" }, says: ["V000-more-up.sql"] },
  "a down file alone": { files: { "V003-more-down.sql": "SELECT 1;" }, says: ["V003-more-down.sql"] },
  "two schemes in one folder": {
    files: { "2026-01-15-001-more.sql": "SELECT 1;" },
    says: ["2026-01-15-001-more.sql"],
  },
  "two formats in one folder": { files: { "3_more.up.sql": "SELECT 1;" }, says: ["3_more.up.sql"] },
  "an empty file": { files: { [V3]: "" }, says: [V3, "empty"] },
  "a file of blank lines": { files: { [V3]: "\n \t\r\n" }, says: [V3, "empty"] },
  "a NUL byte": { files: { [V3]: Buffer.from("SELECT '\0';") }, says: [V3, "NUL"] },
  "invalid UTF-8": { files: { [V3]: Buffer.from([0x53, 0xff, 0xfe]) }, says: [V3, "UTF-8"] },
  "an unknown directive": {
    files: { [V3]: "-- opsctl: no-transactions\nSELECT 1;" },
    says: [V3, "no-transactions"],
    hint: "no-transaction",
  },
  COMMIT: {
    files: { [V3]: "CREATE TABLE a (id INTEGER);\nCOMMIT;\nCREATE TABLE b (id INTEGER);" },
    says: [`${V3}:2:1:`, "COMMIT", /^ {2}2 \| COMMIT;?$/m, /^ {4}\| \^$/m],
  },
  "COMMIT in the second file of three": {
    files: {
      [V3]: "CREATE TABLE a (id INTEGER);",
      "V004-next-up.sql": "  commit ;",
      "V005-last-up.sql": "CREATE TABLE b (id INTEGER);",
    },
    says: ["V004-next-up.sql:1:3:"],
  },
  "BEGIN and COMMIT around a file": {
    files: { [V3]: "BEGIN;\nCREATE TABLE a (id INTEGER);\nCOMMIT;" },
    says: [`${V3}:1:1:`, "BEGIN"],
  },
  "a savepoint": { files: { [V3]: "/* ; */ SAVEPOINT a;" }, says: [`${V3}:1:9:`, "SAVEPOINT"] },
  "a quote that never ends": { files: { [V3]: "SELECT 1;\nSELECT 'a;\n" }, says: [`${V3}:2:8:`] },
  "a comment that never ends": { files: { [V3]: "SELECT 1; /* a" }, says: [`${V3}:1:11:`] },
  "a syntax error in statement 3 of 7": {
    files: { [V3]: SEVEN },
    code: 1,
    says: [`${V3}:3:8:`, 'near "TABEL"', /^ {2}3 \| CREATE TABEL b \(id INTEGER\);$/m, /^ {4}\| {8}\^$/m],
  },
  "a table that is there already": {
    files: { [V3]: "SELECT 1;\n  CREATE TABLE orders (id);" },
    code: 1,
    says: [`${V3}:2:`, "orders"],
  },
};

const down = (...more: string[]) => ["down", "sqlite", ...more];
const FLAGS: Record<string, Refusal> = {
  "down without --yes": {
    files: { "V002-create-orders-down.sql": "DROP TABLE orders;" },
    args: down(),
    says: ["V002-create-orders-down.sql", "confirmation"],
    hint: "--yes",
  },
  "down without its file": { args: down("--yes"), says: ["V002-create-orders-up.sql"], hint: "down" },
  "down past a file without one": { args: down("--to", "0", "--yes"), says: ["V002-create-orders-up.sql"] },
  "down with an empty file": {
    files: { "V002-create-orders-down.sql": "" },
    args: down("--yes"),
    says: ["V002-create-orders-down.sql", "empty"],
  },
  "down of an edited file": {
    files: { "V002-create-orders-up.sql": "SELECT 2;", "V002-create-orders-down.sql": "DROP TABLE orders;" },
    args: down("--yes"),
    code: 23,
    says: ["V002-create-orders-up.sql"],
  },
  "down with --to and --steps": { args: down("--to", "V001", "--steps", "1"), says: ["--to", "--steps"] },
  "down --to an unknown version": { args: down("--to", "V009"), says: ["V009"], hint: "V001, V002" },
  "redo without --yes": {
    files: { "V002-create-orders-down.sql": "DROP TABLE orders;" },
    args: ["redo", "sqlite"],
    says: ["V002-create-orders-down.sql"],
    hint: "--yes",
  },
  "up --to an unknown version": {
    args: ["up", "sqlite", "--to", "V009"],
    says: ["--to", "V009"],
    hint: "V001, V002",
  },
  "up --to nonsense": { args: ["up", "sqlite", "--to", "../x"], says: ["--to", "../x"] },
  "--to with an empty text": { args: ["up", "sqlite", "--to", ""], says: ["--to"] },
  "--steps 0": { args: ["up", "sqlite", "--steps", "0"], says: ["--steps", "0"] },
  "--steps nonsense": { args: ["up", "sqlite", "--steps", "two"], says: ["--steps", "two"] },
  "--steps below zero": { args: ["up", "sqlite", "--steps", "-1"], says: ["--steps", "-1"] },
  "--format nonsense": {
    args: ["up", "sqlite", "--format", "flyway"],
    says: ["--format", "flyway"],
    hint: "dbmate",
  },
  "--format with a typing error": {
    args: ["up", "sqlite", "--format", "dbmat"],
    says: ["dbmat"],
    hint: "dbmate",
  },
  "--format of another tool": { args: ["up", "sqlite", "--format", "dbmate"], says: ["dbmate", "opsctl"] },
  "a --dir that is not there": { args: ["up", "sqlite", "--dir", "db/none"], says: ["db/none"] },
  "a --dir that is a file": { args: ["up", "sqlite", "--dir", "app.db"], says: ["app.db"] },
  "--dir with two engines": {
    args: ["up", "sqlite", "redis", "--dir", "db"],
    env: NOWHERE,
    says: ["--dir", "one engine"],
  },
  "--dir without an engine where two are meant": {
    args: ["up", "--dir", "db"],
    env: NOWHERE,
    says: ["postgres, redis"],
  },
  "--database for another engine": {
    args: ["up", "postgres", "--database", "x.db"],
    env: NOWHERE,
    says: ["--database", "SQLite"],
  },
  "an engine that is not configured": {
    args: ["up", "postgres"],
    says: ["postgres", "not configured"],
    hint: "DATABASE_URL",
  },
  "an unknown engine": { args: ["up", "mysql"], says: ["mysql"], hint: "postgres" },
  "an unknown subcommand": { args: ["upp"], says: ["upp"] },
  "an unknown --set": { args: ["up", "sqlite", "--set", "memori"], says: ["memori"], hint: "memory" },
  "the set of the state file": { args: ["up", "sqlite", "--set", "state"], says: ["state"] },
  "a set of another engine": {
    args: ["up", "sqlite", "--set", "catalog"],
    says: ["sqlite", "catalog"],
    hint: "neo4j",
  },
  "a set that is a path": { args: ["up", "sqlite", "--set", "../sqlite/state"], says: ["../sqlite/state"] },
  "a set and a folder": {
    args: ["up", "sqlite", "--set", "memory", "--dir", "migrations/sqlite"],
    says: ["--set", "--dir"],
  },
  "--lock-wait nonsense": { args: ["up", "sqlite", "--lock-wait", "soon"], says: ["--lock-wait", "soon"] },
  "baseline without a version": { args: ["baseline", "sqlite"], says: ["version"], hint: "--from-history" },
  "baseline with a version and --from-history": {
    args: ["baseline", "sqlite", "V001", "--from-history"],
    says: ["--from-history", "V001"],
  },
  "baseline of an unknown version": { args: ["baseline", "sqlite", "V009"], says: ["V009"] },
  "baseline with two versions": { args: ["baseline", "sqlite", "V001", "V002"], says: ["V002"] },
  "baseline below what is applied": {
    args: ["baseline", "sqlite", "V001"],
    code: 23,
    says: ["V002"],
    hint: "status",
  },
  "baseline 0 where something is applied": {
    args: ["baseline", "sqlite", "0"],
    code: 23,
    says: ["V001", "V002"],
  },
  "--from-history of opsctl's own layout": {
    args: ["baseline", "sqlite", "--from-history"],
    says: ["layout"],
    hint: "--format",
  },
  "repair without a word": { args: ["repair", "sqlite"], says: ["--retry", "--mark"] },
  "repair with both words": {
    args: ["repair", "sqlite", "--retry", "--mark", "applied"],
    says: ["--retry", "--mark"],
  },
  "repair --mark nonsense": {
    args: ["repair", "sqlite", "V001", "--mark", "done", "--yes"],
    says: ["--mark", "done"],
    hint: "applied, failed, reverted",
  },
  "repair --retry with nothing broken off": {
    args: ["repair", "sqlite", "--retry"],
    says: ["nothing", "broken off"],
  },
  "repair --retry of a version that is applied": {
    args: ["repair", "sqlite", "V001", "--retry"],
    says: ["V001", "not broken off"],
  },
  "repair --mark of an unknown version": {
    args: ["repair", "sqlite", "V009", "--mark", "applied", "--yes"],
    says: ["V009"],
  },
  "repair --mark without --yes": {
    args: ["repair", "sqlite", "V001", "--mark", "reverted"],
    says: ["V001"],
    hint: "--yes",
  },
  "repair --mark failed of what was never started": {
    files: { [V3]: "SELECT 1;" },
    args: ["repair", "sqlite", "V003", "--mark", "failed", "--yes"],
    says: ["V003", "not broken off"],
  },
  "repair --mark reverted of what was never applied": {
    files: { [V3]: "SELECT 1;" },
    args: ["repair", "sqlite", "V003", "--mark", "reverted", "--yes"],
    says: ["V003", "never applied"],
  },
  "repair --statement without --retry": {
    args: ["repair", "sqlite", "--statement", "2", "--mark", "applied"],
    says: ["--statement", "--retry"],
  },
  "a --drift file that is not there": {
    args: ["status", "sqlite", "--drift", "none.sql"],
    says: ["none.sql", "ENOENT"],
  },
  "a --database in a folder that is not there": {
    args: ["up", "sqlite", "--database", "none/x.db"],
    code: 1,
    says: ["none/x.db"],
  },
  "a --database that is no database": {
    args: ["up", "sqlite", "--database", "migrations/sqlite/V001-create-users-up.sql"],
    code: 23,
    says: ["V001-create-users-up.sql"],
  },
};

async function refuses({ files = {}, args = ["up", "sqlite"], code = 2, says, hint, env }: Refusal) {
  writeMigrations(box(), files);
  const before = contents();
  const isOurs = args[1] === "sqlite" && args[2] !== "redis" && !args.includes("--database");
  const line = ["migrate", ...args, ...(isOurs ? ["--database", "app.db", "--no-copy"] : [])];
  const known = line.filter((word) => word !== "--no-copy" || /^(up|down|redo)$/.test(args[0]!));
  const { stdout, stderr, ...ran } = await box().run(known, { env });
  expect(ran.code, stderr).toBe(code);
  expect(stdout).toBe("");
  for (const part of says) expect(stderr).toMatch(asPattern(part));
  expect(stderr).toMatch(/\nTry: \S.*\n$/s);
  if (hint) expect(stderr.slice(stderr.indexOf("\nTry: "))).toMatch(asPattern(hint));
  expect(stderr).not.toMatch(/\n\s+at /);
  expect(contents()).toEqual(before);
}

function asPattern(part: string | RegExp): RegExp {
  return part instanceof RegExp ? part : new RegExp(RegExp.escape(part));
}

describe("refused files", () => {
  test.each(Object.entries(FILES))("%s", async (_, refusal) => refuses(refusal));
});

describe("refused flags", () => {
  test.each(Object.entries(FLAGS))("%s", async (_, refusal) => refuses(refusal));
});
