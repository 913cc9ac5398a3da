/** One engine's own file, without a word on what it must hold. */
import { stat } from "node:fs/promises";
import { basename } from "node:path";
import { ArchiveFile } from "../backup/archive-file.ts";
import { type Archive, sidecarPath } from "../backup/archives.ts";
import { ByteQueue } from "../backup/byte-queue.ts";
import { Damaged } from "../backup/damaged.ts";
import { type Decrypted, decryptArchive } from "../backup/encrypt.ts";
import { FORMAT } from "../backup/metadata.ts";
import { readSmallFile } from "../backup/small-file.ts";
import { lackOfSpace } from "../backup/space.ts";
import { unpack } from "../backup/unpack.ts";
import type { Call } from "../call.ts";
import { type EngineName, usageError } from "../errors.ts";
import { FILES_OF_ARCHIVE, passThrough, StagedFolder } from "./extract.ts";
import { foreignSet } from "./foreign.ts";
import { isPacked, isZstd, type Recognised, recognise } from "./foreign-kind.ts";
import { draftParts, foreignMetadata } from "./foreign-parts.ts";
import { peekAt } from "./inside.ts";
import type { StagedSet, StageOptions } from "./stage.ts";
import { trustOf, untrusted } from "./trust.ts";

const AGE = "age-encryption.org/v1\n";
/** Of a compressed file: bytes for each of its own, once there are more than `FREE_BYTES`. gzip reaches 1,032, data does not. */
const MAX_RATIO = 1_000;
const FREE_BYTES = 64 * 1024 * 1024;

/**
 * @param options with one engine that was asked for, the file must be of it
 * @throws OpsError `usage` for another engine's file, and as `stageSet`
 */
export async function stageSingle(call: Call, archive: Archive, options: StageOptions): Promise<StagedSet> {
  const { engines } = options;
  const name = basename(archive.path);
  const file = await ArchiveFile.open(call, archive.path, name);
  let decrypted: Decrypted | undefined;
  let folder: StagedFolder | undefined;
  try {
    folder = await StagedFolder.make(options.folder);
    let source = file;
    if ((await headOf(call, archive)).startsWith(AGE)) {
      decrypted = await openSealed(call, archive, options);
      source = await decrypted.read();
    }
    const staged = await takeIn(call, source, name, engines, folder);
    const sha256 = decrypted?.sha256 ?? (await file.digest());
    const trusted = await trustOf(name, sha256, null, options);
    if (trusted === undefined) throw untrusted(name);
    const { parts, notes } = draftParts(name, [{ ...staged.found, ...staged, path: name }]);
    const metadata = foreignMetadata(name, (await stat(archive.path)).mtime, parts);
    const locals = new Map([[name, staged.local]]);
    return foreignSet(archive, metadata, { sha256, trusted, locals, notes });
  } catch (error) {
    await folder?.remove();
    throw error;
  } finally {
    await file.close();
    await decrypted?.close();
  }
}

async function headOf(call: Call, { path, name }: Archive): Promise<string> {
  const file = await ArchiveFile.open(call, path, name);
  try {
    for await (const chunk of file.chunks()) return chunk.toString("latin1", 0, AGE.length);
    return "";
  } finally {
    await file.close();
  }
}

function openSealed(call: Call, archive: Archive, { identity, folder }: StageOptions): Promise<Decrypted> {
  if (identity !== undefined) return decryptArchive(call, archive, identity, folder);
  throw usageError(
    `${archive.name} is encrypted: without OPSCTL_BACKUP_IDENTITY it cannot be restored`,
    "set OPSCTL_BACKUP_IDENTITY_FILE to a file with the age key",
  );
}

/** Writes it into the folder, unpacked. */
async function takeIn(
  call: Call,
  file: ArchiveFile,
  name: string,
  engines: readonly EngineName[] | undefined,
  folder: StagedFolder,
) {
  const outer = await peekAt(withProgress(call, file));
  const isUnpacked =
    isPacked(outer.head) && (/\.(gz|zst)$/i.test(name) || !(engines?.includes("neo4j") ?? true));
  const container = isZstd(outer.head) ? "tar.zst" : "tar.gz";
  const inner = isUnpacked ? await peekAt(unpack(container, new ByteQueue(outer.content), name)) : outer;
  const found = agreed(name, recognise(isUnpacked ? name.replace(/\.\w+$/, "") : name, inner.head), engines);
  const most = isUnpacked ? Math.max(FREE_BYTES, file.size * MAX_RATIO) : file.size;
  const noRoom = await lackOfSpace(folder.path, file.size, FILES_OF_ARCHIVE);
  if (noRoom) throw noRoom;
  const out = { folder, kind: found.kind };
  const passed = await passThrough(inner.content, out, most, () =>
    isUnpacked
      ? new Damaged(name, `more than ${most} bytes came out of it: that is no dump`)
      : new Damaged(name, "it grew while it was read"),
  );
  return { found, size_bytes: passed.size_bytes, sha256: passed.sha256, local: passed.local! };
}

async function* withProgress(call: Call, file: ArchiveFile) {
  for await (const chunk of file.chunks()) {
    yield chunk;
    call.progress({ label: `reading ${file.shown}`, done: file.position, total: file.size, unit: "bytes" });
  }
}

/** @throws OpsError `usage` for what cannot be restored, or not to that engine; Damaged for what is nothing at all */
function agreed(
  name: string,
  found: ReturnType<typeof recognise>,
  engines: readonly EngineName[] | undefined,
): Recognised {
  if ("why" in found && found.isBroken) throw new Damaged(name, `it ${found.why}: it is damaged, or no dump`);
  if ("why" in found)
    throw usageError(
      `${name} cannot be restored: it ${found.why}`,
      "opsctl restores dumps of pg_dump and neo4j-admin, RDB files, SQLite files and its own exports",
    );
  if (engines === undefined || (engines.length === 1 && engines[0] === found.engine)) return found;
  throw usageError(
    `${name} holds data of ${found.engine} (${found.kind}), and --only says ${engines.join(", ")}`,
    `restore it with --only ${found.engine}, or name another file`,
  );
}

/** Whether what lies where a sidecar would is a JSON file of somebody else: a damaged one of ours is no reason to believe less of it. */
export function hasOthersJson({ path, sidecar }: Archive): boolean {
  if (sidecar !== null) return false;
  try {
    const json: unknown = JSON.parse(readSmallFile(sidecarPath(path)));
    return typeof json === "object" && json !== null && (json as { format?: unknown }).format !== FORMAT;
  } catch {
    return false;
  }
}
