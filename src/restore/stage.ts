/** An archive on its way out of its container: nothing of it is believed before all of it was read. */
import { basename } from "node:path";
import { ArchiveFile } from "../backup/archive-file.ts";
import type { Archive } from "../backup/archives.ts";
import { Damaged } from "../backup/damaged.ts";
import { type Decrypted, decryptArchive } from "../backup/encrypt.ts";
import type { Metadata, PartMetadata } from "../backup/metadata.ts";
import { openSet } from "../backup/reader.ts";
import { lackOfSpace } from "../backup/space.ts";
import type { Call } from "../call.ts";
import { type EngineName, OpsError, usageError } from "../errors.ts";
import { FILES_OF_ARCHIVE, StagedFolder } from "./extract.ts";
import { extractSet } from "./extract-set.ts";
import { stageForeign } from "./foreign.ts";
import { hasOthersJson, stageSingle } from "./foreign-single.ts";
import { lookInside } from "./inside.ts";
import type { RestoreFile } from "./port.ts";
import { type Trust, trustOf, untrusted } from "./trust.ts";
import { requireConsistent, wantedParts } from "./wanted.ts";

export interface StageOptions {
  /** The files go there: a private folder, which the caller removes. */
  folder: string;
  /** Only parts of these engines are taken out; the whole archive is read and compared all the same. Undefined: all. */
  engines?: readonly EngineName[] | undefined;
  /** age identities; undefined: an encrypted archive is refused. */
  identity?: string | undefined;
  signingKey?: string | undefined;
  /** Whether this host made an archive with that digest. */
  knows(sha256: string): Promise<boolean>;
  /** `--trust-archive`. */
  trust: boolean;
}

export interface StagedPart {
  part: PartMetadata;
  files: RestoreFile[];
}

/** A set out of its container: every byte of the archive was read, and is what the metadata says. */
export interface StagedSet {
  archive: Archive;
  /** Of a foreign archive, what was found in it: no counts, no digests that anybody promised. */
  metadata: Metadata;
  isForeign: boolean;
  /** As in the sidecar: of the archive, of a folder that of its `metadata.json`. */
  sha256: string;
  /** Who says that it is ours. */
  trusted: Trust;
  /** Whole parts of the engines that were asked for. */
  parts: StagedPart[];
  notes: string[];
}

/**
 * Takes an archive apart into `folder`, in one pass. Kinds that are not needed when another of the same part is there stay in the archive (the
 * plain dump beside the custom one). An archive that nobody vouches for, or that has no room, is read to its end all the same, without
 * writing: that it is damaged is more important.
 * @throws OpsError `integrity` for what is damaged, hostile or not signed with our key (nothing outside of `folder` was written then), `usage`
 *   for an archive of unknown origin without `trust`, and for an encrypted one without identity; `failed` for too little room, and for parts
 *   that were asked for and are not in the set
 */
export async function stageSet(call: Call, archive: Archive, options: StageOptions): Promise<StagedSet> {
  try {
    if (archive.problem !== null && !hasOthersJson(archive))
      throw new Damaged(basename(archive.path), archive.problem);
    if (archive.container === "file" && archive.sidecar === null)
      return await stageSingle(call, archive, options);
    if (!archive.encrypted) return await stagePlain(call, archive, options);
    const decrypted = await decrypt(call, archive, options);
    try {
      return await stagePlain(call, archive, options, decrypted);
    } finally {
      await decrypted.close();
    }
  } catch (error) {
    throw namedAfter(archive, error);
  }
}

/** Says which archive it is that is damaged, and what else there is. */
function namedAfter({ name, path }: Archive, error: unknown): unknown {
  if (!(error instanceof OpsError) || error.code !== "integrity") return error;
  const { message } = error;
  const named = [`${basename(path)}: `, `${name}: `].find((start) => message.startsWith(start)) ?? "";
  return new Damaged(basename(path), message.slice(named.length));
}

async function stagePlain(
  call: Call,
  archive: Archive,
  options: StageOptions,
  decrypted?: Decrypted,
): Promise<StagedSet> {
  const { sidecar } = archive;
  const name = basename(archive.path);
  const known = sidecar ?? (await lookInside(call, archive, decrypted));
  if (known.metadata === undefined) return stageForeign(call, archive, known, options, decrypted);
  const { metadata, sha256 } = known;
  if (decrypted && decrypted.sha256 !== sha256) throw otherDigest(name);
  requireConsistent(metadata);
  const { parts, notes } = wantedParts(archive.name, metadata, options.engines);
  const trusted = await trustOf(name, sha256, sidecar?.signature ?? null, options);
  const wanted = new Set(parts.flatMap(({ files }) => files.map(({ path }) => path)));
  const bytes = parts.flatMap(({ files }) => files).reduce((sum, file) => sum + file.size_bytes, 0);
  const noRoom = await lackOfSpace(options.folder, bytes, FILES_OF_ARCHIVE);
  // what anybody may have made has limits that its metadata does not set
  const isOurs = trusted === "catalogue" || trusted === "signature" || archive.container === "file";
  const set = await openSet(call, archive, isOurs ? metadata : undefined, await decrypted?.read());
  let folder: StagedFolder | undefined;
  try {
    if (trusted && !noRoom) folder = await StagedFolder.make(options.folder);
    const found = await extractSet(archive, set, { metadata, wanted, folder });
    if (decrypted === undefined && found.sha256 !== sha256) throw otherDigest(name);
    if (trusted === undefined) throw untrusted(name);
    if (noRoom) throw noRoom;
    if (isRenamed(archive, metadata)) notes.push(`it was called ${metadata.name} when it was made`);
    const { locals } = found;
    const staged = parts.map(({ part, files }) => ({
      part,
      files: files.map(({ path, kind, size_bytes }) => ({
        path,
        kind,
        size_bytes,
        local: locals.get(path)!,
      })),
    }));
    return { archive, metadata, isForeign: false, sha256, trusted, parts: staged, notes };
  } catch (error) {
    await folder?.remove();
    throw error;
  } finally {
    await set.close();
  }
}

/** A single file has the name that its operator gave it. */
function isRenamed({ name, container }: Archive, metadata: Metadata): boolean {
  return container !== "file" && name !== metadata.name;
}

function otherDigest(name: string): Damaged {
  return new Damaged(name, "its SHA-256 is not that of its sidecar: its bytes were changed");
}

async function decrypt(call: Call, archive: Archive, { identity, folder }: StageOptions): Promise<Decrypted> {
  if (identity === undefined)
    throw usageError(
      `${archive.name} is encrypted: without OPSCTL_BACKUP_IDENTITY it cannot be restored`,
      "set OPSCTL_BACKUP_IDENTITY_FILE to a file with the age key",
    );
  try {
    return await decryptArchive(call, archive, identity, folder);
  } catch (error) {
    // a changed header looks like one for another key
    const isRefused = error instanceof OpsError && error.code === "auth";
    if (isRefused && archive.sidecar && (await digestOf(call, archive)) !== archive.sidecar.sha256)
      throw otherDigest(basename(archive.path));
    throw error;
  }
}

async function digestOf(call: Call, { path, name }: Archive): Promise<string> {
  const file = await ArchiveFile.open(call, path, name);
  try {
    return await file.digest();
  } finally {
    await file.close();
  }
}
