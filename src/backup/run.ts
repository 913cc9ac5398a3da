/**
 * A backup run: all parts open, then all snapshots together, then all copies side by side; one set of it, published whole or not at all. A part
 * that fails is named in the set; the others go on.
 */
import { randomUUID } from "node:crypto";
import { rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Call, throwIfAborted } from "../call.ts";
import { type OpsError, toOpsError } from "../errors.ts";
import { flush } from "../publish.ts";
import { type Archive, listArchives, readArchive, writeSidecar } from "./archives.ts";
import { type Assembled, buildFolder, tarStream, writeStream } from "./assemble.ts";
import { asIs, gzipMember, type Pack, zstdFrame } from "./compress.ts";
import { type Container, FORMAT, FORMAT_VERSION, type Metadata, type Sidecar } from "./metadata.ts";
import { archiveFile, freeName } from "./names.ts";
import type { PartRun, PartRunOptions } from "./part-run.ts";
import { copyParts, startParts } from "./phases.ts";
import type { BackupPart, Catalogue, FileKind } from "./port.ts";
import { sign } from "./signature.ts";
import { neededBytes, requireSpace } from "./space.ts";
import { spoolError } from "./spool.ts";
import { makeWork } from "./work.ts";

const PACKS: Readonly<Record<Container, Pack>> = {
  "tar.gz": gzipMember,
  "tar.zst": zstdFrame,
  dir: asIs,
  file: asIs,
};

/** Encrypts a stream on its way to the archive. */
export type Encrypt = (stream: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>;

export interface RunOptions {
  parts: readonly BackupPart[];
  /** Folder of the archive; it is there, and this run has its lock. */
  folder: string;
  container: Container;
  /** Chosen name of the set; of a single file, its file name. */
  name?: string | undefined;
  /** Files that are asked for; a set has all. */
  wants(kind: FileKind): boolean;
  encrypt?: Encrypt | undefined;
  signingKey?: string | undefined;
  stallMs: number;
  ownSettings: PartRunOptions["ownSettings"];
  opsctlVersion: string;
  catalogue: Catalogue;
}

export interface RunResult {
  archive: Archive;
  sidecar: Sidecar;
  /** Why parts failed, in the order of the parts. */
  failures: OpsError[];
  /** Most bytes that were in the spool. */
  spooled_bytes: number;
}

/**
 * Makes one archive.
 * @throws OpsError of the parts when none could be copied (their code when all have the same, else `failed`), `failed` for a full disk; nothing
 *   is published then, and no file of it is left
 */
export async function runBackup(call: Call, options: RunOptions): Promise<RunResult> {
  const { folder, container, name: chosen, encrypt, signingKey } = options;
  // a key that cannot be used is refused before anything is done
  if (signingKey !== undefined) sign(signingKey, "");
  if (encrypt && (container === "dir" || container === "file"))
    throw new Error(`a ${container} cannot be encrypted`);
  // again at the end: until then nothing of the run is in the folder
  if (chosen !== undefined && container !== "file") await freeName(folder, chosen, new Date());
  const startedAt = new Date();
  const work = await makeWork(folder, container === "file" ? chosen : undefined);
  const disk = new AbortController();
  const runs = startParts(call, { ...options, pack: PACKS[container], work, disk });
  try {
    const archives = await listArchives(folder);
    await copyParts(call, runs, (facts) => requireSpace(folder, neededBytes(facts, container, archives)));
    throwIfAborted(call);
    const metadata = await describe(call, runs, options, archives, startedAt);
    call.progress({ label: `writing ${metadata.name}`, done: 0, unit: "bytes" });
    const spooled = runs.flatMap(({ files }) => files).reduce((sum, { packedBytes }) => sum + packedBytes, 0);
    const assembled = await assemble(work, metadata, runs, options);
    throwIfAborted(call);
    const sidecar = await publishSet(call, assembled, metadata, options);
    const archive = await readArchive(join(folder, sidecar.file));
    const failures = runs.flatMap(({ failure }) => failure ?? []);
    return { archive, sidecar, failures, spooled_bytes: spooled };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function describe(
  call: Call,
  runs: readonly PartRun[],
  options: RunOptions,
  archives: readonly Archive[],
  startedAt: Date,
): Promise<Metadata> {
  const parts = runs.map((run) => run.metadata());
  const copied = parts.filter(({ state }) => state === "complete");
  const snapshots = copied.flatMap(({ snapshot_at: at }) => (at === null ? [] : [Date.parse(at)]));
  const known = Math.max(0, ...archives.map(({ sidecar }) => sidecar?.metadata.sequence ?? 0));
  const { folder, container, name, catalogue, opsctlVersion } = options;
  return {
    format: FORMAT,
    format_version: FORMAT_VERSION,
    id: randomUUID(),
    name: container === "file" ? name! : await freeName(folder, name, startedAt),
    sequence: await recorded(call, known + 1, () => catalogue.nextSequence(call, known)),
    state: copied.length === parts.length ? "complete" : "incomplete",
    consistency: copied.some(({ consistency }) => consistency === "fuzzy") ? "fuzzy" : "consistent",
    skew_ms: snapshots.length < 2 ? null : Math.max(...snapshots) - Math.min(...snapshots),
    started_at: startedAt.toISOString(),
    finished_at: new Date().toISOString(),
    opsctl_version: opsctlVersion,
    actor: call.actor,
    parts,
    files: runs.flatMap(({ files }) => files.map(({ metadata }) => metadata)),
  };
}

/** A backup does not depend on this host's state file: without it the folder alone says what was there before. */
async function recorded<T>(call: Call, otherwise: T, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throwIfAborted(call);
    call.log("WARNING", `this host's list of archives cannot be used: ${toOpsError(error).message}`);
    return otherwise;
  }
}

/** Puts the archive together in the run's folder, down to the disk. */
async function assemble(
  work: string,
  metadata: Metadata,
  runs: readonly PartRun[],
  { container, encrypt }: RunOptions,
): Promise<Assembled> {
  const files = runs.flatMap((run) => run.files);
  const path = join(work, "archive");
  if (container === "dir") return buildFolder(path, metadata, files);
  if (container === "file") {
    const [file] = files;
    await flush(file!.path).catch((error: unknown) => {
      throw spoolError(file!.path, error);
    });
    return { path: file!.path, size_bytes: file!.metadata.size_bytes, sha256: file!.metadata.sha256 };
  }
  const stream = tarStream(metadata, files, PACKS[container]);
  return writeStream(path, encrypt ? encrypt(stream) : stream);
}

/**
 * Gives it its name, then its sidecar: whoever finds an archive without one knows that its digest was never recorded. A single file may replace the
 * one of the run before; in between it has the other's sidecar, which does not match and so claims nothing.
 */
async function publishSet(
  call: Call,
  assembled: Assembled,
  metadata: Metadata,
  { folder, container, encrypt, signingKey, catalogue }: RunOptions,
): Promise<Sidecar> {
  const file = archiveFile(metadata.name, container, encrypt !== undefined);
  const path = join(folder, file);
  await rename(assembled.path, path);
  await flush(folder);
  const sidecar: Sidecar = {
    format: FORMAT,
    format_version: FORMAT_VERSION,
    file,
    container,
    encrypted: encrypt !== undefined,
    size_bytes: assembled.size_bytes,
    sha256: assembled.sha256,
    signature: signingKey === undefined ? null : sign(signingKey, assembled.sha256),
    verified: null,
    damaged: null,
    metadata,
  };
  await writeSidecar(path, sidecar);
  const entry = {
    name: metadata.name,
    path,
    sha256: assembled.sha256,
    sequence: metadata.sequence,
    created_at: Date.parse(metadata.started_at),
    state: metadata.state,
  };
  await recorded(call, undefined, () => catalogue.add(call, entry));
  return sidecar;
}
