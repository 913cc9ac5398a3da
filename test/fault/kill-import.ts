import { existsSync } from "node:fs";
import Database from "better-sqlite3";
import { expect } from "vitest";
import { collect, Sandbox, until } from "../support/cli.ts";

/** Events of the file that is imported. */
export const LINES = 20_000;

/** A small seeded generator (mulberry32), so that a failing campaign can be repeated. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export function importFile(sandbox: Sandbox): string {
  const lines = Array.from({ length: LINES }, (_, n) =>
    JSON.stringify({
      issue: `incident ${n % 7000}`,
      solution: `step ${n} of runbook ${n % 90}`,
      agent: `agent-${n % 9}`,
    }),
  );
  return sandbox.file("events.ndjson", `${lines.join("\n")}\n`);
}

/**
 * Kills an import with SIGKILL when it has stored a random share of its events, then checks that the file is sound and consistent with itself,
 * that a second import completes it, and that nothing is there twice.
 * @returns events that the killed import left
 */
export async function killedImport(random: () => number): Promise<number> {
  const sandbox = new Sandbox({ shared: true });
  try {
    const file = importFile(sandbox);
    const child = sandbox.start(["fixes", "import", file]);
    const ended = collect(child);
    const enough = random() * 0.9 * LINES;
    await until("the import has stored its share", () => stored(sandbox.db) >= enough);
    child.kill("SIGKILL");
    await ended;
    const kept = check(sandbox.db);
    const report = await sandbox.json("fixes import", ["fixes", "import", file]);
    expect(report).toMatchObject({ lines: LINES, imported: LINES - kept, duplicates: kept, rejected: 0 });
    expect(check(sandbox.db)).toBe(LINES);
    return kept;
  } finally {
    sandbox.remove();
  }
}

/** Events in a file that somebody is writing; 0 while it has no tables. */
function stored(path: string): number {
  if (!existsSync(path)) return 0;
  let database: Database.Database | undefined;
  try {
    database = new Database(path, { readonly: true });
    return database.prepare("SELECT count(*) FROM memori_events").pluck().get() as number;
  } catch {
    // not made yet
    return 0;
  } finally {
    database?.close();
  }
}

/** Asks the file itself: sound, whole batches only, statistics and document frequencies as its records say. Returns its events. */
export function check(path: string): number {
  const database = new Database(path);
  try {
    const hasTables = database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'memori_events'").get();
    if (!hasTables) return 0;
    expect(database.pragma("integrity_check", { simple: true })).toBe("ok");
    database.exec("INSERT INTO memori_index (memori_index) VALUES ('integrity-check')");
    const one = (sql: string) => database.prepare(sql).pluck().get() as number;
    expect(one("SELECT documents FROM memori_statistics")).toBe(one("SELECT count(*) FROM memori_metadata"));
    expect(one("SELECT count(*) FROM memori_index")).toBe(one("SELECT count(*) FROM memori_metadata"));
    expect(one("SELECT sum(title_length) FROM memori_metadata") ?? 0).toBe(
      one("SELECT title_length FROM memori_statistics"),
    );
    database.exec("CREATE VIRTUAL TABLE temp.vocabulary USING fts5vocab ('main', 'memori_index', 'row')");
    const indexed = database.prepare("SELECT term, doc FROM temp.vocabulary ORDER BY term").raw().all();
    expect(database.prepare("SELECT term, df FROM memori_terms ORDER BY term").raw().all()).toEqual(indexed);
    return one("SELECT count(*) FROM memori_events");
  } finally {
    database.close();
  }
}
