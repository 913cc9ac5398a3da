/** PackStream, the encoding of Bolt's messages (Bolt protocol, "PackStream"): what a request is made of. */

/** What a request may hold. Whole numbers go as integers, all other numbers as floats. */
export type Packable = null | boolean | number | bigint | string | readonly Packable[] | PackableMap;
export interface PackableMap {
  readonly [key: string]: Packable;
}

const SHORT = 0x10;
const MAX_UINT16 = 0xffff;

/** A value that is packed already: pieces that follow one another. */
export class Packed {
  readonly pieces: readonly Buffer[];

  constructor(pieces: readonly Buffer[]) {
    this.pieces = pieces;
  }
}

/** A message as it is sent: in chunks of at most 65,535 bytes behind their length, and an empty one at its end. */
export function packMessage(tag: number, fields: readonly Packable[]): Buffer {
  return Buffer.concat(framed([structureHead(tag, fields.length), ...packed(fields)]));
}

/** The same with fields that may be packed already, which are not copied: they must stay as they are until the message is sent. */
export function packPieces(tag: number, fields: readonly (Packable | Packed)[]): Buffer[] {
  const pieces = fields.flatMap((field) => (field instanceof Packed ? field.pieces : packed([field])));
  return framed([structureHead(tag, fields.length), ...pieces]);
}

function structureHead(tag: number, fields: number): Buffer {
  return Buffer.from([0xb0 + fields, tag]);
}

/** @returns one piece */
function packed(fields: readonly Packable[]): Buffer[] {
  const parts: Buffer[] = [];
  for (const field of fields) pack(field, parts);
  return [Buffer.concat(parts)];
}

/** Pieces may be cut anywhere, but a message has no empty chunk before its end. */
function framed(pieces: readonly Buffer[]): Buffer[] {
  const chunks: Buffer[] = [];
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; at += MAX_UINT16) {
      const chunk = piece.subarray(at, at + MAX_UINT16);
      chunks.push(uint16(chunk.length), chunk);
    }
  }
  chunks.push(uint16(0));
  return chunks;
}

function pack(value: Packable, parts: Buffer[]): void {
  if (value === null) parts.push(Buffer.from([0xc0]));
  else if (typeof value === "boolean") parts.push(Buffer.from([value ? 0xc3 : 0xc2]));
  else if (typeof value === "bigint" || Number.isSafeInteger(value))
    parts.push(integer(BigInt(value as number)));
  else if (typeof value === "number") parts.push(float(value));
  else if (typeof value === "string") packText(value, parts);
  else if (Array.isArray(value)) {
    parts.push(sized(value.length, 0x90, 0xd4));
    for (const item of value as readonly Packable[]) pack(item, parts);
  } else {
    const entries = Object.entries(value as PackableMap);
    parts.push(sized(entries.length, 0xa0, 0xd8));
    for (const [key, item] of entries) {
      packText(key, parts);
      pack(item, parts);
    }
  }
}

function packText(text: string, parts: Buffer[]): void {
  const bytes = Buffer.from(text, "utf8");
  parts.push(sized(bytes.length, 0x80, 0xd0), bytes);
}

/** A length below 16 is part of the marker; else one, two or four bytes behind the markers `wide`, `wide + 1`, `wide + 2`. */
function sized(length: number, short: number, wide: number): Buffer {
  if (length < SHORT) return Buffer.from([short + length]);
  if (length <= 0xff) return Buffer.from([wide, length]);
  if (length <= MAX_UINT16) return Buffer.concat([Buffer.from([wide + 1]), uint16(length)]);
  const bytes = Buffer.from([wide + 2, 0, 0, 0, 0]);
  bytes.writeUInt32BE(length, 1);
  return bytes;
}

function integer(value: bigint): Buffer {
  if (value >= -16n && value <= 127n) return Buffer.from([Number(value) & 0xff]);
  const bytes = Buffer.alloc(9, 0xcb);
  bytes.writeBigInt64BE(value, 1);
  return bytes;
}

function float(value: number): Buffer {
  const bytes = Buffer.alloc(9, 0xc1);
  bytes.writeDoubleBE(value, 1);
  return bytes;
}

function uint16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}
