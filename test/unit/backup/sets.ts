/** Archives that were never made: what the tests of lists and retention need of them. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Archive, sidecarPath } from "../../../src/backup/archives.ts";
import type { Container, Metadata, PartMetadata, Sidecar } from "../../../src/backup/metadata.ts";
import { archiveFile, nameOf } from "../../../src/backup/names.ts";
import type { EngineName } from "../../../src/errors.ts";

export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;
/** A Saturday. */
export const NOW = Date.UTC(2026, 10, 21, 12);

export interface SetFacts {
  /** ms */
  at: number;
  sequence: number;
  name?: string;
  container?: Container;
  engines?: readonly EngineName[];
  /** `unknown`: it has no sidecar. */
  state?: "good" | "incomplete" | "unverified" | "damaged" | "torn" | "unknown";
  size?: number;
  counts?: Record<string, number>;
}

export function metadataOf(facts: SetFacts): Metadata {
  const { at, sequence, engines = ["postgres", "sqlite"], state = "good" } = facts;
  const parts = engines.map((engine, nth) =>
    partOf(engine, facts, state === "incomplete" && nth === 0 ? "failed" : "complete"),
  );
  return {
    format: "opsctl-backup",
    format_version: 1,
    id: `set-${sequence}`,
    name: facts.name ?? nameOf(new Date(at)),
    sequence,
    state: state === "incomplete" ? "incomplete" : "complete",
    consistency: "consistent",
    skew_ms: 3,
    started_at: iso(at),
    finished_at: iso(at + 1000),
    opsctl_version: "0.1.0",
    actor: "ops@host",
    parts,
    files: parts.flatMap(({ files }) =>
      files.map((path) => ({
        path,
        kind: "sqlite-database" as const,
        size_bytes: 100_000,
        sha256: "a".repeat(64),
      })),
    ),
  };
}

function partOf(
  engine: EngineName,
  { at, counts = { rows: 100 } }: Pick<SetFacts, "at" | "counts">,
  state: PartMetadata["state"] = "complete",
): PartMetadata {
  const isWhole = state === "complete";
  return {
    engine,
    name: "app",
    source: `${engine}://host/app`,
    state,
    error: isWhole ? null : { code: "unreachable", message: "the server does not answer" },
    consistency: isWhole ? "consistent" : null,
    reason: null,
    started_at: iso(at),
    snapshot_at: isWhole ? iso(at) : null,
    finished_at: iso(at),
    snapshot: { lsn: "0/1" },
    server_version: "17.2",
    tools: [{ name: "tool", version: "17.2" }],
    counts: isWhole ? counts : {},
    breakdown: isWhole ? { "public.users": counts["rows"] ?? 0 } : {},
    files: isWhole ? [`${engine}/app.dump`] : [],
    notes: [],
  };
}

const iso = (at: number) => new Date(at).toISOString();

export function sidecarOf(facts: SetFacts): Sidecar {
  const { at, container = "tar.gz", state = "good", size = 1000 } = facts;
  const metadata = metadataOf(facts);
  return {
    format: "opsctl-backup",
    format_version: 1,
    file: archiveFile(metadata.name, container, false),
    container,
    encrypted: false,
    size_bytes: size,
    sha256: "b".repeat(64),
    signature: null,
    verified:
      state === "unverified" ? null : { level: "checksums", at: iso(at + 2000), opsctl_version: "0.1.0" },
    damaged:
      state === "damaged"
        ? { at: iso(at + 3000), level: "checksums", message: "postgres/app.dump has another digest" }
        : null,
    metadata,
  };
}

/** As `listArchives` gives it. */
export function archiveOf(facts: SetFacts): Archive {
  const { state = "good" } = facts;
  const sidecar = sidecarOf(facts);
  return {
    isMissing: false,
    name: sidecar.metadata.name,
    path: `/backups/${sidecar.file}`,
    container: sidecar.container,
    encrypted: false,
    size_bytes: sidecar.size_bytes,
    sidecar: state === "unknown" ? null : sidecar,
    problem: state === "torn" ? "it has 3 bytes, and its sidecar says 1000" : null,
  };
}

/** Writes an archive of zeros and its sidecar. @returns the archive's path */
export function writeSet(folder: string, facts: SetFacts): string {
  const { state = "good", size = 1000 } = facts;
  const sidecar = sidecarOf(facts);
  const path = join(folder, sidecar.file);
  if (sidecar.container === "dir") {
    mkdirSync(path);
    writeFileSync(join(path, "metadata.json"), JSON.stringify(sidecar.metadata));
  } else writeFileSync(path, Buffer.alloc(state === "torn" ? 3 : size));
  if (state !== "unknown") writeFileSync(sidecarPath(path), JSON.stringify(sidecar));
  return path;
}
