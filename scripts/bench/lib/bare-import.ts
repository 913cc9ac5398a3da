/**
 * What opsctl's import is measured against: the shortest program that stores the same lines.
 *
 *   node bare-import.ts FIXES.ndjson DATABASE
 *
 * A record row, an event row and their text in FTS5 (Porter), 1,000 lines a transaction, as durable as opsctl.
 */
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import Database from "better-sqlite3";

const [input, file] = process.argv.slice(2) as [string, string];
const database = new Database(file);
database.pragma("journal_mode = WAL");
database.pragma("synchronous = FULL");
database.exec(`
  CREATE TABLE record (row_id INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, key TEXT, content TEXT, details TEXT);
  CREATE TABLE event (id TEXT PRIMARY KEY, record INTEGER, agent TEXT, server TEXT, success INTEGER, at INTEGER);
  CREATE VIRTUAL TABLE fixes USING fts5 (title, body, tokenize = 'porter')`);
const record = database.prepare("INSERT INTO record (id, key, content, details) VALUES (?, ?, ?, ?)");
const event = database.prepare("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?)");
const text = database.prepare("INSERT INTO fixes (rowid, title, body) VALUES (?, ?, ?)");

const store = database.transaction((lines: string[]) => {
  for (const line of lines) {
    const fix = JSON.parse(line);
    const row = record.run(fix.id, `issue:${fix.issue}`, fix.solution, fix.details).lastInsertRowid;
    event.run(fix.event_id, row, fix.agent, fix.server, Number(fix.success), fix.ts);
    text.run(row, fix.issue, `${fix.solution}\n${fix.details}`);
  }
});

let batch: string[] = [];
for await (const line of createInterface({ input: createReadStream(input) })) {
  batch.push(line);
  if (batch.length === 1000) {
    store(batch);
    batch = [];
  }
}
store(batch);
database.close();
