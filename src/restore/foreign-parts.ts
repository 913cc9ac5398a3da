/** The parts of an archive that says nothing of its parts: which files belong together, and which are not needed. */
import { basename } from "node:path";
import type { Metadata, PartMetadata } from "../backup/metadata.ts";
import type { FileKind } from "../backup/port.ts";
import { type EngineName, usageError } from "../errors.ts";
import type { Recognised } from "./foreign-kind.ts";

/** A file that can be restored. */
export interface ForeignFile extends Recognised {
  /** In the archive, or the name of a single file. */
  path: string;
  size_bytes: number;
  sha256: string;
}

/** What is taken where an archive has several copies of one graph: the first, which needs no stop of the server. */
const BEST_FIRST: readonly FileKind[] = ["neo4j-ndjson", "neo4j-dump", "neo4j-cypher"];
/** Users and roles of Neo4j; without it a restored server knows none. */
const SYSTEM = "system";

interface Draft {
  engine: EngineName;
  name: string;
  files: ForeignFile[];
}

/** @throws OpsError `usage` for several files of which nobody can know which is meant */
export function draftParts(name: string, files: readonly ForeignFile[]): { parts: Draft[]; notes: string[] } {
  const notes: string[] = [];
  const of = (engine: EngineName) => files.filter((file) => file.engine === engine);
  const parts = [
    ...postgresParts(of("postgres"), notes),
    ...neo4jParts(of("neo4j"), notes),
    ...redisParts(of("redis"), notes),
    ...of("sqlite").map((file) => draft("sqlite", basename(file.path), file)),
  ];
  for (const part of parts) {
    const other = parts.find((one) => one !== part && one.engine === part.engine && one.name === part.name);
    if (other)
      throw usageError(
        `${name} holds two files for ${part.engine} ${part.name}: ${part.files[0]!.path} and ${other.files[0]!.path}`,
        "take out the one that you mean, and restore it with --from-file and --only",
      );
  }
  return { parts, notes };
}

const draft = (engine: EngineName, name: string, ...files: ForeignFile[]): Draft => ({ engine, name, files });

/** `neo4j/neo4j-20250115.dump`: `neo4j-20250115`. */
const baseOf = ({ path }: ForeignFile) => basename(path).replace(/\.[^.]*$/, "");

function postgresParts(files: readonly ForeignFile[], notes: string[]): Draft[] {
  const globals = files.filter(({ kind }) => kind === "postgres-globals");
  const customs = files.filter(({ kind }) => kind === "postgres-custom");
  const plains = files.filter(({ kind }) => kind === "postgres-plain");
  const nameOf = (file: ForeignFile) => file.database ?? baseOf(file);
  const isOnlyPair = customs.length === 1 && plains.length === 1;
  const needed = plains.filter((plain) => {
    const base = baseOf(plain);
    const better = customs.find((custom) => isOnlyPair || baseOf(custom) === base || nameOf(custom) === base);
    if (better) notes.push(`${plain.path} is not needed: ${better.path} is the same in the custom format`);
    return better === undefined;
  });
  return [
    ...globals.map((file) => draft("postgres", "globals", file)),
    ...[...customs, ...needed].map((file) => draft("postgres", nameOf(file), file)),
  ];
}

function redisParts(files: readonly ForeignFile[], notes: string[]): Draft[] {
  for (const { path } of files.filter(({ path }) => path.endsWith(".base.rdb")))
    notes.push(
      `${path} is the base of an append-only file: writes after it are in others, and are not restored`,
    );
  return files.map((file) => draft("redis", "all", file));
}

/** One server has one database and its users: a dump of the system database goes with that of the other. */
function neo4jParts(files: readonly ForeignFile[], notes: string[]): Draft[] {
  const isSystem = (file: ForeignFile) => file.kind === "neo4j-dump" && /^system([-_.]|$)/.test(baseOf(file));
  const systems = files.filter(isSystem);
  const others = files.filter((file) => !isSystem(file));
  const best = BEST_FIRST.find((kind) => others.some((file) => file.kind === kind));
  const chosen = others.filter(({ kind }) => kind === best);
  for (const { kind, path } of others)
    if (kind !== best) notes.push(`${path} is not needed: ${chosen[0]!.path} is used`);
  const parts = chosen.map((file) => {
    const name = file.database ?? (/^neo4j([-_.]|$)/.test(baseOf(file)) ? "neo4j" : baseOf(file));
    return draft("neo4j", name, file);
  });
  const [first] = parts;
  for (const system of systems) {
    if (first && best === "neo4j-dump" && first.files.length === 1) first.files.push(system);
    else if (first) notes.push(`${system.path} is not needed: ${first.files[0]!.path} is used`);
    else parts.push(draft("neo4j", SYSTEM, system));
  }
  return parts;
}

/**
 * Metadata as a set of ours would have it, without counts: nobody promised any.
 * @param at when the archive was last changed
 */
export function foreignMetadata(name: string, at: Date, parts: readonly Draft[]): Metadata {
  const time = at.toISOString();
  return {
    format: "opsctl-backup",
    format_version: 1,
    id: name,
    name,
    sequence: 0,
    state: "complete",
    consistency: "fuzzy",
    skew_ms: null,
    started_at: time,
    finished_at: time,
    opsctl_version: "",
    actor: "",
    parts: parts.map((part) => foreignPart(name, time, part)),
    files: parts.flatMap(({ files }) =>
      files.map(({ path, kind, size_bytes, sha256 }) => ({ path, kind, size_bytes, sha256 })),
    ),
  };
}

function foreignPart(archive: string, time: string, { engine, name, files }: Draft): PartMetadata {
  return {
    engine,
    name,
    source: archive,
    state: "complete",
    error: null,
    consistency: "fuzzy",
    reason: "opsctl did not make it",
    started_at: time,
    snapshot_at: null,
    finished_at: time,
    snapshot: {},
    server_version: files[0]!.serverVersion,
    tools: [],
    counts: {},
    breakdown: {},
    files: files.map(({ path }) => path),
    notes: [],
  };
}
