/** Finds the ends of zstd frames (RFC 8878, 3.1.1) by the sizes in their block headers, without decompressing. */
import type { ByteQueue } from "./byte-queue.ts";
import { Damaged } from "./damaged.ts";

const MAGIC = 0xfd2fb528;
/** The lowest four bits are free. */
const SKIPPABLE_MAGIC = 0x184d2a50;
/** No block holds more, compressed or not. */
const BLOCK_BYTES = 128 * 1024;
/** Windows of more than 8 MiB are left to the stream, which has one at a time. */
const MAX_WINDOW_LOG = 23;

/** A frame too large to be held. */
export class FrameStart {
  /** The whole frame, once. */
  readonly bytes: () => AsyncGenerator<Buffer>;

  constructor(bytes: () => AsyncGenerator<Buffer>) {
    this.bytes = bytes;
  }
}

/** A whole frame, of which at most `maxLength` bytes come out; empty for one that holds no data. */
export interface WholeFrame {
  frame: Buffer;
  maxLength: number;
}

/**
 * The frame that begins here.
 * @param limit bytes of a whole frame, in and out
 * @throws Damaged where no frame begins, or one is cut off
 */
export async function readFrame(
  packed: ByteQueue,
  name: string,
  limit: number,
): Promise<WholeFrame | FrameStart> {
  const at = packed.position;
  const magic = (await take(packed, 4, name)).readUInt32LE(0);
  if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) {
    await skip(packed, (await take(packed, 4, name)).readUInt32LE(0), name);
    return { frame: Buffer.alloc(0), maxLength: 0 };
  }
  if (magic !== MAGIC) throw new Damaged(name, `no zstd frame begins at byte ${at}`);
  const head = await readHead(packed, name);
  const blocks = readBlocks(packed, head.hasChecksum, name);
  const parts: Buffer[] = [head.bytes];
  let count = 0;
  while (head.isSmall && count < limit / BLOCK_BYTES) {
    const { done, value } = await blocks.next();
    if (done) return { frame: Buffer.concat(parts), maxLength: count * BLOCK_BYTES };
    parts.push(...value);
    count += 1;
  }
  return new FrameStart(async function* () {
    yield* parts;
    for await (const block of blocks) yield* block;
  });
}

/** Magic, descriptor, window, dictionary, content size. */
async function readHead(packed: ByteQueue, name: string) {
  const descriptor = await take(packed, 1, name);
  const flags = descriptor[0]!;
  const isSingle = (flags & 0x20) !== 0;
  const sizeBytes = [isSingle ? 1 : 0, 2, 4, 8][flags >> 6]!;
  const dictionaryBytes = [0, 1, 2, 4][flags & 3]!;
  const rest = await take(packed, (isSingle ? 0 : 1) + dictionaryBytes + sizeBytes, name);
  const magic = Buffer.alloc(4);
  magic.writeUInt32LE(MAGIC);
  return {
    bytes: Buffer.concat([magic, descriptor, rest]),
    hasChecksum: (flags & 4) !== 0,
    isSmall: isSingle || 10 + (rest[0]! >> 3) <= MAX_WINDOW_LOG,
  };
}

/** Block by block, each its header and its bytes; with the last one the checksum. */
async function* readBlocks(packed: ByteQueue, hasChecksum: boolean, name: string): AsyncGenerator<Buffer[]> {
  for (;;) {
    const header = await take(packed, 3, name);
    const bits = header.readUIntLE(0, 3);
    const isRepeated = ((bits >> 1) & 3) === 1;
    // one byte that is repeated so many times
    const bytes = isRepeated ? 1 : bits >> 3;
    if (bytes > BLOCK_BYTES)
      throw new Damaged(name, `a zstd block before byte ${packed.position} is too large`);
    const block = [header, await take(packed, bytes, name)];
    const isLast = (bits & 1) === 1;
    if (isLast && hasChecksum) block.push(await take(packed, 4, name));
    yield block;
    if (isLast) return;
  }
}

async function skip(packed: ByteQueue, count: number, name: string): Promise<void> {
  for (let left = count; left > 0; ) {
    const chunk = await packed.some(left);
    if (chunk === undefined) throw new Damaged(name, `it ends at byte ${packed.position}, in a zstd frame`);
    left -= chunk.length;
  }
}

async function take(packed: ByteQueue, count: number, name: string): Promise<Buffer> {
  const bytes = await packed.take(count);
  if (bytes.length < count) throw new Damaged(name, `it ends at byte ${packed.position}, in a zstd frame`);
  return bytes;
}
