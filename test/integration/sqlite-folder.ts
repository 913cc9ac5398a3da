/** A SQLite file and a folder of migrations beside it, for the tests of migrations on SQLite. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { createCall, type LogLevel } from "../../src/call.ts";
import { type SqliteConnection, sqliteConnection } from "../../src/engines/sqlite/connect.ts";
import { sqliteMigrations } from "../../src/engines/sqlite/migrations.ts";
import type { Extent } from "../../src/migrate/plan.ts";
import type { Direction, Format, HistoryRow, MigrationTarget } from "../../src/migrate/port.ts";
import { type RunOptions, run } from "../../src/migrate/runner.ts";
import { folderSource } from "../../src/migrate/source.ts";

export class MigratedFile {
  readonly dir = mkdtempSync(join(tmpdir(), "opsctl-sqlite-"));
  readonly path = join(this.dir, "app.db");
  readonly connection: SqliteConnection;
  readonly target: MigrationTarget;
  /** What was written to the log. */
  readonly log: string[] = [];
  readonly call = createCall({
    actor: "tester@host",
    signal: new AbortController().signal,
    log: (level: LogLevel, message: string) => this.log.push(`${level} ${message}`),
  });

  constructor({ foreign = true } = {}) {
    mkdirSync(join(this.dir, "migrations"));
    this.connection = sqliteConnection(this.path, foreign);
    this.target = sqliteMigrations(this.connection);
  }

  /** Writes files of the folder; a name without a slash as `V001-x-up.sql` gets it. */
  files(files: Record<string, string>): void {
    for (const [name, text] of Object.entries(files)) {
      const path = join(this.dir, "migrations", name);
      mkdirSync(join(path, ".."), { recursive: true });
      writeFileSync(path, text);
    }
  }

  source(format: Format | "auto" = "auto") {
    return folderSource("sqlite", join(this.dir, "migrations"), "migrations", format);
  }

  /** Runs what is pending; the versions that were done. */
  async up(files: Record<string, string> = {}, options: Partial<RunOptions> = {}): Promise<string[]> {
    this.files(files);
    return this.run("up", {}, options);
  }

  async down(extent: Extent = {}): Promise<string[]> {
    return this.run("down", extent);
  }

  private async run(direction: Direction, extent: Extent, options: Partial<RunOptions> = {}) {
    const done: string[] = [];
    await run(this.call, this.target, this.source(), direction, {
      extent,
      lockWaitMs: 10_000,
      limits: { lockTimeoutMs: 5_000, statementTimeoutMs: null },
      onDone: ({ migration }) => done.push(migration.version),
      ...options,
    });
    return done;
  }

  /** The last row of history. */
  async row(): Promise<HistoryRow | undefined> {
    return (await this.target.history(this.call)).at(-1);
  }

  /** Runs SQL as another program would, on a connection of its own with foreign keys off. */
  sql(text: string): void {
    this.with((database) => database.exec(text));
  }

  /** First column of each row. */
  values(query: string): unknown[] {
    return this.with((database) => database.prepare(query).pluck().all());
  }

  tables(): unknown[] {
    return this.values(
      "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'opsctl%' AND name NOT LIKE 'sqlite%' ORDER BY name",
    );
  }

  with<T>(work: (database: Database.Database) => T): T {
    const database = new Database(this.path);
    try {
      database.pragma("foreign_keys = OFF");
      return work(database);
    } finally {
      database.close();
    }
  }

  async remove(): Promise<void> {
    await this.connection.close();
    rmSync(this.dir, { recursive: true, force: true });
  }
}
