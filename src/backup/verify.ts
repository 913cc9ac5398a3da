/** Looks whether an archive is what it was when it was made. */
import { stat } from "node:fs/promises";
import { basename } from "node:path";
import { type Call, throwIfAborted } from "../call.ts";
import { type EngineName, usageError } from "../errors.ts";
import { ArchiveFile } from "./archive-file.ts";
import type { Archive } from "./archives.ts";
import { Damaged } from "./damaged.ts";
import { type Decrypted, decryptArchive } from "./encrypt.ts";
import type { Metadata, Sidecar } from "./metadata.ts";
import type { ParseFile } from "./port.ts";
import { innerMetadata, openSet } from "./reader.ts";
import { isSignedBy } from "./signature.ts";
import { recordDamage, recordVerified } from "./verify-record.ts";
import { checkSet, type Problem, type SetFindings, type VerifyLevel } from "./verify-set.ts";

export interface VerifyTools {
  /** Reads the files of an engine. */
  parsers: (engine: EngineName) => Promise<ParseFile>;
  /** Folder for what parsers have to write, and for the plain content of an encrypted archive. */
  scratchParent: string;
  /** What signatures are made with; undefined: they are not checked. */
  signingKey?: string | undefined;
  /** age identities, one a line; undefined: of an encrypted archive only the digest is compared. */
  identity?: string | undefined;
}

export interface Verification {
  archive: Archive;
  level: VerifyLevel;
  ok: boolean;
  problems: Problem[];
  files: { path: string; size_bytes: number; ok: boolean }[];
  /** Parts of the set, and how many of their counts were found the same in their files. */
  parts: { engine: EngineName; name: string; compared: number }[];
  /** What was not looked at. */
  notes: string[];
  duration_ms: number;
}

/**
 * Verifies an archive and writes into its sidecar what came out. Damage is an answer here and not an error: `ok` is false then, and `problems` has
 * all that could be found.
 * @throws OpsError for what could not be looked at: `failed` for what cannot be read or a missing tool, `usage` and `auth` for an
 *   encrypted archive without the right identity
 */
export async function verifyArchive(
  call: Call,
  archive: Archive,
  level: VerifyLevel,
  tools: VerifyTools,
): Promise<Verification> {
  const startedAt = performance.now();
  const found = await look(call, archive, level, tools);
  throwIfAborted(call);
  const { problems, metadata, notes } = found;
  const ok = problems.length === 0;
  if (ok && metadata) {
    // a folder is as large as what is in it
    const size = archive.container === "dir" ? found.set_bytes : archive.size_bytes;
    await recordVerified(call, archive, level, { metadata, sha256: found.sha256, size_bytes: size });
  } else if (!ok) await recordDamage(call, archive, level, problems[0]!);
  const bad = new Set(problems.map(({ path }) => path));
  const isWhole = (path: string) => (found.isOpaque ? ok : found.read.has(path) && !bad.has(path));
  return {
    archive,
    level,
    ok,
    problems,
    files: (metadata?.files ?? []).map(({ path, size_bytes }) => ({ path, size_bytes, ok: isWhole(path) })),
    parts: (metadata?.parts ?? []).map(({ engine, name, files }) => ({
      engine,
      name,
      compared: files.reduce((sum, path) => sum + (found.compared.get(path) ?? 0), 0),
    })),
    notes,
    duration_ms: Math.round(performance.now() - startedAt),
  };
}

interface Found extends SetFindings {
  metadata: Metadata | undefined;
  /** Of the archive as it lies there; undefined: not asked for. */
  sha256: string | undefined;
  /** It is encrypted, and only its digest was looked at. */
  isOpaque: boolean;
  notes: string[];
}

async function look(call: Call, archive: Archive, level: VerifyLevel, tools: VerifyTools): Promise<Found> {
  const { sidecar, problem, path } = archive;
  const name = basename(path);
  const found: Found = {
    problems: problem === null ? [] : [{ path: name, message: problem }],
    read: new Set(),
    compared: new Map(),
    metadata: sidecar?.metadata,
    sha256: undefined,
    set_bytes: 0,
    isOpaque: false,
    notes: [],
  };
  if (!(await stat(path).catch(() => undefined))) {
    if (problem === null) found.problems.push({ path: name, message: "it is missing" });
    return found;
  }
  try {
    if (archive.encrypted) await lookEncrypted(call, archive, level, tools, found);
    else await lookPlain(call, archive, level, tools, found);
  } catch (error) {
    if (!(error instanceof Damaged)) throw error;
    found.problems.push({ path: error.path, message: error.what });
  }
  if (sidecar !== null) checkSignature(sidecar, tools.signingKey, name, found);
  const isOther = sidecar !== null && found.sha256 !== undefined && found.sha256 !== sidecar.sha256;
  if (isOther)
    found.problems.push({
      path: name,
      message: "its SHA-256 is not that of its sidecar: its bytes were changed",
    });
  return found;
}

/** Of the digest that the sidecar claims; whether the bytes have it is seen elsewhere. */
function checkSignature(
  { sha256, signature }: Sidecar,
  key: string | undefined,
  name: string,
  found: Found,
): void {
  if (key === undefined) {
    if (signature !== null)
      found.notes.push("signed: without OPSCTL_BACKUP_SIGNING_KEY nobody knows by whom");
    return;
  }
  if (signature === null) found.notes.push("not signed: anybody may have made it");
  else if (!isSignedBy(key, sha256, signature))
    found.problems.push({
      path: name,
      message:
        "its signature was not made with OPSCTL_BACKUP_SIGNING_KEY: it was changed, or somebody else made it",
    });
}

async function lookPlain(
  call: Call,
  archive: Archive,
  level: VerifyLevel,
  tools: VerifyTools,
  found: Found,
  decrypted?: Decrypted,
): Promise<void> {
  const metadata = archive.sidecar?.metadata ?? (await readInner(call, archive, decrypted));
  found.metadata = metadata;
  const set = await openSet(call, archive, metadata, await decrypted?.read());
  try {
    const { parsers, scratchParent } = tools;
    const findings = await checkSet(call, archive, set, { level, metadata, parsers, scratchParent });
    Object.assign(found, findings, { problems: [...found.problems, ...findings.problems] });
    if (level !== "structure" && decrypted === undefined) found.sha256 = await set.digest();
  } finally {
    await set.close();
  }
}

/** Without a sidecar the set itself says what it holds: it is read twice. */
async function readInner(call: Call, archive: Archive, decrypted: Decrypted | undefined): Promise<Metadata> {
  if (archive.container === "file")
    throw new Damaged(basename(archive.path), "it has no sidecar, and nothing else says what it must hold");
  const set = await openSet(call, archive, undefined, await decrypted?.read());
  try {
    return await innerMetadata(set, basename(archive.path));
  } finally {
    await set.close();
  }
}

async function lookEncrypted(
  call: Call,
  archive: Archive,
  level: VerifyLevel,
  tools: VerifyTools,
  found: Found,
): Promise<void> {
  const { identity, scratchParent } = tools;
  if (identity === undefined && (level === "parse" || archive.sidecar === null)) {
    throw usageError(
      `${archive.name} is encrypted: ${level === "parse" ? "to parse its files" : "without its sidecar"} OPSCTL_BACKUP_IDENTITY is needed`,
      "set OPSCTL_BACKUP_IDENTITY_FILE to a file with the age key",
    );
  }
  if (identity === undefined) {
    found.sha256 = await digestOf(call, archive);
    found.isOpaque = true;
    found.notes.push(
      "encrypted: without OPSCTL_BACKUP_IDENTITY only the digest of the whole archive was compared",
    );
    return;
  }
  let decrypted: Decrypted;
  try {
    decrypted = await decryptArchive(call, archive, identity, scratchParent);
  } catch (error) {
    // a changed header looks like one for another key
    if (archive.sidecar) found.sha256 = await digestOf(call, archive);
    if (found.sha256 === undefined || found.sha256 === archive.sidecar?.sha256 || error instanceof Damaged)
      throw error;
    return;
  }
  try {
    found.sha256 = decrypted.sha256;
    await lookPlain(call, archive, level, tools, found, decrypted);
  } finally {
    await decrypted.close();
  }
}

async function digestOf(call: Call, archive: Archive): Promise<string> {
  const file = await ArchiveFile.open(call, archive.path, archive.name);
  try {
    return await file.digest();
  } finally {
    await file.close();
  }
}
