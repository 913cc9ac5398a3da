/** Parts of a PostgreSQL backup without a run around them: their files end up in a folder. */
import { createReadStream, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import {
  type BackupOptions,
  type BackupPart,
  type Copied,
  FILE_KINDS,
  type FileKind,
  type PartFacts,
  type PartOutput,
  type Snapshot,
  type StoredFile,
} from "../../src/backup/port.ts";
import type { Call } from "../../src/call.ts";
import type { Limits } from "../../src/config/targets.ts";
import { postgresBackup } from "../../src/engines/postgres/backup.ts";
import { parsePostgresFile } from "../../src/engines/postgres/backup-parse.ts";
import { connectPostgres, type PostgresConnection } from "../../src/engines/postgres/connect.ts";
import { testCall } from "../support/calls.ts";

const LIMITS: Limits = { connectMs: 3_000, queryMs: 20_000, poolSize: 1 };
const REST: Omit<BackupOptions, "databases"> = {
  neo4j: { method: "export", freeze: "never", freezeTimeoutMs: 0, admin: "" },
  redis: { method: "auto" },
};

/** What a part did, and where its files are. */
export interface Taken {
  facts: PartFacts;
  snapshot: Snapshot;
  copied: Copied;
  files: { path: string; kind: FileKind; file: string }[];
}

export interface TakeOptions {
  kinds?: readonly FileKind[];
  call?: Call;
  /** Just before the snapshot. */
  before?: () => unknown;
  /** Between the snapshot and the copy. */
  between?: () => unknown;
  /** When a file gets its first bytes. */
  onBytes?: () => unknown;
}

export class BackupKit {
  readonly folder = mkdtempSync(join(tmpdir(), "opsctl-postgres-backup-"));
  readonly #opened: PostgresConnection[] = [];
  #taken = 0;

  async connect(url: string, limits: Partial<Limits> = {}): Promise<PostgresConnection> {
    const target = { engine: "postgres", url, shown: "", identity: "" } as const;
    const connection = await connectPostgres(target, { ...LIMITS, ...limits });
    this.#opened.push(connection);
    return connection;
  }

  async parts(
    url: string,
    databases: BackupOptions["databases"] = [],
    limits: Partial<Limits> = {},
  ): Promise<BackupPart[]> {
    return postgresBackup(testCall(), await this.connect(url, limits), { ...REST, databases });
  }

  /** The part of the database that the URL names. */
  async part(url: string, limits: Partial<Limits> = {}): Promise<BackupPart> {
    return (await this.parts(url, [], limits))[0]!;
  }

  /** Runs a part through all its phases. */
  async take(part: BackupPart, options: TakeOptions = {}): Promise<Taken> {
    const { kinds = FILE_KINDS, call = testCall(), between } = options;
    const folder = join(this.folder, String(this.#taken++));
    const files: Taken["files"] = [];
    const handles: FileHandle[] = [];
    const out: PartOutput = {
      wants: (kind) => kinds.includes(kind),
      scratch: folder,
      file: async (path, kind) => {
        const file = join(folder, path);
        mkdirSync(dirname(file), { recursive: true });
        const handle = await open(file, "wx");
        handles.push(handle);
        return {
          write: async (chunk) => {
            await options.onBytes?.();
            await handle.writeFile(chunk);
          },
          end: async () => {
            files.push({ path, kind, file });
          },
          discard: async () => {},
        };
      },
    };
    try {
      const facts = await part.open(call);
      await options.before?.();
      const snapshot = await part.prepare(call);
      await between?.();
      const copied = await part.copy(call, out);
      return { facts, snapshot, copied, files };
    } finally {
      await part.close();
      for (const handle of handles) await handle.close();
    }
  }

  async stop(): Promise<void> {
    for (const connection of this.#opened) await connection.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Process ids of the programs of this name that this process started. */
export function toolsRunning(name: string): number[] {
  return readdirSync("/proc").flatMap((entry) => {
    const pid = Number(entry);
    if (!(pid > 0)) return [];
    try {
      const [, command, parent] = /^\d+ \((.*)\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8"))!;
      return command === name && Number(parent) === process.pid ? [pid] : [];
    } catch {
      return [];
    }
  });
}

/** Parses bytes as a file of a set. */
export function parseBytes(kind: FileKind, bytes: Uint8Array | readonly Uint8Array[]) {
  const chunks = bytes instanceof Uint8Array ? [bytes] : bytes;
  return parse(
    kind,
    (async function* () {
      yield* chunks;
    })(),
  );
}

/** Parses a file as one of a set. */
export function parseFile(kind: FileKind, path: string, highWaterMark = 65_536) {
  return parse(kind, createReadStream(path, { highWaterMark }));
}

function parse(kind: FileKind, content: StoredFile["content"]) {
  return parsePostgresFile(testCall(), { path: "postgres/file", kind, size_bytes: 0, content, scratch: "" });
}
