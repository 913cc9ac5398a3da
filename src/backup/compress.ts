/**
 * Compression in independent pieces, side by side on the thread pool: one after another they are one valid gzip (RFC 1952, 2.2) or zstd
 * (RFC 8878, 3.1) stream. A stream of its own would keep one core busy and the others waiting.
 */
import { availableParallelism } from "node:os";
import { promisify } from "node:util";
import zlib from "node:zlib";

/** Bytes of input in one piece: larger ones compress no better, smaller ones pay more for their headers and empty windows. */
export const BLOCK_BYTES = 1024 * 1024;
/** Pieces in memory at once: those being compressed, and as many that wait for the disk or for a core. */
const BLOCKS_IN_FLIGHT = Math.min(16, availableParallelism() * 2 + 2);

/** Compresses one piece; what it returns stands for itself. */
export type Pack = (block: Uint8Array) => Promise<Uint8Array>;

const deflateRaw = promisify<zlib.InputType, zlib.ZlibOptions, Buffer>(zlib.deflateRaw);
const zstdCompress = promisify<zlib.InputType, zlib.ZstdOptions, Buffer>(zlib.zstdCompress);

/** At level 1 a backup is bound by the databases and not by gzip; level 6 takes three times as long for a tenth of the size. */
const GZIP_LEVEL = 1;
const ZSTD_LEVEL = 1;
/** What zlib's result grows by. */
const PACKED_CHUNK_BYTES = 256 * 1024;

/** The header's extra field holds the bytes of the whole member, so that a reader can take members apart without inflating them. */
export const SIZE_FIELD = "OP";
/** Fixed part, XLEN, subfield id and length, size. */
export const MEMBER_HEADER_BYTES = 10 + 2 + 4 + 4;
const MEMBER_TRAILER_BYTES = 8;

/** One gzip member. @throws RangeError for a piece of 4 GiB or more */
export async function gzipMember(block: Uint8Array): Promise<Uint8Array> {
  const body = await deflateRaw(block, { level: GZIP_LEVEL, memLevel: 9, chunkSize: PACKED_CHUNK_BYTES });
  const member = Buffer.allocUnsafe(MEMBER_HEADER_BYTES + body.length + MEMBER_TRAILER_BYTES);
  // magic, deflate, FEXTRA, no time, fastest algorithm, unknown system
  member.set([0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 4, 255]);
  member.writeUInt16LE(8, 10);
  member.write(SIZE_FIELD, 12, "latin1");
  member.writeUInt16LE(4, 14);
  member.writeUInt32LE(member.length, 16);
  member.set(body, MEMBER_HEADER_BYTES);
  member.writeUInt32LE(zlib.crc32(block), member.length - 8);
  member.writeUInt32LE(block.length, member.length - 4);
  return member;
}

/** One zstd frame, with its checksum: the format's own is off by default. */
export function zstdFrame(block: Uint8Array): Promise<Uint8Array> {
  const { ZSTD_c_compressionLevel, ZSTD_c_checksumFlag } = zlib.constants;
  return zstdCompress(block, {
    chunkSize: PACKED_CHUNK_BYTES,
    params: { [ZSTD_c_compressionLevel]: ZSTD_LEVEL, [ZSTD_c_checksumFlag]: 1 },
  });
}

/** As it is. */
export const asIs: Pack = async (block) => block;

/**
 * The memory that the files of a run share. A file fills a piece of its own, so that a file which waits for its server holds up no other; how many
 * are packed and written at once is bounded. Pieces are used again and again: fresh ones are freed late, by which time there are hundreds of
 * megabytes of them.
 */
export class Blocks {
  readonly #free: Buffer[] = [];
  readonly #waiting: (() => void)[] = [];
  #slots = BLOCKS_IN_FLIGHT;

  /** An empty piece to fill. */
  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES);
  }

  /** Waits for a place among those that are packed. */
  async pass(): Promise<void> {
    if (this.#slots > 0) this.#slots -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** The piece is on disk. */
  passed(block: Buffer): void {
    this.give(block);
    const next = this.#waiting.shift();
    if (next) next();
    else this.#slots += 1;
  }

  /** The piece is not needed any more. */
  give(block: Buffer): void {
    this.#free.push(block);
  }
}
