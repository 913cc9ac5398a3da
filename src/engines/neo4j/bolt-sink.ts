/** PackStream written value by value into bytes that are used again: what a long list of parameters is made of. */

/** A byte sequence that grows. Lengths that are not known yet are written with `reserve` and filled in with `patch`. */
export class PackSink {
  bytes: Buffer;
  at = 0;

  constructor(bytes: number) {
    this.bytes = Buffer.allocUnsafeSlow(bytes);
  }

  get filled(): Buffer {
    return this.bytes.subarray(0, this.at);
  }

  clear(): void {
    this.at = 0;
  }

  byte(value: number): void {
    this.#room(1);
    this.bytes[this.at++] = value;
  }

  boolean(value: boolean): void {
    this.byte(value ? 0xc3 : 0xc2);
  }

  /** A safe integer, in the shortest form. */
  integer(value: number): void {
    this.#room(9);
    const { bytes, at } = this;
    if (value >= -16 && value <= 127) {
      bytes[at] = value & 0xff;
      this.at += 1;
    } else if (value >= -0x80000000 && value <= 0x7fffffff) {
      bytes[at] = 0xca;
      this.at = bytes.writeInt32BE(value, at + 1);
    } else {
      this.bigint(BigInt(value));
    }
  }

  /** @throws RangeError beyond 64 bits */
  bigint(value: bigint): void {
    this.#room(9);
    this.bytes[this.at] = 0xcb;
    this.at = this.bytes.writeBigInt64BE(value, this.at + 1);
  }

  float(value: number): void {
    this.#room(9);
    this.bytes[this.at] = 0xc1;
    this.at = this.bytes.writeDoubleBE(value, this.at + 1);
  }

  /** UTF-8 that lies in other bytes. */
  text(from: Buffer, start: number, end: number): void {
    const length = end - start;
    this.#sized(length, 0x80, 0xd0);
    this.raw(from, start, end);
  }

  byteArray(content: Buffer): void {
    this.#sized(content.length, 0x100, 0xcc);
    this.raw(content, 0, content.length);
  }

  /** Bytes as they are. */
  raw(from: Buffer, start: number, end: number): void {
    const length = end - start;
    this.#room(length);
    const { bytes } = this;
    let at = this.at;
    if (length > 48) from.copy(bytes, at, start, end);
    else for (let i = start; i < end; i++) bytes[at++] = from[i]!;
    this.at += length;
  }

  /** A marker and a length of four bytes, for `patch`. @returns where it lies */
  reserve(marker: number): number {
    this.#room(5);
    const { at } = this;
    this.bytes[at] = marker;
    this.at += 5;
    return at;
  }

  patch(reserved: number, length: number): void {
    this.bytes.writeUInt32BE(length, reserved + 1);
  }

  /** A length below 16 is part of the marker `short`, if there is one. */
  #sized(length: number, short: number, wide: number): void {
    if (length < 0x10 && short < 0x100) this.byte(short + length);
    else if (length <= 0xff) {
      this.byte(wide);
      this.byte(length);
    } else this.patch(this.reserve(wide + 2), length);
  }

  #room(length: number): void {
    const needed = this.at + length;
    if (needed <= this.bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.bytes.length));
    this.bytes.copy(larger, 0, 0, this.at);
    this.bytes = larger;
  }
}

/** Markers of a list and of a map behind which four bytes of length stand. */
export const LIST_32 = 0xd6;
export const MAP_32 = 0xda;
