/**
 * Reads a tar archive and refuses what a set never holds. The `tar` package reads everything there is (links, devices, extensions) and warns
 * where this has to end: two kinds of entries are easier to read than all the others are to shut out.
 */
import { ByteQueue } from "./byte-queue.ts";
import { Damaged } from "./damaged.ts";

const BLOCK = 512;
/** Some writers fill their last record with empty blocks; a bomb goes on. */
const MAX_FILL_BYTES = 1024 * 1024;

/** A file or folder of the archive. */
export interface TarEntry {
  /** As `enter` calls it. */
  path: string;
  isFolder: boolean;
  size_bytes: number;
  /** Its bytes, once; what is left of them is passed over when the next entry is asked for. */
  content: AsyncIterable<Uint8Array>;
}

/** Looks at an entry before its bytes are read, and says what it is called from here on. @throws Damaged */
export type Enter = (path: string, isFolder: boolean, size: number) => string;

/**
 * The entries of an uncompressed tar (ustar, sizes also in base 256), in their order.
 * @param name of the archive, for the messages
 * @throws Damaged at the first thing that is wrong, with its place; everything before was whole
 */
export async function* readTar(
  chunks: AsyncIterable<Uint8Array>,
  name: string,
  enter: Enter,
): AsyncGenerator<TarEntry> {
  const queue = new ByteQueue(chunks);
  try {
    for (;;) {
      const header = await readHeader(queue, name, enter);
      if (header === undefined) return;
      const content = readContent(queue, header);
      yield { ...header, content };
      for await (const _ of content) {
        // whoever did not want all of it
      }
      await take(queue, (BLOCK - (header.size_bytes % BLOCK)) % BLOCK, header.path);
    }
  } finally {
    await queue.close();
  }
}

type Header = Omit<TarEntry, "content">;

async function readHeader(queue: ByteQueue, name: string, enter: Enter): Promise<Header | undefined> {
  const at = queue.position;
  const block = await take(queue, BLOCK, name);
  if (!isEmpty(block)) return parseHeader(block, name, at, enter);
  // the end: another empty block, and nothing but empty ones
  await take(queue, BLOCK, name, isEmpty);
  for (let passed = 0; passed <= MAX_FILL_BYTES; passed += BLOCK) {
    const rest = await from(queue, () => queue.some(BLOCK), name);
    if (rest === undefined) return undefined;
    if (!isEmpty(rest)) break;
  }
  throw new Damaged(name, `something follows the end of its tar, at byte ${at}`);
}

async function* readContent(queue: ByteQueue, { path, size_bytes: size }: Header) {
  for (let left = size; left > 0; ) {
    const chunk = await from(queue, () => queue.some(left), path, size - left);
    if (chunk === undefined)
      throw new Damaged(path, `it ends after ${size - left} of ${size} bytes: the archive is cut off`);
    left -= chunk.length;
    yield chunk;
  }
}

/** @param path what the bytes belong to */
async function take(queue: ByteQueue, count: number, path: string, isRight = (_: Buffer) => true) {
  const at = queue.position;
  const bytes = await from(queue, () => queue.take(count), path);
  if (bytes.length < count)
    throw new Damaged(path, `the archive ends at byte ${at + bytes.length} of its tar`);
  if (!isRight(bytes)) throw new Damaged(path, `there is no header and no end at byte ${at} of its tar`);
  return bytes;
}

/** Names the entry and the byte for what goes wrong below: in the compression, in the file. */
async function from<T>(
  queue: ByteQueue,
  read: () => Promise<T>,
  path: string,
  offset = queue.position,
): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof Damaged)
      throw new Damaged(path, `it cannot be read from byte ${offset}: ${error.what}`);
    throw error;
  }
}

const FILE_TYPES = new Set(["0", "\0"]);
const FOLDER_TYPE = "5";
const TYPES: Readonly<Record<string, string>> = {
  "1": "a hard link",
  "2": "a symbolic link",
  "3": "a device",
  "4": "a device",
  "6": "a pipe",
};

function parseHeader(block: Buffer, name: string, at: number, enter: Enter): Header {
  const damaged = (what: string) => new Damaged(name, `${what}, at byte ${at} of its tar`);
  const sum = block.reduce((total, byte, index) => total + (index >= 148 && index < 156 ? 32 : byte), 0);
  if (octal(block.subarray(148, 156)) !== sum) throw damaged("a header has a wrong checksum");
  const magic = block.toString("latin1", 257, 263);
  // GNU's own variety keeps other things where POSIX has the first part of a long path
  const isGnu = magic === "ustar ";
  if (magic !== "ustar\0" && !isGnu) throw damaged("a header is not ustar");
  const prefix = isGnu ? "" : textOf(block.subarray(345, 500));
  const short = textOf(block.subarray(0, 100));
  if (prefix === undefined || !short) throw damaged("a header has no path, or one that is not UTF-8");
  const type = String.fromCharCode(block[156]!);
  const isFolder = type === FOLDER_TYPE;
  const size = sizeOf(block.subarray(124, 136));
  if (size === undefined || (isFolder && size > 0)) throw damaged("a header has a size that cannot be");
  const path = enter(prefix === "" ? short : `${prefix}/${short}`, isFolder, size);
  if (!isFolder && !FILE_TYPES.has(type))
    throw new Damaged(path, `it is ${TYPES[type] ?? "an entry of an unknown kind"}; a set holds files only`);
  return { path, isFolder, size_bytes: size };
}

/** Up to the first NUL; undefined: it is not UTF-8. */
function textOf(field: Buffer): string | undefined {
  const end = field.indexOf(0);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(end < 0 ? field : field.subarray(0, end));
  } catch {
    return undefined;
  }
}

function octal(field: Buffer): number | undefined {
  const text = field
    .toString("latin1")
    .replace(/[\0 ]+$/, "")
    .trimStart();
  return /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : undefined;
}

/** Octal digits, or from 8 GiB on a number in base 256, marked by the first bit. */
function sizeOf(field: Buffer): number | undefined {
  if (field[0] !== 0x80) return octal(field);
  const size = field.subarray(1).reduce((total, byte) => total * 256 + byte, 0);
  return Number.isSafeInteger(size) ? size : undefined;
}

function isEmpty(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0);
}
