/** What an archive without a sidecar holds. */
import { createHash } from "node:crypto";
import { basename } from "node:path";
import type { Archive } from "../backup/archives.ts";
import { ByteQueue } from "../backup/byte-queue.ts";
import { Damaged } from "../backup/damaged.ts";
import type { Decrypted } from "../backup/encrypt.ts";
import { FORMAT, METADATA_FILE, type Metadata, parseMetadata } from "../backup/metadata.ts";
import { openSet, readMetadata, type SetEntry } from "../backup/reader.ts";
import type { Call } from "../call.ts";
import { HEAD_BYTES, recognise } from "./foreign-kind.ts";
import type { ForeignFile } from "./foreign-parts.ts";

const CHUNK_BYTES = 1024 * 1024;

/** An archive that another program made, read to its end. */
export interface Foreign {
  files: ForeignFile[];
  /** Files that cannot be restored, a sentence each; of many, the first ones and how many more. */
  notes: string[];
}

/** An archive of a whole data folder has thousands of files. */
const MAX_NOTES = 10;

/** A set of ours has metadata. */
export type Inside = { sha256: string } & (
  | { metadata: Metadata; foreign?: undefined }
  | { metadata?: undefined; foreign: Foreign }
);

/**
 * @returns with the digest as a sidecar would have it
 * @throws Damaged
 */
export async function lookInside(
  call: Call,
  archive: Archive,
  decrypted: Decrypted | undefined,
): Promise<Inside> {
  const set = await openSet(call, archive, undefined, await decrypted?.read());
  try {
    const found = await metadataOrFiles(set.entries(), basename(archive.path));
    return { ...found, sha256: decrypted?.sha256 ?? (await set.digest()) };
  } finally {
    await set.close();
  }
}

async function metadataOrFiles(entries: AsyncGenerator<SetEntry>, name: string) {
  const files: ForeignFile[] = [];
  const left: string[] = [];
  let isEmpty = true;
  for await (const entry of entries) {
    isEmpty = false;
    if (entry.path === METADATA_FILE) {
      const text = await readMetadata(entry.content);
      if (!isJson(text)) throw new Damaged(METADATA_FILE, "it is no JSON");
      // what names our format is ours, or pretends to be
      if (text.includes(`"${FORMAT}"`)) return { metadata: parseMetadata(text, METADATA_FILE) };
      continue;
    }
    const found = await survey(entry);
    if (typeof found === "string") left.push(found);
    else files.push(found);
  }
  if (isEmpty) throw new Damaged(name, "it holds nothing");
  const more = left.length - MAX_NOTES;
  const notes = [...left.slice(0, MAX_NOTES), ...(more > 0 ? [`and ${more} more files are left out`] : [])];
  return { foreign: { files, notes } };
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** @returns why it is left out, or what it is */
async function survey({ path, size_bytes, content }: SetEntry): Promise<ForeignFile | string> {
  const peeked = await peekAt(content);
  const found = recognise(path, peeked.head);
  if ("why" in found) return `${path} is left out: it ${found.why}`;
  const hash = createHash("sha256");
  for await (const chunk of peeked.content) hash.update(chunk);
  return { ...found, path, size_bytes, sha256: hash.digest("hex") };
}

/** The first bytes of a stream, and the stream with them. */
export async function peekAt(
  content: AsyncIterable<Uint8Array>,
): Promise<{ head: Buffer; content: AsyncIterable<Uint8Array> }> {
  const queue = new ByteQueue(content);
  const head = await queue.peek(HEAD_BYTES);
  async function* whole() {
    for (;;) {
      const chunk = await queue.some(CHUNK_BYTES);
      if (chunk === undefined) return;
      yield chunk;
    }
  }
  return { head, content: whole() };
}
