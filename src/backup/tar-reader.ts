/**
 * Reads a tar archive and refuses what a set never holds. The `tar` package reads everything there is (links, devices, extensions) and warns
 * where this has to end: two kinds of entries, and long names of theirs, are easier to read than all the others are to shut out.
 */
import { ByteQueue } from "./byte-queue.ts";
import { Damaged } from "./damaged.ts";
import {
  BadExtension,
  type Extended,
  longNameOf,
  MAX_EXTENDED_BYTES,
  paxOf,
  requireHarmless,
  utf8,
} from "./tar-extended.ts";

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
 * The entries of an uncompressed tar (ustar with sizes also in base 256, pax, GNU), in their order.
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
      await take(queue, fillAfter(header.size_bytes), header.path);
    }
  } finally {
    await queue.close();
  }
}

type Header = Omit<TarEntry, "content">;

/** Past what only describes it: each entry may have one extended header, and the archive one at its start. */
async function readHeader(queue: ByteQueue, name: string, enter: Enter): Promise<Header | undefined> {
  let extended: Extended | undefined;
  for (;;) {
    const at = queue.position;
    const block = await take(queue, BLOCK, name);
    const damaged = (what: string) => new Damaged(name, `${what}, at byte ${at} of its tar`);
    if (isEmpty(block)) {
      if (extended) throw damaged("no entry follows an extended header");
      return readEnd(queue, name, at);
    }
    const header = parseHeader(block, damaged);
    if (!EXTENSIONS.has(header.type)) return entryOf(header, extended ?? {}, { enter, damaged });
    // what follows one is an entry: programs do not agree on which of two counts
    if (extended || (header.type === ALL_ENTRIES && at > 0))
      throw damaged("an extended header follows another entry's");
    extended = await readExtended(queue, header, damaged);
  }
}

/** The end: another empty block, and nothing but empty ones. */
async function readEnd(queue: ByteQueue, name: string, at: number): Promise<undefined> {
  await take(queue, BLOCK, name, isEmpty);
  for (let passed = 0; passed <= MAX_FILL_BYTES; passed += BLOCK) {
    const rest = await from(queue, () => queue.some(BLOCK), name);
    if (rest === undefined) return undefined;
    if (!isEmpty(rest)) break;
  }
  throw new Damaged(name, `something follows the end of its tar, at byte ${at}`);
}

type Complain = (what: string) => Damaged;

/** @returns undefined: it says nothing of the next entry */
async function readExtended(
  queue: ByteQueue,
  { type, size }: RawHeader,
  damaged: Complain,
): Promise<Extended | undefined> {
  if (type === LONG_TARGET) throw damaged("an entry is a link; a set holds files only");
  if (size === undefined || size > MAX_EXTENDED_BYTES)
    throw damaged(`an extended header has more than ${MAX_EXTENDED_BYTES} bytes`);
  const what = "an extended header";
  const content = await take(queue, size, what);
  await take(queue, fillAfter(size), what);
  try {
    if (type !== ALL_ENTRIES) return type === LONG_NAME ? longNameOf(content) : paxOf(content);
    requireHarmless(content);
    return undefined;
  } catch (error) {
    if (error instanceof BadExtension) throw damaged(error.message);
    throw error;
  }
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
/** Of GNU: the content is the name of the next entry. */
const LONG_NAME = "L";
/** Of POSIX, for all entries that follow; that for the next one is `x`. */
const ALL_ENTRIES = "g";
/** Of GNU: the content is where the next entry leads. */
const LONG_TARGET = "K";
const EXTENSIONS = new Set(["x", ALL_ENTRIES, LONG_NAME, LONG_TARGET]);
const TYPES: Readonly<Record<string, string>> = {
  "1": "a hard link",
  "2": "a symbolic link",
  "3": "a device",
  "4": "a device",
  "6": "a pipe",
};

interface RawHeader {
  type: string;
  /** Undefined: it is empty, or not UTF-8 (a long one, cut off). */
  path: string | undefined;
  /** Undefined: it is no number. */
  size: number | undefined;
}

function parseHeader(block: Buffer, damaged: Complain): RawHeader {
  const sum = block.reduce((total, byte, index) => total + (index >= 148 && index < 156 ? 32 : byte), 0);
  if (octal(block.subarray(148, 156)) !== sum) throw damaged("a header has a wrong checksum");
  const magic = block.toString("latin1", 257, 263);
  // GNU's own variety keeps other things where POSIX has the first part of a long path
  const isGnu = magic === "ustar ";
  if (magic !== "ustar\0" && !isGnu) throw damaged("a header is not ustar");
  const prefix = isGnu ? "" : textOf(block.subarray(345, 500));
  const short = textOf(block.subarray(0, 100));
  const path = prefix === undefined || !short ? undefined : prefix === "" ? short : `${prefix}/${short}`;
  return { type: String.fromCharCode(block[156]!), path, size: sizeOf(block.subarray(124, 136)) };
}

function entryOf(
  header: RawHeader,
  extended: Extended,
  { enter, damaged }: { enter: Enter; damaged: Complain },
): Header {
  const { type } = header;
  const named = extended.path ?? header.path;
  if (named === undefined) throw damaged("a header has no path, or one that is not UTF-8");
  const isFolder = type === FOLDER_TYPE;
  const size = extended.size_bytes ?? header.size;
  if (size === undefined || (isFolder && size > 0)) throw damaged("a header has a size that cannot be");
  if (size <= MAX_OCTAL_SIZE && size !== header.size)
    throw damaged("a header and its extended header have two sizes");
  const path = enter(named, isFolder, size);
  if (!isFolder && !FILE_TYPES.has(type))
    throw new Damaged(path, `it is ${TYPES[type] ?? "an entry of an unknown kind"}; a set holds files only`);
  return { path, isFolder, size_bytes: size };
}

/** Up to the first NUL; undefined: it is not UTF-8. */
function textOf(field: Buffer): string | undefined {
  const end = field.indexOf(0);
  return utf8(end < 0 ? field : field.subarray(0, end));
}

function octal(field: Buffer): number | undefined {
  const text = field
    .toString("latin1")
    .replace(/[\0 ]+$/, "")
    .trimStart();
  return /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : undefined;
}

/** What fits into a header; what is larger may stand beside it. */
const MAX_OCTAL_SIZE = 0o77777777777;

/** Octal digits, or from 8 GiB on a number in base 256, marked by the first bit. */
function sizeOf(field: Buffer): number | undefined {
  if (field[0] !== 0x80) return octal(field);
  const size = field.subarray(1).reduce((total, byte) => total * 256 + byte, 0);
  return Number.isSafeInteger(size) ? size : undefined;
}

/** Up to the next block. */
function fillAfter(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}

function isEmpty(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0);
}
