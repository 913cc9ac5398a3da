/** PackStream, read from the bytes of an answer. */

/** A structure that is no plain value: a node, a date, … (Bolt protocol, "Structure Semantics"). */
export interface Structure {
  tag: number;
  fields: Unpacked[];
}

/** Integers within ±(2^53 - 1) are numbers, others BigInt; a float is a number in `Float`, so that 1.0 is not 1. */
export type Unpacked =
  | null
  | boolean
  | number
  | bigint
  | string
  | Float
  | Uint8Array
  | Unpacked[]
  | Map<string, Unpacked>
  | Structure;

export class Float {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }
}

/** An answer that is not as Bolt says. */
export class Malformed extends Error {}

const TWO_32 = 2 ** 32;
/** Deeper than anything that a database holds: a list in a map in a structure in a record. */
const MAX_DEPTH = 32;

/** A place in the bytes of one message. Its methods throw Malformed at its end and for what is not there. */
export class Cursor {
  bytes: Buffer = Buffer.alloc(0);
  at = 0;
  end = 0;

  set(bytes: Buffer, at: number, end: number): this {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
    return this;
  }

  byte(): number {
    if (this.at >= this.end) throw new Malformed("a message ends in the middle of a value");
    return this.bytes[this.at++]!;
  }

  /** Goes past `length` bytes and returns where they begin. */
  skip(length: number): number {
    const from = this.at;
    if (length > this.end - from) throw new Malformed("a message ends in the middle of a value");
    this.at = from + length;
    return from;
  }

  uint(width: 1 | 2 | 4): number {
    return this.bytes.readUIntBE(this.skip(width), width);
  }

  /** The number of fields of a structure with this tag. */
  structure(tag: number): number {
    const marker = this.byte();
    if ((marker & 0xf0) !== 0xb0 || this.byte() !== tag) {
      throw new Malformed(`a structure ${tag.toString(16)} is missing`);
    }
    return marker & 0x0f;
  }

  list(): number {
    return this.length(this.byte(), 0x90, 0xd4, "list");
  }

  map(): number {
    return this.length(this.byte(), 0xa0, 0xd8, "map");
  }

  /** Bytes of the text that follows. */
  text(): number {
    return this.length(this.byte(), 0x80, 0xd0, "text");
  }

  /** The length that a marker has, or that stands behind it. */
  length(marker: number, short: number, wide: number, what: string): number {
    if ((marker & 0xf0) === short) return marker & 0x0f;
    if (marker === wide) return this.byte();
    if (marker === wide + 1) return this.uint(2);
    if (marker === wide + 2) return this.uint(4);
    throw new Malformed(`a ${what} is missing, there is ${marker.toString(16)}`);
  }

  /** An integer that is a number exactly: ids, parts of dates. */
  int(): number {
    const value = this.integer(this.byte());
    if (typeof value === "bigint") throw new Malformed("an id is larger than 2^53");
    return value;
  }

  integer(marker: number): number | bigint {
    if (marker < 0x80) return marker;
    if (marker >= 0xf0) return marker - 0x100;
    if (marker === 0xc8) return (this.byte() << 24) >> 24;
    if (marker === 0xc9) return this.bytes.readInt16BE(this.skip(2));
    if (marker === 0xca) return this.bytes.readInt32BE(this.skip(4));
    if (marker !== 0xcb) throw new Malformed(`an integer is missing, there is ${marker.toString(16)}`);
    const from = this.skip(8);
    const value = this.bytes.readInt32BE(from) * TWO_32 + this.bytes.readUInt32BE(from + 4);
    return Number.isSafeInteger(value) ? value : this.bytes.readBigInt64BE(from);
  }

  float(): number {
    return this.bytes.readDoubleBE(this.skip(8));
  }
}

/** The value at the cursor, whatever it is. */
export function unpack(cursor: Cursor, depth = 0): Unpacked {
  if (depth > MAX_DEPTH) throw new Malformed("values are nested too deep");
  const marker = cursor.byte();
  if (marker === 0xc0) return null;
  if (marker === 0xc1) return new Float(cursor.float());
  if (marker === 0xc2 || marker === 0xc3) return marker === 0xc3;
  const high = marker & 0xf0;
  if (high === 0x80 || (marker >= 0xd0 && marker <= 0xd2)) {
    return textOf(cursor, cursor.length(marker, 0x80, 0xd0, "text"));
  }
  if (high === 0x90 || (marker >= 0xd4 && marker <= 0xd6)) {
    return itemsOf(cursor, cursor.length(marker, 0x90, 0xd4, "list"), depth);
  }
  if (high === 0xa0 || (marker >= 0xd8 && marker <= 0xda)) {
    return mapOf(cursor, cursor.length(marker, 0xa0, 0xd8, "map"), depth);
  }
  if (high === 0xb0) return { tag: cursor.byte(), fields: itemsOf(cursor, marker & 0x0f, depth) };
  if (marker >= 0xcc && marker <= 0xce) {
    const length = cursor.length(marker, 0x100, 0xcc, "byte array");
    const from = cursor.skip(length);
    return Uint8Array.prototype.slice.call(cursor.bytes, from, from + length);
  }
  return cursor.integer(marker);
}

function textOf(cursor: Cursor, length: number): string {
  const from = cursor.skip(length);
  return cursor.bytes.toString("utf8", from, from + length);
}

function itemsOf(cursor: Cursor, length: number, depth: number): Unpacked[] {
  const items: Unpacked[] = [];
  for (let i = 0; i < length; i++) items.push(unpack(cursor, depth + 1));
  return items;
}

function mapOf(cursor: Cursor, length: number, depth: number): Map<string, Unpacked> {
  const map = new Map<string, Unpacked>();
  for (let i = 0; i < length; i++) {
    const key = textOf(cursor, cursor.text());
    map.set(key, unpack(cursor, depth + 1));
  }
  return map;
}
