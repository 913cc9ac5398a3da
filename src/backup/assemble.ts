/** What was spooled becomes one archive. */
import { createHash } from "node:crypto";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { flush } from "../publish.ts";
import type { Pack } from "./compress.ts";
import { METADATA_FILE, type Metadata } from "./metadata.ts";
import { type SpooledFile, spoolError, writeAll } from "./spool.ts";
import { TAR_END, tarHeader, tarPadding } from "./tar.ts";

/** Bytes that are read from the spool at once. */
const READ_BYTES = 1024 * 1024;

/** What is at a path, for its sidecar. */
export interface Assembled {
  path: string;
  size_bytes: number;
  sha256: string;
}

function metadataText(metadata: Metadata): Buffer {
  return Buffer.from(`${JSON.stringify(metadata, null, 2)}\n`);
}

/**
 * Joins headers and packed files to a tar archive of the folder NAME. Nothing is compressed twice: a piece of gzip or zstd stands for itself
 * wherever it stands. The spool of a file is removed when it has been read.
 */
export async function* tarStream(
  metadata: Metadata,
  files: readonly SpooledFile[],
  pack: Pack,
): AsyncGenerator<Uint8Array> {
  const { name } = metadata;
  const time = Date.parse(metadata.started_at);
  let plain: Uint8Array[] = [tarHeader(`${name}/`, 0, time, "Directory")];
  for (const file of files) {
    const { path, size_bytes: size } = file.metadata;
    plain.push(tarHeader(join(name, path), size, time, "File"));
    yield await pack(Buffer.concat(plain));
    yield* chunksOf(file.path);
    await rm(file.path);
    plain = [tarPadding(size)];
  }
  const text = metadataText(metadata);
  plain.push(
    tarHeader(join(name, METADATA_FILE), text.length, time, "File"),
    text,
    tarPadding(text.length),
    TAR_END,
  );
  yield await pack(Buffer.concat(plain));
}

async function* chunksOf(path: string): AsyncGenerator<Uint8Array> {
  const handle = await open(path, "r");
  try {
    for (;;) {
      const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(READ_BYTES), 0, READ_BYTES);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await handle.close();
  }
}

/** Writes a stream to a file that is not published yet, down to the disk. @throws SpoolError */
export async function writeStream(
  path: string,
  stream: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<Assembled> {
  const hash = createHash("sha256");
  let size = 0;
  const handle = await open(path, "wx", 0o600).catch((error: unknown) => {
    throw spoolError(path, error);
  });
  try {
    for await (const chunk of stream) {
      hash.update(chunk);
      size += chunk.length;
      await writeAll(handle, chunk).catch((error: unknown) => {
        throw spoolError(path, error);
      });
    }
    await handle.sync().catch((error: unknown) => {
      // a disk that failed here may say yes the second time and have lost the data (PostgreSQL's data_sync_retry)
      throw spoolError(path, error);
    });
  } finally {
    await handle.close();
  }
  return { path, size_bytes: size, sha256: hash.digest("hex") };
}

/** Makes the folder of a set from its files, as they are. The digest is that of its `metadata.json`, which has those of the files. */
export async function buildFolder(
  path: string,
  metadata: Metadata,
  files: readonly SpooledFile[],
): Promise<Assembled> {
  try {
    await mkdir(path, { mode: 0o700 });
    const folders = new Set<string>([path]);
    for (const file of files) {
      const to = join(path, file.metadata.path);
      await mkdir(dirname(to), { recursive: true, mode: 0o700 });
      folders.add(dirname(to));
      await flush(file.path);
      await rename(file.path, to);
    }
    const written = await writeStream(join(path, METADATA_FILE), [metadataText(metadata)]);
    for (const folder of folders) await flush(folder);
    const size = files.reduce((sum, file) => sum + file.metadata.size_bytes, written.size_bytes);
    return { path, size_bytes: size, sha256: written.sha256 };
  } catch (error) {
    throw spoolError(path, error);
  }
}
