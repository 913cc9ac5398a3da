/** Reads the files of a set out of its container, one after another, as nobody can be sure that they are what they should be. */
import { lstat, readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Call } from "../call.ts";
import { OpsError } from "../errors.ts";
import { ArchiveFile, readError } from "./archive-file.ts";
import type { Archive } from "./archives.ts";
import { ByteQueue } from "./byte-queue.ts";
import { Damaged } from "./damaged.ts";
import { METADATA_FILE, type Metadata, parseMetadata } from "./metadata.ts";
import { MAX_METADATA_BYTES, SetGuard } from "./set-guard.ts";
import { readTar } from "./tar-reader.ts";
import { unpack } from "./unpack.ts";

/** A file of a set. */
export interface SetEntry {
  /** In the set: `postgres/app.dump`. */
  path: string;
  /** As the container says; `content` fails when it has fewer. */
  size_bytes: number;
  /** Its bytes, once; what is left of them is passed over when the next entry is asked for. */
  content: AsyncIterable<Uint8Array>;
}

/** A set that is being read. */
export interface SetReader {
  /**
   * Its files, `metadata.json` among them, once.
   * @throws Damaged where it cannot go on; what came before was read to its end
   */
  entries(): AsyncGenerator<SetEntry>;
  /** SHA-256 as in the sidecar: of the archive, of a folder that of its `metadata.json`. Reads what was not read yet. Once, after `entries`. */
  digest(): Promise<string>;
  /** In any case. */
  close(): Promise<void>;
}

/**
 * Opens a set. Nothing of it is written anywhere: entries are read from the container as they come, and links, devices and paths that lead
 * elsewhere end it.
 * @param metadata what is known of the content, from the sidecar: limits what is read; undefined: the archive's size does
 * @param decrypted of an encrypted archive: its plain content, authenticated to the end
 * @throws OpsError `failed` for what cannot be read, Damaged for a link
 */
export async function openSet(
  call: Call,
  archive: Archive,
  metadata: Metadata | undefined,
  decrypted?: ArchiveFile,
): Promise<SetReader> {
  const name = basename(archive.path);
  if (archive.container === "dir") return folderReader(call, archive, metadata !== undefined);
  const file = decrypted ?? (await ArchiveFile.open(call, archive.path, name));
  const shared = {
    digest: () => file.digest(),
    close: () => file.close(),
  };
  const chunks = () => withProgress(call, file, archive.name);
  if (archive.container === "file") {
    const path = metadata?.files[0]?.path ?? name;
    return {
      ...shared,
      async *entries() {
        yield { path, size_bytes: file.size, content: chunks() };
      },
    };
  }
  const { container } = archive;
  return {
    ...shared,
    async *entries() {
      const guard = new SetGuard(name, file.size, metadata);
      const packed = new ByteQueue(chunks());
      const tar = unpack(container, packed, name);
      const enter = (...header: Parameters<SetGuard["enter"]>) => guard.enter(...header);
      for await (const { isFolder, ...entry } of readTar(tar, name, enter)) if (!isFolder) yield entry;
    },
  };
}

async function* withProgress(call: Call, file: ArchiveFile, name: string) {
  for await (const chunk of file.chunks()) {
    yield chunk;
    call.progress({ label: `reading ${name}`, done: file.position, total: file.size, unit: "bytes" });
  }
}

/**
 * What lies in a folder is what it is: its size needs no limits, and a link is named where its content would be.
 * @param isKnown it is a set; else that is looked at before all folders below are
 */
function folderReader(call: Call, archive: Archive, isKnown: boolean): SetReader {
  const open = (path: string) => ArchiveFile.open(call, join(archive.path, path), path);
  return {
    async *entries() {
      if (!isKnown) await (await open(METADATA_FILE)).close();
      for await (const path of filesBelow(archive.path, "")) {
        const { size } = await lstat(join(archive.path, path));
        yield { path, size_bytes: size, content: contentOf(call, () => open(path)) };
      }
    },
    async digest() {
      const file = await open(METADATA_FILE);
      try {
        return await file.digest();
      } finally {
        await file.close();
      }
    },
    close: async () => {},
  };
}

async function* contentOf(call: Call, open: () => Promise<ArchiveFile>): AsyncGenerator<Uint8Array> {
  const file = await open();
  try {
    yield* withProgress(call, file, file.shown);
  } finally {
    await file.close();
  }
}

/** By name, what describes the others first. */
function inOrder(a: { name: string }, b: { name: string }): number {
  if (a.name === METADATA_FILE) return -1;
  return b.name === METADATA_FILE || a.name > b.name ? 1 : -1;
}

/** Everything that is no folder. */
async function* filesBelow(root: string, folder: string): AsyncGenerator<string> {
  const found = await readdir(join(root, folder), { withFileTypes: true }).catch((error) => {
    throw readError(join(root, folder), error);
  });
  for (const item of found.sort(inOrder)) {
    // not `join`: paths in a set have slashes everywhere
    const path = folder === "" ? item.name : `${folder}/${item.name}`;
    if (item.isDirectory()) yield* filesBelow(root, path);
    else yield path;
  }
}

/**
 * What a set says of itself inside. Reads the archive to its end, where that is.
 * @throws Damaged when there is none
 */
export async function innerMetadata(set: SetReader, name: string): Promise<Metadata> {
  for await (const { path, content } of set.entries()) {
    if (path === METADATA_FILE) return parseInner(await readMetadata(content));
  }
  throw new Damaged(name, `it holds no ${METADATA_FILE}: it is no set, or a part of one`);
}

/** @throws Damaged for what is no metadata, OpsError `failed` for that of a newer opsctl */
function parseInner(text: string): Metadata {
  try {
    return parseMetadata(text, METADATA_FILE);
  } catch (error) {
    if (!(error instanceof OpsError) || error.code !== "integrity") throw error;
    throw new Damaged(METADATA_FILE, error.message);
  }
}

/** The text of a `metadata.json`. @throws Damaged for more than one can have */
export async function readMetadata(content: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of content) {
    size += chunk.length;
    if (size > MAX_METADATA_BYTES) throw new Damaged(METADATA_FILE, "it is too large");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
