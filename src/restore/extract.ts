/** Files of a set on their way into a private folder, under names that are ours. */
import { createHash } from "node:crypto";
import { constants, type FileHandle, mkdtemp, open, rm } from "node:fs/promises";
import { join } from "node:path";
import type { FileKind } from "../backup/port.ts";
import type { Asker } from "../backup/space.ts";
import { writeAll } from "../backup/spool.ts";
import { OpsError } from "../errors.ts";

const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** A fresh folder (0700) of one staging; its files (0600) are numbered. */
export class StagedFolder {
  readonly path: string;
  #count = 0;

  private constructor(path: string) {
    this.path = path;
  }

  /** @throws OpsError `failed` naming the folder */
  static async make(parent: string): Promise<StagedFolder> {
    const path = await mkdtemp(join(parent, "staged-")).catch((error: unknown) => {
      throw writeError(parent, error);
    });
    return new StagedFolder(path);
  }

  /** @throws OpsError `failed` naming the folder */
  async create(kind: FileKind): Promise<StagedFile> {
    this.#count += 1;
    const local = join(this.path, `${String(this.#count).padStart(3, "0")}-${kind}`);
    const handle = await open(local, CREATE, 0o600).catch((error: unknown) => {
      throw writeError(this.path, error);
    });
    return new StagedFile(local, handle, this.path);
  }

  async remove(): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }
}

/** A file that is being written: the next bytes are hashed and decompressed while the last ones go to the disk. */
class StagedFile {
  readonly local: string;
  readonly #handle: FileHandle;
  readonly #folder: string;
  #written: Promise<void> = Promise.resolve();

  constructor(local: string, handle: FileHandle, folder: string) {
    this.local = local;
    this.#handle = handle;
    this.#folder = folder;
  }

  /** Takes the bytes when those before are written. The chunk must not be changed afterwards. */
  async write(chunk: Uint8Array): Promise<void> {
    await this.#written;
    this.#written = writeAll(this.#handle, chunk).catch((error: unknown) => {
      throw writeError(this.#folder, error);
    });
    // it is looked at by the next one
    this.#written.catch(() => {});
  }

  /** All bytes are written. */
  async end(): Promise<void> {
    await this.#written;
  }

  /** In any case. */
  async close(): Promise<void> {
    await this.#written.catch(() => {});
    await this.#handle.close();
  }
}

/** What passed through. */
export interface Passed {
  size_bytes: number;
  sha256: string;
  /** Undefined: it was not to be written. */
  local: string | undefined;
}

/**
 * Reads a stream to its end, hashing it.
 * @param out where it is written; undefined: nowhere
 * @param most throws what `tooMuch` returns when there is more
 */
export async function passThrough(
  content: AsyncIterable<Uint8Array>,
  out: { folder: StagedFolder; kind: FileKind } | undefined,
  most: number,
  tooMuch: () => Error,
): Promise<Passed> {
  const hash = createHash("sha256");
  let size = 0;
  const file = await out?.folder.create(out.kind);
  try {
    for await (const chunk of content) {
      size += chunk.length;
      if (size > most) throw tooMuch();
      await file?.write(chunk);
      hash.update(chunk);
    }
    await file?.end();
  } finally {
    await file?.close();
  }
  return { size_bytes: size, sha256: hash.digest("hex"), local: file?.local };
}

/** What has no room there, for `lackOfSpace`. */
export const FILES_OF_ARCHIVE: Asker = {
  what: "the files of the archive need",
  hint: "free some space there, or restore fewer engines with --only",
};

function writeError(folder: string, error: unknown): OpsError {
  const reason = (error as NodeJS.ErrnoException).code;
  const isFull = reason === "ENOSPC" || reason === "EDQUOT" || reason === "EFBIG";
  return new OpsError({
    code: "failed",
    message: isFull
      ? `the disk is full: the files of the archive do not fit into ${folder} (${reason}); nothing was changed`
      : `the files of the archive cannot be written into ${folder} (${reason ?? String(error)}); nothing was changed`,
    hint: isFull
      ? "free some space there, or restore fewer engines with --only"
      : "check the disk and the folder's permissions",
    cause: error,
  });
}
