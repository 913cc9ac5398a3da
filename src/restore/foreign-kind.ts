/** What a file of unknown origin is, by its first bytes; its name only confirms what these leave open. */
import type { FileKind } from "../backup/port.ts";
import type { EngineName } from "../errors.ts";

/** So many bytes tell. */
export const HEAD_BYTES = 16 * 1024;

export interface Recognised {
  kind: FileKind;
  engine: EngineName;
  /** Of which database, where the file says so. */
  database: string | null;
  /** Of the server that it comes from, where the file says so. */
  serverVersion: string | null;
}

/** Why a file cannot be restored, as the end of a sentence that begins with its name. */
export interface Unrecognised {
  why: string;
  /** It is nothing that any program writes on purpose: rather damaged than of another kind. */
  isBroken?: true;
}

const UNKNOWN: Unrecognised = { why: "is not recognised", isBroken: true };

/**
 * @param path name of the file; folders before it count, too
 * @param head its first bytes: all of them, or `HEAD_BYTES`
 */
export function recognise(path: string, head: Buffer): Recognised | Unrecognised {
  if (head.length === 0) return { why: "is empty", isBroken: true };
  if (/-(wal|shm|journal)$/.test(path))
    return { why: "belongs to the SQLite file beside it, and is not read" };
  const magic = head.toString("latin1", 0, 16);
  if (magic.startsWith("PGDMP")) return customDump(head);
  if (/^REDIS\d{4}/.test(magic)) return known("redis-rdb");
  if (magic === "SQLite format 3\0") return known("sqlite-database");
  if (/^D[ZG]V1/.test(magic)) return known("neo4j-dump");
  if (isPacked(head)) return packed(path);
  if (head.toString("latin1", 257, 262) === "ustar")
    return magic.startsWith("toc.dat\0") ? OTHER_FORMAT : { why: "is a tar archive" };
  return text(path, head);
}

/** gzip or zstd. */
export function isPacked(head: Buffer): boolean {
  return (head[0] === 0x1f && head[1] === 0x8b) || isZstd(head);
}

export function isZstd(head: Buffer): boolean {
  return head.length >= 4 && head.readUInt32LE(0) === 0xfd2fb528;
}

/** neo4j-admin before version 5, and some tools, write dumps without a head of their own. */
function packed(path: string): Recognised | Unrecognised {
  const isDump = /\.(dump|tar)$/i.test(path) || (/neo4j/i.test(path) && !/\.(gz|zst|tgz)$/i.test(path));
  return isDump ? known("neo4j-dump") : { why: "is compressed: unpack it first" };
}

const OTHER_FORMAT: Unrecognised = {
  why: "is a dump in pg_dump's tar or directory format: load it with pg_restore, or make one with pg_dump -Fc",
};

const ENGINES = ["postgres", "redis", "sqlite", "neo4j"] as const;

function known(
  kind: FileKind,
  database: string | null = null,
  serverVersion: string | null = null,
): Recognised {
  return { kind, engine: ENGINES.find((engine) => kind.startsWith(engine))!, database, serverVersion };
}

/** The number of the custom format in the head of a dump. */
const CUSTOM = 1;
/** From PostgreSQL 16 on, how it is compressed is one byte. */
const SHORT_COMPRESSION = 15;
const INT_BYTES = 5;

/** Head: magic, three bytes of version, sizes of two types, format, compression, seven numbers of a date, and texts (pg_backup_archiver.c, WriteHead). */
function customDump(head: Buffer): Recognised | Unrecognised {
  if (head.length < 11 || head[10] !== CUSTOM) return OTHER_FORMAT;
  const minor = head[6]!;
  const at = 11 + (minor >= SHORT_COMPRESSION ? 1 : INT_BYTES) + 7 * INT_BYTES;
  const database = textAt(head, at);
  const version = database && textAt(head, database.end);
  return known("postgres-custom", database?.text || null, version?.text.split(" ")[0] || null);
}

/** A number with a byte for its sign, and so many bytes; undefined: it is not in the head. */
function textAt(head: Buffer, at: number): { text: string; end: number } | undefined {
  if (head.length < at + INT_BYTES || head[at] !== 0) return undefined;
  const end = at + INT_BYTES + head.readUInt32LE(at + 1);
  return end > head.length ? undefined : { text: head.toString("utf8", at + INT_BYTES, end), end };
}

/** As the first lines of our own exports of Neo4j are written. */
const NDJSON = /^\{"type":"header","format":"opsctl-neo4j"/;
const CYPHER = /^\/\/ opsctl-neo4j-cypher 1 (\{.*\})\r?\n/;

/** What texts begin with that nothing here restores. */
const ELSEWHERE: readonly [RegExp, string][] = [
  [
    /^PRAGMA foreign_keys=/,
    "is a script of sqlite3's .dump: make a database of it with sqlite3 NEW.db < FILE",
  ],
  [/^\*\d+\r\n\$/, "is an append-only file of Redis: what is restored is an RDB file"],
];

function text(path: string, head: Buffer): Recognised | Unrecognised {
  if (head[0] === 0xff && head[1] === 0xfe)
    return { why: "is UTF-16, as Windows PowerShell redirects output: make the dump again with pg_dump -f" };
  const start = head.toString("utf8");
  if (/^-- PostgreSQL database dump\r?$/m.test(start)) {
    const version = /^-- Dumped from database version (\S+)/m.exec(start)?.[1] ?? null;
    return known("postgres-plain", null, version);
  }
  if (/^-- PostgreSQL database cluster dump\r?$/m.test(start)) return clusterDump(path);
  if (NDJSON.test(start)) return ofExport("neo4j-ndjson", start.slice(0, start.indexOf("\n")));
  const script = CYPHER.exec(start);
  if (script) return ofExport("neo4j-cypher", script[1]!);
  const elsewhere = ELSEWHERE.find(([pattern]) => pattern.test(start));
  if (elsewhere) return { why: elsewhere[1] };
  if (/\.(cypher|cql)$/i.test(path))
    return { why: "is a script that opsctl did not write: run it with cypher-shell -f FILE" };
  if (/\.sql$/i.test(path)) return { why: "is SQL that pg_dump did not write: run it with psql -f FILE" };
  return UNKNOWN;
}

/** Its head does not say whether the databases follow. */
function clusterDump(path: string): Recognised | Unrecognised {
  if (/(globals|roles)[^/]*$/i.test(path)) return known("postgres-globals");
  return { why: "is a dump of a whole cluster (pg_dumpall): run it with psql -f FILE" };
}

function ofExport(kind: FileKind, header: string): Recognised {
  try {
    const { database, server_version: version } = JSON.parse(header) as Record<string, unknown>;
    const orNull = (value: unknown) => (typeof value === "string" && value !== "" ? value : null);
    return known(kind, orNull(database), orNull(version));
  } catch {
    return known(kind);
  }
}
