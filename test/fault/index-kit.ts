/** A file with an index to keep up, and what must hold of it whatever happens. */
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect } from "vitest";
import { sqliteConnection } from "../../src/engines/sqlite/connect.ts";
import { sqliteMemory } from "../../src/engines/sqlite/memory.ts";
import { INDEX_VERSION, prepare } from "../../src/memory/analyze.ts";
import { remember } from "../contract/memory-store.ts";
import { testCall } from "../support/calls.ts";
import { ROOT } from "../support/cli.ts";

/** A new folder with a path for a file in it. */
export function place(): { path: string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), "opsctl-index-"));
  return { path: join(folder, "data.db"), remove: () => rmSync(folder, { recursive: true }) };
}

export const fix = (n: number) =>
  remember({
    key: `issue:worker ${n} lost its connection`,
    content: `restart worker${n % 70} at 10.0.${n % 250}.7, request ${n}`,
    details: `2026-01-02T03:04:05Z host${n % 9} pid ${n}: connection to 10.1.2.${n % 200}:5432 refused`,
    eventId: `event ${n}`,
  });

/** Stores fixes of these numbers. */
export async function store(path: string, from: number, to: number): Promise<void> {
  const connection = sqliteConnection(path);
  try {
    const writes = Array.from({ length: to - from }, (_, n) => fix(from + n));
    await sqliteMemory(connection).apply(testCall(), writes);
  } finally {
    await connection.close();
  }
}

/** As an opsctl without shapes left a file: made by the plain client, its entries by their words alone; fixes from 0 on. */
export function outdatedFile(path: string, count: number): void {
  const up = readFileSync(join(ROOT, "init/sqlite/memory/V001-memory-up.sql"), "utf8");
  execFileSync("sqlite3", ["-bail", path], { input: up });
  const database = new Database(path);
  const record = database.prepare(
    `INSERT INTO memori_metadata (row_id, id, namespace, key, folded_key, content, details, title_length, body_length)
     VALUES (?, ?, 'default', ?, ?, ?, ?, ?, ?)`,
  );
  const event = database.prepare(
    "INSERT INTO memori_events VALUES (?, ?, NULL, NULL, NULL, '[]', '{}', 1000, 1000, ?)",
  );
  const entry = database.prepare("INSERT INTO memori_index (rowid, title, body) VALUES (?, ?, ?)");
  database.transaction(() => {
    for (let row = 1; row <= count; row += 1) {
      const { record: own, prepared, event: seen, digest } = fix(row - 1);
      const { foldedKey, titleLength, bodyLength } = prepared;
      record.run(row, own.id, own.key, foldedKey, own.content, own.details, titleLength, bodyLength);
      event.run(seen.id, row, digest);
      entry.run(row, prepared.title, prepared.body);
    }
    database.exec(
      `CREATE VIRTUAL TABLE temp.vocabulary USING fts5vocab ('main', 'memori_index', 'row');
       INSERT INTO memori_terms SELECT term, doc FROM temp.vocabulary;
       UPDATE memori_statistics SET (documents, title_length, body_length) =
         (SELECT count(*), sum(title_length), sum(body_length) FROM memori_metadata)`,
    );
  })();
  database.close();
}

/** Takes entries away, as a program does that knows the records but not the index. */
export function damage(path: string, every = 3): void {
  const database = new Database(path);
  database.prepare("DELETE FROM memori_index WHERE rowid % ? = 0").run(every);
  database.close();
}

interface Row {
  row: number;
  key: string;
  content: string;
  details: string | null;
  version: number;
}

/** Frequencies and sums are those of the entries, and SQLite finds the file sound. @returns records whose entry is outdated */
export function checkIndex(path: string, { whole = true } = {}): number {
  const database = new Database(path);
  try {
    expect(database.pragma("integrity_check", { simple: true })).toBe("ok");
    database.exec("INSERT INTO memori_index (memori_index) VALUES ('integrity-check')");
    const read = (sql: string) => database.prepare(sql).raw().all();
    const records = database
      .prepare<[], Row>(
        `SELECT row_id AS row, key, content, details, index_version AS version FROM memori_metadata
         WHERE deleted_at IS NULL ORDER BY row_id`,
      )
      .all();
    const outdated = records.filter(({ version }) => version < INDEX_VERSION).length;
    if (!whole) return outdated;
    expect(read("SELECT rowid, title, body, shape FROM memori_index ORDER BY rowid")).toEqual(
      records.map(({ row, version, ...record }) => {
        const { title, body, shape } = prepare(record);
        return [row, title, body, version < INDEX_VERSION ? "" : shape];
      }),
    );
    database.exec("CREATE VIRTUAL TABLE temp.vocabulary USING fts5vocab ('main', 'memori_index', 'row')");
    expect(read("SELECT term, df FROM memori_terms ORDER BY term")).toEqual(
      read("SELECT term, doc FROM temp.vocabulary ORDER BY term"),
    );
    expect(read("SELECT documents, title_length, body_length FROM memori_statistics")).toEqual(
      read(
        "SELECT count(*), sum(title_length), sum(body_length) FROM memori_metadata WHERE deleted_at IS NULL",
      ),
    );
    return outdated;
  } finally {
    database.close();
  }
}

/** Names of what an index that is being made, or was replaced, has in the file. */
export function leftovers(path: string): string[] {
  const database = new Database(path, { readonly: true });
  try {
    return database
      .prepare<[], string>("SELECT name FROM sqlite_schema WHERE name GLOB 'opsctl_index_*' ORDER BY name")
      .pluck()
      .all();
  } finally {
    database.close();
  }
}

/** Records that a search for one word finds. */
export function found(path: string, word: string): number {
  const database = new Database(path, { readonly: true });
  try {
    return database
      .prepare<[string], number>("SELECT count(*) FROM memori_index WHERE memori_index MATCH ?")
      .pluck()
      .get(word)!;
  } finally {
    database.close();
  }
}

/** `maintain sqlite` of an index in a process of its own. `begun`: it has made its first step. */
export function startUpkeep(path: string, kind: "rebuild" | "renew") {
  const child = spawn(process.execPath, [join(import.meta.dirname, "index-runner.ts"), path, kind]);
  let stderr = "";
  child.stderr.on("data", (chunk) => {
    stderr += chunk;
  });
  const begun = new Promise<void>((resolve) => {
    child.stdout.once("data", () => resolve());
    child.once("close", () => resolve());
  });
  const ended = new Promise<{ code: number | null; stderr: string }>((resolve) => {
    child.once("close", (code) => resolve({ code, stderr }));
  });
  return { begun, ended, kill: () => child.kill("SIGKILL") };
}
