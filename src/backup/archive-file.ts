import { createHash } from "node:crypto";
import { constants, type FileHandle, open } from "node:fs/promises";
import { type Call, throwIfAborted } from "../call.ts";
import { OpsError } from "../errors.ts";
import { Damaged } from "./damaged.ts";

const READ_BYTES = 1024 * 1024;

/** A file that is read once, from the beginning to the end, and hashed on the way. */
export class ArchiveFile {
  readonly #call: Call;
  readonly #handle: FileHandle;
  readonly #hash = createHash("sha256");
  /** Its name in messages. */
  readonly shown: string;
  /** Bytes. */
  readonly size: number;
  #position = 0;
  #isWhole = false;
  readonly #isOwner: boolean;

  private constructor(call: Call, handle: FileHandle, size: number, shown: string, isOwner: boolean) {
    this.#call = call;
    this.#handle = handle;
    this.#isOwner = isOwner;
    this.size = size;
    this.shown = shown;
  }

  /**
   * @param shown its name in messages
   * @throws Damaged for what is missing, for a link, a pipe or a device (never waits for one), OpsError `failed` for what cannot be read
   */
  static async open(call: Call, path: string, shown: string): Promise<ArchiveFile> {
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    const handle = await open(path, flags).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ELOOP") throw new Damaged(shown, "it is a symbolic link; only files are read");
      if (error.code === "ENOENT") throw new Damaged(shown, "it is missing");
      throw readError(path, error);
    });
    const stats = await handle.stat();
    if (stats.isFile()) return new ArchiveFile(call, handle, stats.size, shown, true);
    await handle.close();
    throw new Damaged(shown, "it is no file");
  }

  /** A file that is open already, and stays open. */
  static async of(call: Call, handle: FileHandle, shown: string): Promise<ArchiveFile> {
    return new ArchiveFile(call, handle, (await handle.stat()).size, shown, false);
  }

  /** What was not read yet. */
  async *chunks(): AsyncGenerator<Buffer> {
    for (;;) {
      throwIfAborted(this.#call);
      // a buffer of its own each time: pieces of it are still being decompressed when the next is read
      const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
      const { bytesRead } = await this.#handle.read(buffer, 0, READ_BYTES, this.#position).catch((error) => {
        throw readError(this.shown, error);
      });
      if (bytesRead === 0) {
        this.#isWhole = true;
        return;
      }
      const chunk = buffer.subarray(0, bytesRead);
      this.#position += bytesRead;
      this.#hash.update(chunk);
      yield chunk;
    }
  }

  /** Bytes read so far. */
  get position(): number {
    return this.#position;
  }

  /** SHA-256 of all of it, in hex; reads what was not read yet. Once. */
  async digest(): Promise<string> {
    if (!this.#isWhole) {
      for await (const _ of this.chunks()) {
        // it is hashed there
      }
    }
    return this.#hash.digest("hex");
  }

  async close(): Promise<void> {
    if (this.#isOwner) await this.#handle.close();
  }
}

/** Whatever the system says. */
export function readError(path: string, error: unknown): OpsError {
  return new OpsError({
    code: "failed",
    message: `${path} cannot be read (${(error as NodeJS.ErrnoException).code})`,
    hint: "check its permissions, and the disk",
    cause: error,
  });
}
