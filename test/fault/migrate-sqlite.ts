import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect } from "vitest";
import type { Sandbox } from "../support/cli.ts";
import { NO_TRANSACTION, row, sqlFiles } from "./migrate-sql-files.ts";
import { countMarks, type MarkedFile, type Subject, writeFiles } from "./migrate-subject.ts";

export const SQLITE_FILES: readonly MarkedFile[] = sqlFiles((_, version) => {
  const index = `i_${version.toLowerCase()}`;
  return {
    header: NO_TRANSACTION,
    up: [
      row(`${version} first`),
      { text: `CREATE INDEX ${index} ON ledger (mark);`, adds: index },
      row(`${version} middle`),
      { text: `DROP INDEX IF EXISTS ${index};`, removes: index },
      row(`${version} last`),
    ],
    down: [row(`${version} down`), row(`${version} down again`)],
  };
});

const MARKS = `SELECT name FROM sqlite_schema WHERE type IN ('table', 'index') AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'opsctl_%'`;

/** A file of its own in the sandbox's working directory. */
export function sqliteSubject(box: Sandbox, files: readonly MarkedFile[] = SQLITE_FILES): Subject {
  writeFiles(box, "sqlite", files);
  const name = "app.db";
  const path = join(box.cwd, name);
  return {
    engine: "sqlite",
    files,
    env: {},
    target: ["sqlite", "--database", name],
    async marks() {
      if (!existsSync(path)) return new Map();
      const database = new Database(path, { readonly: true });
      try {
        expect(database.pragma("integrity_check", { simple: true })).toBe("ok");
        const ask = (sql: string) => database.prepare(sql).pluck().all() as string[];
        const names = ask(MARKS);
        return countMarks([...names, ...(names.includes("ledger") ? ask("SELECT mark FROM ledger") : [])]);
      } finally {
        database.close();
      }
    },
    async settle() {},
    async drop() {
      for (const suffix of ["", "-journal", "-wal", "-shm"]) rmSync(path + suffix, { force: true });
    },
  };
}
