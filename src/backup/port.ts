import type { Call } from "../call.ts";
import type { EngineName } from "../errors.ts";
import { sha256 } from "../hash.ts";

/** What a file of a set is: says how it is verified and restored. */
export const FILE_KINDS = [
  "postgres-custom",
  "postgres-plain",
  "postgres-globals",
  "redis-rdb",
  "sqlite-database",
  "neo4j-ndjson",
  "neo4j-cypher",
  "neo4j-dump",
] as const;
export type FileKind = (typeof FILE_KINDS)[number];

/** `consistent`: all of it is as of one instant. `fuzzy`: writes may have come in between; the part says why. */
export type Consistency = "consistent" | "fuzzy";

/** A tool outside of opsctl that took part, as it names itself. */
export interface ToolVersion {
  name: string;
  version: string;
}

/** What a part knows before its snapshot. */
export interface PartFacts {
  /** As the server says it; null for SQLite files, whose library is the tool. */
  server_version: string | null;
  tools: ToolVersion[];
  /** Bytes that `copy` is going to write into the set, before compression: an estimate, for the check of free space and for progress. */
  estimate_bytes: number;
  /** Bytes that it needs in `PartOutput.scratch` at the same time. */
  scratch_bytes: number;
  /** What an operator should know of this part: a line each. */
  notes: string[];
}

/** The instant that a part shows. */
export interface Snapshot {
  /** Milliseconds since 1970, by this host's clock. */
  at: number;
  /** How the engine names it: PostgreSQL snapshot and LSN, Redis replid and offset, Neo4j bookmark, … */
  identity: Record<string, string | number | boolean | null>;
}

/** What `copy` wrote. */
export interface Copied {
  consistency: Consistency;
  /** Why it is fuzzy, or what is not in it though it is consistent (a node of a Redis cluster has its own slots only); else null. */
  reason: string | null;
  /** Totals, the same names for each part of an engine: `rows`, `tables`, `keys`, `nodes`, `relationships`, … */
  counts: Record<string, number>;
  /** The same by table, database, label, type: `{"public.users": 120}`. What a restore is compared with. */
  breakdown: Record<string, number>;
  /** Added to `Snapshot.identity`: what is known at the end only (the bookmark after, time frozen). */
  identity?: Snapshot["identity"];
  /** Replaces `Snapshot.at`, when the export had to begin again. */
  at?: number;
  notes?: string[];
}

/** Where a part's copy goes. */
export interface PartOutput {
  /** Whether files of this kind are asked for (`backup postgres --output latest.sql` asks for one). */
  wants(kind: FileKind): boolean;
  /** Begins a file of the set, named by its path in it (`postgres/app.dump`; see `fileName`). Several may be open. */
  file(path: string, kind: FileKind): Promise<FileWriter>;
  /** A folder of this run for files that a tool has to write itself. The run removes it. On the destination's file system. */
  readonly scratch: string;
}

/** Takes a file's bytes in their order: hashes, compresses and spools them. */
export interface FileWriter {
  /** Resolves when more may come: whoever does not wait fills the memory. The chunk must not be changed afterwards. */
  write(chunk: Uint8Array): Promise<void>;
  /** The file is whole. */
  end(): Promise<void>;
  /** Takes back what was written; the same path may begin again. */
  discard(): Promise<void>;
}

/**
 * One thing that is backed up as of one instant: a PostgreSQL database, the globals of its server, a Redis server, a SQLite file, a Neo4j
 * database. The run calls `open` of all, then `prepare` of all together, then `copy` of all side by side, and `close` in any case.
 *
 * A part that fails throws an OpsError with its engine; the others go on. The call of a part is aborted by signals, by the deadline and by the
 * watchdog: during `copy` a part that neither writes nor reports progress for OPSCTL_BACKUP_STALL counts as gone.
 */
export interface BackupPart {
  readonly engine: EngineName;
  /** Which of the engine: `app` (a database), `globals`, `db.sqlite`. Unique in its engine. */
  readonly name: string;
  /** Where it comes from, without secrets. */
  readonly source: string;
  /**
   * True: `prepare` may take seconds until the server has its snapshot (Redis waits `repl-diskless-sync-delay`). It is asked first, and the
   * others when it has it, so that all snapshots are of nearly the same instant.
   */
  readonly isSlowToPrepare: boolean;
  /** Connects, compares versions, checks privileges, estimates. Everything that can fail early fails here. */
  open(call: Call): Promise<PartFacts>;
  /** Opens the snapshot, which stays open until `close`. */
  prepare(call: Call): Promise<Snapshot>;
  /** Writes what the snapshot shows, checking it on the way as far as it can be checked in a stream. */
  copy(call: Call, out: PartOutput): Promise<Copied>;
  /** Ends the snapshot, child processes and connections of the part. Called once, whatever happened; never throws for a lost server. */
  close(): Promise<void>;
}

/** What is asked for, for those engines that can do it in several ways. */
export interface BackupOptions {
  /** PostgreSQL: names beside the one of the URL, or `all` but templates. */
  databases: readonly string[] | "all";
  neo4j: {
    /** `export`: typed NDJSON over Bolt. `cypher`: a script for cypher-shell, over Bolt. `dump`: neo4j-admin, while the server is stopped. */
    method: "export" | "cypher" | "dump";
    freeze: "never" | "auto" | "always";
    /** For waiting for the freeze and holding it together. */
    freezeTimeoutMs: number;
    /** Commands of the operator for `dump`. */
    stop?: string | undefined;
    start?: string | undefined;
    /** How neo4j-admin is called here. */
    admin: string;
  };
  redis: {
    /** `auto`: as a replica, and by SCAN and DUMP where the server refuses that. */
    method: "auto" | "psync" | "scan";
  };
  sqlite?: {
    /** Of the part, where another file of the run has the same base name. */
    name?: string | undefined;
  };
}

/** A file of a set that is to be parsed. */
export interface StoredFile {
  /** In the set. */
  path: string;
  kind: FileKind;
  size_bytes: number;
  /** Its bytes, once. */
  content: AsyncIterable<Uint8Array>;
  /** An empty folder for a parser that needs a file; removed afterwards. */
  scratch: string;
}

/**
 * Parses a whole file, without any server.
 * @returns what was found, under the names of `Copied.counts` and `.breakdown`; whatever is missing there is not compared
 * @throws OpsError `integrity` naming the place (byte, line, table) and what is wrong there
 */
export type ParseFile = (
  call: Call,
  file: StoredFile,
) => Promise<{ counts: Record<string, number>; breakdown: Record<string, number> }>;

/** Held by one run over a folder of archives; the kernel frees it when the process dies. */
export interface RunLock {
  release(): Promise<void>;
}

/** Archives that this host made, in its state file. */
export interface Catalogue {
  /** A number above all that this host gave out, and above `least`. */
  nextSequence(call: Call, least: number): Promise<number>;
  /** Records a published archive. */
  add(call: Call, archive: CatalogueEntry): Promise<void>;
  /** Whether this host made an archive with this digest. */
  knows(call: Call, sha256: string): Promise<boolean>;
}

export interface CatalogueEntry {
  name: string;
  /** Absolute. */
  path: string;
  sha256: string;
  sequence: number;
  /** ms */
  created_at: number;
  state: "complete" | "incomplete";
}

/** Longest file name of `fileName`: with an ending it fits the name field of a tar header, which has 100 bytes. */
const MAX_NAME = 80;

/**
 * A name as a file name that every file system and tar take: what is not a letter, digit, dot, dash or underscore is percent-encoded, and what is
 * too long ends with a digest of it.
 */
export function fileName(name: string): string {
  const encoded = [...Buffer.from(name, "utf8")]
    .map((byte) => {
      const char = String.fromCharCode(byte);
      return /[A-Za-z0-9._-]/.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
    })
    .join("");
  const safe = encoded.replace(/^\./, "%2E");
  return safe.length <= MAX_NAME ? safe : `${safe.slice(0, MAX_NAME - 17)}-${sha256(name).slice(0, 16)}`;
}
