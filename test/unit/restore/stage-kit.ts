/** Archives to stage: of any bytes, with metadata and sidecar that fit, so that each test breaks one thing only. */
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { readArchive, sidecarPath } from "../../../src/backup/archives.ts";
import type { Metadata, PartMetadata, Sidecar } from "../../../src/backup/metadata.ts";
import type { FileKind } from "../../../src/backup/port.ts";
import type { EngineName } from "../../../src/errors.ts";
import { type StageOptions, stageSet } from "../../../src/restore/stage.ts";
import { testCall } from "../../support/calls.ts";
import { type RawEntry, rawTar, sha256 } from "../backup/set-kit.ts";

export const NAME = "20261121_030000";
const AT = "2026-11-21T03:00:00.000Z";

/** A part of a made-up set: paths with kinds and bytes. */
export interface MadePart {
  engine: EngineName;
  name: string;
  files: readonly { path: string; kind: FileKind; content: Buffer }[];
  /** It failed. */
  error?: string;
}

export const PARTS: readonly MadePart[] = [
  {
    engine: "postgres",
    name: "app",
    files: [
      { path: "postgres/app.dump", kind: "postgres-custom", content: Buffer.from("PGDMP custom") },
      { path: "postgres/app.sql", kind: "postgres-plain", content: Buffer.from("-- plain\n") },
    ],
  },
  {
    engine: "sqlite",
    name: "a.db",
    files: [{ path: "sqlite/a.db", kind: "sqlite-database", content: Buffer.alloc(30_000, "page") }],
  },
];

export function metadataFor(parts: readonly MadePart[]): Metadata {
  const isWhole = parts.every(({ error }) => error === undefined);
  return {
    format: "opsctl-backup",
    format_version: 1,
    id: "set",
    name: NAME,
    sequence: 7,
    state: isWhole ? "complete" : "incomplete",
    consistency: "consistent",
    skew_ms: null,
    started_at: AT,
    finished_at: AT,
    opsctl_version: "0.0.0",
    actor: "ops@host",
    parts: parts.map(partFor),
    files: parts.flatMap(({ files }) =>
      files.map(({ path, kind, content }) => ({
        path,
        kind,
        size_bytes: content.length,
        sha256: sha256(content),
      })),
    ),
  };
}

function partFor({ engine, name, files, error }: MadePart): PartMetadata {
  const isWhole = error === undefined;
  return {
    engine,
    name,
    source: `${engine}://host/${name}`,
    state: isWhole ? "complete" : "failed",
    error: isWhole ? null : { code: "unreachable", message: error },
    consistency: isWhole ? "consistent" : null,
    reason: null,
    started_at: AT,
    snapshot_at: isWhole ? AT : null,
    finished_at: AT,
    snapshot: {},
    server_version: "17.2",
    tools: [],
    counts: isWhole ? { rows: 3 } : {},
    breakdown: {},
    files: files.map(({ path }) => path),
    notes: [],
  };
}

/** Entries of a set as the tar has them, metadata first. */
export function entriesFor(parts: readonly MadePart[], metadata = metadataFor(parts)): RawEntry[] {
  return [
    { path: `${NAME}/`, type: "5" },
    { path: `${NAME}/metadata.json`, content: Buffer.from(JSON.stringify(metadata)) },
    ...parts.flatMap(({ files }) => files.map(({ path, content }) => ({ path: `${NAME}/${path}`, content }))),
  ];
}

/**
 * Writes an archive of given bytes with a sidecar that fits them.
 * @param metadata of the sidecar; null: no sidecar
 * @returns its path
 */
export function writeArchive(
  folder: string,
  packed: Buffer,
  metadata: Metadata | null,
  edit: (sidecar: Sidecar) => void = () => {},
): string {
  const path = join(folder, `${NAME}.tar.gz`);
  writeFileSync(path, packed);
  if (metadata === null) return path;
  const sidecar: Sidecar = {
    format: "opsctl-backup",
    format_version: 1,
    file: `${NAME}.tar.gz`,
    container: "tar.gz",
    encrypted: false,
    size_bytes: packed.length,
    sha256: sha256(packed),
    signature: null,
    verified: null,
    damaged: null,
    metadata,
  };
  edit(sidecar);
  writeFileSync(sidecarPath(path), JSON.stringify(sidecar));
  return path;
}

export const pack = (entries: readonly RawEntry[]) => gzipSync(rawTar(entries));

/** Stages what lies at a path, into `stage` beside it. */
export async function stage(folder: string, path: string, options: Partial<StageOptions> = {}) {
  const into = stageFolder(folder);
  const archive = await readArchive(path);
  return stageSet(testCall(), archive, { folder: into, knows: async () => false, trust: true, ...options });
}

export function stageFolder(folder: string): string {
  const path = join(folder, "stage");
  mkdirSync(path, { recursive: true, mode: 0o700 });
  return path;
}

/** Everything below a folder but the archives made here. */
export function leftIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" }).sort();
}
