/** A live SQLite file, files of a set beside it, and parts of a restore that lead from one to the other. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import Database from "better-sqlite3";
import { sqliteRestore } from "../../src/engines/sqlite/restore.ts";
import type { RestorePart, RestoreTask, Saved } from "../../src/restore/port.ts";

const OPTIONS: RestoreTask["options"] = {
  jobs: 1,
  redis: { method: "auto", server: "redis-server" },
  neo4j: { admin: "neo4j-admin", cypherShell: "cypher-shell" },
};

export class RestoreFolder {
  readonly root = mkdtempSync(join(tmpdir(), "opsctl-sqlite-restore-"));
  readonly live = join(this.root, "live", "app.db");
  readonly staged = join(this.root, "set", "app.db");
  /** What the journal has of the part. */
  saved: Saved = {};

  constructor() {
    for (const name of ["live", "set", "work"]) mkdirSync(join(this.root, name));
  }

  /** Runs statements as a program would that has the file for itself. */
  sql(path: string, statements: string): void {
    const database = new Database(path);
    database.exec(statements);
    database.close();
  }

  /** Makes a file of a few pages, all rows of which say which file it is. */
  fill(path: string, content: string, rows = 100, settings = ""): void {
    this.sql(
      path,
      `${settings}; CREATE TABLE t (content, filler); CREATE TABLE log (line);
       WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})
       INSERT INTO t SELECT '${content}', randomblob(900) FROM n`,
    );
  }

  /** Makes a file with a page in its middle that is none. */
  damage(path: string): void {
    this.fill(path, "damaged");
    const content = readFileSync(path);
    content.fill(0xff, 4096 * 4, 4096 * 5);
    writeFileSync(path, content);
  }

  task(changes: Partial<RestoreTask> = {}, staged = this.staged): RestoreTask {
    return {
      id: "1a2b3c4d",
      name: "app.db",
      files: [
        {
          path: `sqlite/${basename(staged)}`,
          kind: "sqlite-database",
          size_bytes: statSync(staged).size,
          local: staged,
        },
      ],
      expected: { counts: {}, breakdown: {} },
      serverVersion: null,
      isOurs: true,
      work: join(this.root, "work"),
      saved: this.saved,
      save: async (_call, saved) => {
        this.saved = structuredClone(saved);
      },
      options: OPTIONS,
      ...changes,
    };
  }

  /** A part, as a process makes it that knows no more than the journal. */
  part(
    changes: Partial<RestoreTask> = {},
    { live = this.live, staged = this.staged } = {},
  ): Promise<RestorePart> {
    return sqliteRestore(this.task(changes, staged), {
      target: { engine: "sqlite", url: live, shown: live, identity: `sqlite:${live}`, foreign: true },
      limits: { connectMs: 1_000, queryMs: 1_000, poolSize: 1 },
    });
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}
