/** A folder with SQLite files, and what a backup run does with one of them. */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { appendFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import type { BackupPart, Copied, PartFacts, PartOutput, Snapshot } from "../../src/backup/port.ts";
import type { Call } from "../../src/call.ts";
import { sqliteBackup } from "../../src/engines/sqlite/backup.ts";
import { parseSqlite } from "../../src/engines/sqlite/backup-parse.ts";
import { testCall } from "../support/calls.ts";

export class BackupFolder {
  readonly root = mkdtempSync(join(tmpdir(), "opsctl-sqlite-backup-"));
  /** Of the files that are backed up. */
  readonly dir = join(this.root, "files");
  readonly path = join(this.dir, "app.db");
  #number = 0;

  constructor() {
    mkdirSync(this.dir);
    // also for whoever has no rights
    chmodSync(this.root, 0o777);
  }

  /** Runs statements against a file as its program would. */
  sql(statements: string, path = this.path): void {
    this.with((database) => database.exec(statements), path);
  }

  with<T>(work: (database: Database.Database) => T, path = this.path): T {
    const database = new Database(path);
    // for schemas that no program should write
    database.unsafeMode();
    try {
      return work(database);
    } finally {
      database.close();
    }
  }

  part(path = this.path): BackupPart {
    return sqliteBackup({ path, foreign: true })[0]!;
  }

  /** An output whose files lie in `folder` afterwards. */
  output(): PartOutput & { folder: string } {
    this.#number += 1;
    const folder = join(this.root, `out-${this.#number}`);
    const scratch = join(this.root, `scratch-${this.#number}`);
    for (const path of [folder, scratch]) {
      mkdirSync(path);
      chmodSync(path, 0o777);
    }
    return {
      folder,
      scratch,
      wants: () => true,
      async file(path) {
        const name = join(folder, path.replaceAll("/", "_"));
        writeFileSync(name, "");
        return {
          write: (chunk) => appendFile(name, chunk),
          end: async () => {},
          discard: async () => rmSync(name),
        };
      },
    };
  }

  /** The whole life of a part. `between` runs while the snapshot is held. */
  async backup({
    path = this.path,
    call = testCall(),
    between = () => {},
  }: {
    path?: string;
    call?: Call;
    between?: () => void;
  } = {}): Promise<{ facts: PartFacts; snapshot: Snapshot; copied: Copied; file: string }> {
    const part = this.part(path);
    const out = this.output();
    try {
      const facts = await part.open(call);
      const snapshot = await part.prepare(call);
      between();
      const copied = await part.copy(call, out);
      return { facts, snapshot, copied, file: join(out.folder, `sqlite_${part.name}`) };
    } finally {
      await part.close();
    }
  }

  /** Parses bytes as a file of a set. */
  parse(content: Uint8Array, call: Call = testCall()) {
    const { scratch } = this.output();
    return parseSqlite(call, {
      path: "sqlite/app.db",
      kind: "sqlite-database",
      size_bytes: content.length,
      scratch,
      content: (async function* () {
        for (let at = 0; at < content.length; at += 65_536) yield content.subarray(at, at + 65_536);
      })(),
    });
  }

  parseFile(path: string) {
    return this.parse(readFileSync(path));
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** Rows of a file's only query. */
export function rowsOf(path: string, query: string): unknown[] {
  const database = new Database(path, { readonly: true });
  try {
    return database.prepare(query).pluck().all();
  } finally {
    database.close();
  }
}

/** Runs as a user who has no rights, because the kernel lets root write everywhere. */
export async function withoutRights<T>(work: () => Promise<T>): Promise<T> {
  const isRoot = process.geteuid!() === 0;
  if (isRoot) process.seteuid!(65_534);
  try {
    return await work();
  } finally {
    if (isRoot) process.seteuid!(0);
  }
}
