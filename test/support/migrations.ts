/** A SQLite file with two versions applied, fresh for each test, for tests of what `migrate` makes of the next one. */
import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import { Sandbox } from "./cli.ts";

/** Two versions; the second cannot be rolled back. */
export const APPLIED = {
  "V001-create-users-up.sql": "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL);\n",
  "V001-create-users-down.sql": "DROP TABLE users;\n",
  "V002-create-orders-up.sql":
    "CREATE TABLE orders (id INTEGER PRIMARY KEY);\nINSERT INTO orders VALUES (1);\n",
};

/** Seven statements, the third with a syntax error in line 3, column 8. */
export const SEVEN = [
  "CREATE TABLE a (id INTEGER);",
  "INSERT INTO a VALUES (1);",
  "CREATE TABEL b (id INTEGER);",
  ...["c", "d", "e", "f"].map((name) => `CREATE TABLE ${name} (id INTEGER);`),
].join("\n");

/** Name and content; null deletes the file. */
export type Files = Readonly<Record<string, string | Buffer | null>>;

/** Writes files into the folder of an engine. */
export function writeMigrations(box: Sandbox, files: Files, engine = "sqlite"): void {
  const folder = join(box.cwd, "migrations", engine);
  mkdirSync(folder, { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    if (content === null) rmSync(join(folder, name));
    else writeFileSync(join(folder, name), content);
  }
}

/** Registers the hooks that give each test a sandbox in which APPLIED is applied to `app.db`; returns how to get at it. */
export function withApplied(): () => Sandbox {
  const base = new Sandbox({ shared: true });
  let box: Sandbox;
  beforeAll(async () => {
    writeMigrations(base, APPLIED);
    await base.ok(["migrate", "up", "sqlite", "--database", "app.db", "--no-copy"]);
  });
  afterAll(() => base.remove());
  beforeEach(() => {
    box = new Sandbox({ shared: true });
    cpSync(base.cwd, box.cwd, { recursive: true });
  });
  afterEach(() => box.remove());
  return () => box;
}
