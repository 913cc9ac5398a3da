/**
 * Takes compressed archives apart: the pieces that a backup compressed one by one are decompressed side by side, other people's gzip and zstd
 * as the streams that they are.
 */
import { availableParallelism } from "node:os";
import { pipeline, Readable, type Transform } from "node:stream";
import { promisify } from "node:util";
import zlib from "node:zlib";
import type { ByteQueue } from "./byte-queue.ts";
import { MEMBER_HEADER_BYTES, SIZE_FIELD } from "./compress.ts";
import { Damaged } from "./damaged.ts";
import { FrameStart, readFrame } from "./zstd-frame.ts";

/** Of a piece that is decompressed at once, in and out. What is larger is read as a stream. */
const PIECE_BYTES = 8 * 1024 * 1024;
const CHUNK_BYTES = 256 * 1024;
/** Pieces that are decompressed at once: one for each core, and the one that is looked at meanwhile. */
const PIECES_IN_FLIGHT = availableParallelism() + 1;

/** Decompressed bytes to come, or a stream of them. */
type Piece = { bytes: Promise<Buffer> } | { stream: AsyncIterable<Buffer> };

/**
 * The uncompressed bytes.
 * @param name of the archive, for the messages
 * @throws Damaged for what is no gzip or zstd, for a wrong checksum, a piece that is cut off, and anything after the last one
 */
export async function* unpack(
  container: "tar.gz" | "tar.zst",
  packed: ByteQueue,
  name: string,
): AsyncGenerator<Buffer> {
  const queue: Promise<Buffer>[] = [];
  const pieces = container === "tar.gz" ? gzipPieces(packed, name) : zstdPieces(packed, name);
  for await (const piece of failingInTurn(pieces)) {
    if ("bytes" in piece) {
      // it is looked at in its turn
      piece.bytes.catch(() => {});
      queue.push(piece.bytes);
      if (queue.length >= PIECES_IN_FLIGHT) yield await queue.shift()!;
      continue;
    }
    while (queue.length > 0) yield await queue.shift()!;
    yield* piece.stream;
  }
  while (queue.length > 0) yield await queue.shift()!;
}

/** A piece that cannot be found fails when its turn has come, not before those that were found. */
async function* failingInTurn(pieces: AsyncIterable<Piece>): AsyncGenerator<Piece> {
  try {
    yield* pieces;
  } catch (error) {
    yield { bytes: Promise.reject(error) };
  }
}

type Options = { info: boolean; maxOutputLength: number; chunkSize: number };
const gunzip = promisify<zlib.InputType, Options, unknown>(zlib.gunzip);
const unzstd = promisify<zlib.InputType, Options, unknown>(zlib.zstdDecompress);

async function* gzipPieces(packed: ByteQueue, name: string): AsyncGenerator<Piece> {
  for (;;) {
    const at = packed.position;
    const head = await packed.peek(MEMBER_HEADER_BYTES);
    if (head.length === 0 && at > 0) return;
    const size = memberSize(head);
    if (size === undefined) {
      yield { stream: throughStream(zlib.createGunzip({ chunkSize: CHUNK_BYTES }), rest(packed), name, at) };
      return;
    }
    const member = await packed.take(size);
    if (member.length < size)
      throw new Damaged(name, `it ends in the middle of a piece that begins at byte ${at}`);
    const length = member.readUInt32LE(size - 4);
    if (length > PIECE_BYTES) throw new Damaged(name, `the piece at byte ${at} cannot hold ${length} bytes`);
    yield { bytes: atOnce(gunzip, member, length, name, at) };
  }
}

/** Bytes of a member that says it; undefined for others. */
function memberSize(head: Buffer): number | undefined {
  const isOurs =
    head.length === MEMBER_HEADER_BYTES &&
    head.readUInt32BE(0) === 0x1f8b0804 &&
    head.readUInt16LE(10) === 8 &&
    head.toString("latin1", 12, 14) === SIZE_FIELD &&
    head.readUInt16LE(14) === 4;
  const size = isOurs ? head.readUInt32LE(16) : 0;
  return size > MEMBER_HEADER_BYTES + 8 && size <= PIECE_BYTES ? size : undefined;
}

/** Node's zstd ends silently after the first frame of what it was given at once: each frame is cut out and gets a decoder of its own. */
async function* zstdPieces(packed: ByteQueue, name: string): AsyncGenerator<Piece> {
  for (;;) {
    const at = packed.position;
    if ((await packed.peek(1)).length === 0 && at > 0) return;
    const start = await readFrame(packed, name, PIECE_BYTES);
    if (start instanceof FrameStart) {
      const params = { [zlib.constants.ZSTD_d_windowLogMax]: 27 };
      const decoder = zlib.createZstdDecompress({ chunkSize: CHUNK_BYTES, params });
      yield { stream: throughStream(decoder, start.bytes(), name, at) };
    } else if (start.frame.length > 0) {
      yield { bytes: atOnce(unzstd, start.frame, start.maxLength, name, at) };
    }
  }
}

/** @param length at most so many bytes come out */
async function atOnce(
  decompress: typeof gunzip,
  piece: Buffer,
  length: number,
  name: string,
  at: number,
): Promise<Buffer> {
  const options = { info: true, maxOutputLength: Math.max(1, length), chunkSize: length + 64 };
  const { buffer, engine } = (await decompress(piece, options).catch((error) => {
    throw damaged(error, name, at);
  })) as { buffer: Buffer; engine: { bytesWritten: number } };
  if (engine.bytesWritten !== piece.length)
    throw new Damaged(name, `the piece at byte ${at} ends ${piece.length - engine.bytesWritten} bytes early`);
  return buffer;
}

async function* throughStream(
  decoder: Transform & { bytesWritten: number },
  bytes: AsyncIterable<Uint8Array>,
  name: string,
  at: number,
): AsyncGenerator<Buffer> {
  let fed = 0;
  async function* counted() {
    for await (const chunk of bytes) {
      fed += chunk.length;
      yield chunk;
    }
  }
  // what fails after the last byte was read has nobody else to tell
  decoder.on("error", () => {});
  pipeline(Readable.from(counted(), { objectMode: false, highWaterMark: CHUNK_BYTES }), decoder, () => {});
  try {
    yield* decoder as AsyncIterable<Buffer>;
  } catch (error) {
    throw damaged(error, name, at);
  }
  // zlib passes over zero bytes after the last member
  if (decoder.bytesWritten !== fed)
    throw new Damaged(
      name,
      `something follows the end of its compressed data, at byte ${at + decoder.bytesWritten}`,
    );
}

async function* rest(packed: ByteQueue): AsyncGenerator<Buffer> {
  for (;;) {
    const chunk = await packed.some(CHUNK_BYTES);
    if (chunk === undefined) return;
    yield chunk;
  }
}

/** Everything that zlib says about data is about damage; the rest comes from below. */
function damaged(error: unknown, name: string, at: number): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  const isData = code?.startsWith("Z_") || code?.startsWith("ZSTD_") || code === "ERR_BUFFER_TOO_LARGE";
  return isData
    ? new Damaged(name, `the compressed data from its byte ${at} is damaged (${message})`)
    : error;
}
