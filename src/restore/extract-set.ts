/** A set of ours, read to its last byte in one pass and compared with what it says of itself. */
import { createHash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import type { Archive } from "../backup/archives.ts";
import { Damaged } from "../backup/damaged.ts";
import { type FileMetadata, METADATA_FILE, type Metadata, parseMetadata } from "../backup/metadata.ts";
import { readMetadata, type SetEntry, type SetReader } from "../backup/reader.ts";
import { type Passed, passThrough, type StagedFolder } from "./extract.ts";
import { recognise } from "./foreign-kind.ts";
import { peekAt } from "./inside.ts";

export interface ExtractPlan {
  /** What the set must hold. */
  metadata: Metadata;
  /** Paths in the set that are written. */
  wanted: ReadonlySet<string>;
  /** Undefined: everything is only read. */
  folder: StagedFolder | undefined;
}

export interface Extracted {
  /** As in the sidecar, of the bytes that were read here. */
  sha256: string;
  /** Where the wanted files lie, by path in the set. */
  locals: Map<string, string>;
}

/**
 * Reads all of it, and writes the wanted files.
 * @throws Damaged at the first thing that is not as the metadata says; OpsError `failed` for a disk that does not take it
 */
export async function extractSet(
  archive: Archive,
  set: SetReader,
  { metadata, wanted, folder }: ExtractPlan,
): Promise<Extracted> {
  const files = new Map(metadata.files.map((file) => [file.path, file]));
  const locals = new Map<string, string>();
  const missing = new Set(files.keys());
  let metadataDigest: string | undefined;
  for await (const entry of set.entries()) {
    if (entry.path === METADATA_FILE) {
      metadataDigest = await compareMetadata(entry, metadata);
      continue;
    }
    const expected = files.get(entry.path);
    if (expected === undefined) throw new Damaged(entry.path, "the metadata does not name it");
    const isAlone = archive.container === "file";
    const file = isAlone ? { ...entry, content: await ofItsKind(entry, expected) } : entry;
    const { local } = await extractFile(file, expected, wanted.has(entry.path) ? folder : undefined);
    if (local !== undefined) locals.set(entry.path, local);
    missing.delete(entry.path);
  }
  if (archive.container !== "file" && metadataDigest === undefined)
    throw new Damaged(METADATA_FILE, "it is missing");
  for (const path of missing) throw new Damaged(path, "it is missing");
  // of a folder, the bytes that were compared: read again it could be another file
  const isFolder = archive.container === "dir";
  return { sha256: isFolder ? metadataDigest! : await set.digest(), locals };
}

/** @returns the digest of what was read */
async function compareMetadata({ content }: SetEntry, metadata: Metadata): Promise<string> {
  const hash = createHash("sha256");
  async function* hashed() {
    for await (const chunk of content) {
      hash.update(chunk);
      yield chunk;
    }
  }
  const inner = parseMetadata(await readMetadata(hashed()), METADATA_FILE);
  if (!isDeepStrictEqual(inner, metadata))
    throw new Damaged(
      METADATA_FILE,
      "it is not what the sidecar says: one of them belongs to another archive, or was changed",
    );
  return hash.digest("hex");
}

/** The digest of a single file says nothing of its sidecar, which says what the file is. */
async function ofItsKind({ path, content }: SetEntry, { kind }: FileMetadata) {
  const peeked = await peekAt(content);
  const found = recognise(path, peeked.head);
  if ("kind" in found && found.kind !== kind)
    throw new Damaged(path, `it is ${found.kind} by its content, and its sidecar says ${kind}`);
  return peeked.content;
}

async function extractFile(
  { path, size_bytes: size, content }: SetEntry,
  { kind, size_bytes: expectedSize, sha256 }: FileMetadata,
  folder: StagedFolder | undefined,
): Promise<Passed> {
  const wrongSize = (found: number | string) =>
    new Damaged(path, `it has ${found} bytes, and the metadata says ${expectedSize}`);
  // before anything of it is written; what is smaller in a folder may be a link, which reading it says
  if (size > expectedSize) throw wrongSize(size);
  const passed = await passThrough(content, folder && { folder, kind }, expectedSize, () =>
    wrongSize(`more than ${expectedSize}`),
  );
  if (passed.size_bytes !== expectedSize) throw wrongSize(passed.size_bytes);
  if (passed.sha256 !== sha256)
    throw new Damaged(path, "its SHA-256 is not that of the metadata: its bytes were changed");
  return passed;
}
