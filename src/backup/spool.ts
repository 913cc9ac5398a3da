/** Files of a set on their way: hashed, packed on several cores, and written to disk in their order. */
import { createHash, type Hash } from "node:crypto";
import { type FileHandle, open, rm } from "node:fs/promises";
import { OpsError } from "../errors.ts";
import { BLOCK_BYTES, type Blocks, type Pack } from "./compress.ts";
import type { FileMetadata } from "./metadata.ts";
import type { FileKind, FileWriter } from "./port.ts";

/** The disk did not take what a part wrote: no part can go on. */
export class SpoolError extends OpsError {}

/** What the files of one run share: memory is bounded for all of them together. */
export interface SpoolOptions {
  pack: Pack;
  blocks: Blocks;
  /** Called once, with the first failure of the disk. */
  onFailure(error: SpoolError): void;
  /** Called with each piece's size before compression. */
  onBytes(count: number): void;
}

/** A file of the set that is written to `path`, packed. */
export class SpooledFile implements FileWriter {
  readonly metadata: FileMetadata;
  /** Where it is spooled. */
  readonly path: string;
  /** Bytes on disk. */
  packedBytes = 0;
  isWhole = false;
  readonly #options: SpoolOptions;
  readonly #handle: FileHandle;
  readonly #hash: Hash = createHash("sha256");
  /** The piece that is being filled. */
  #block: Buffer | undefined;
  #filled = 0;
  /** The pieces before are on disk. */
  #written: Promise<void> = Promise.resolve();
  #failure: SpoolError | undefined;
  #isClosed = false;

  private constructor(path: string, handle: FileHandle, metadata: FileMetadata, options: SpoolOptions) {
    this.path = path;
    this.#handle = handle;
    this.metadata = metadata;
    this.#options = options;
  }

  /** @param name path in the set */
  static async create(
    path: string,
    name: string,
    kind: FileKind,
    options: SpoolOptions,
  ): Promise<SpooledFile> {
    const handle = await open(path, "wx", 0o600).catch((error: unknown) => {
      throw spoolError(path, error);
    });
    return new SpooledFile(path, handle, { path: name, kind, size_bytes: 0, sha256: "" }, options);
  }

  async write(chunk: Uint8Array): Promise<void> {
    if (this.#failure) throw this.#failure;
    if (this.#isClosed) throw new Error(`${this.metadata.path} has been ended`);
    this.#hash.update(chunk);
    this.metadata.size_bytes += chunk.length;
    for (let rest = chunk; rest.length > 0; ) {
      this.#block ??= this.#options.blocks.take();
      const block = this.#block;
      const part = rest.subarray(0, BLOCK_BYTES - this.#filled);
      block.set(part, this.#filled);
      this.#filled += part.length;
      rest = rest.subarray(part.length);
      if (this.#filled === BLOCK_BYTES) await this.#pass(block);
    }
    if (this.#failure) throw this.#failure;
  }

  async end(): Promise<void> {
    if (this.#block) await this.#pass(this.#block);
    await this.#close();
    if (this.#failure) throw this.#failure;
    this.metadata.sha256 = this.#hash.digest("hex");
    this.isWhole = true;
  }

  async discard(): Promise<void> {
    await this.#close();
    await rm(this.path, { force: true });
  }

  /** Hands what is filled to the thread pool; returns when there is room for it. */
  async #pass(block: Buffer): Promise<void> {
    const { blocks, pack, onBytes } = this.#options;
    const filled = block.subarray(0, this.#filled);
    this.#block = undefined;
    this.#filled = 0;
    await blocks.pass();
    onBytes(filled.length);
    const packing = pack(filled);
    this.#written = Promise.all([packing, this.#written])
      .then(([packed]) => this.#append(packed))
      .catch((error: unknown) => this.#fail(error))
      .finally(() => blocks.passed(block));
  }

  async #append(packed: Uint8Array): Promise<void> {
    if (this.#failure) return;
    this.packedBytes += packed.length;
    await writeAll(this.#handle, packed);
  }

  #fail(error: unknown): void {
    if (this.#failure) return;
    this.#failure = spoolError(this.path, error);
    this.#options.onFailure(this.#failure);
  }

  async #close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#block) this.#options.blocks.give(this.#block);
    this.#block = undefined;
    await this.#written;
    await this.#handle.close().catch((error: unknown) => this.#fail(error));
  }
}

/** Writes all of it: one call may write less, as when the disk is nearly full. */
export async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done);
    done += bytesWritten;
  }
}

/** Why the disk did not take it. */
export function spoolError(path: string, error: unknown): SpoolError {
  if (error instanceof SpoolError) return error;
  const reason = (error as NodeJS.ErrnoException).code;
  const isFull = reason === "ENOSPC" || reason === "EDQUOT" || reason === "EFBIG";
  return new SpoolError({
    code: "failed",
    message: isFull
      ? `the disk is full: ${path} could not be written (${reason}); nothing was published, and what was there is as it was`
      : `${path} could not be written (${reason ?? String(error)}); nothing was published`,
    hint: isFull
      ? "free some space, keep fewer archives (opsctl cleanup), or name another folder with --dir"
      : "check the disk and the folder's permissions",
    cause: error,
  });
}
