/**
 * CRC-64 as Redis writes it at the end of an RDB file and of a DUMP: the polynomial 0xad93d23594c935a9 of Jones, reflected, beginning with 0,
 * eight bytes at a time ("slicing by 8").
 */

/** 0xad93d23594c935a9 with its bits in reverse, low and high half. */
const POLYNOMIAL_LOW = 0xac4bc9b5 | 0;
const POLYNOMIAL_HIGH = 0x95ac9329 | 0;
const BYTES_AT_ONCE = 8;
const ROW = 256;

const LOW = new Int32Array(ROW * BYTES_AT_ONCE);
const HIGH = new Int32Array(ROW * BYTES_AT_ONCE);

/** Row n holds what a byte does to the sum when n more bytes follow it. */
function fillTables(): void {
  for (let byte = 0; byte < ROW; byte++) {
    let low = byte;
    let high = 0;
    for (let bit = 0; bit < 8; bit++) {
      const isOdd = (low & 1) === 1;
      low = (low >>> 1) | (high << 31);
      high = high >>> 1;
      if (isOdd) {
        low ^= POLYNOMIAL_LOW;
        high ^= POLYNOMIAL_HIGH;
      }
    }
    LOW[byte] = low;
    HIGH[byte] = high;
  }
  for (let at = ROW; at < LOW.length; at++) {
    const low = LOW[at - ROW]!;
    const high = HIGH[at - ROW]!;
    LOW[at] = ((low >>> 8) | (high << 24)) ^ LOW[low & 255]!;
    HIGH[at] = (high >>> 8) ^ HIGH[low & 255]!;
  }
}
fillTables();

/** A sum that grows with the bytes it is given. */
export class Crc64 {
  #low = 0;
  #high = 0;

  /** Adds `bytes[start, end)`. */
  add(bytes: Uint8Array, start: number, end: number): void {
    let low = this.#low;
    let high = this.#high;
    let at = start;
    for (; end - at >= BYTES_AT_ONCE; at += BYTES_AT_ONCE) {
      const a = low ^ (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24));
      const b =
        high ^ (bytes[at + 4]! | (bytes[at + 5]! << 8) | (bytes[at + 6]! << 16) | (bytes[at + 7]! << 24));
      const i7 = 1792 + (a & 255);
      const i6 = 1536 + ((a >>> 8) & 255);
      const i5 = 1280 + ((a >>> 16) & 255);
      const i4 = 1024 + (a >>> 24);
      const i3 = 768 + (b & 255);
      const i2 = 512 + ((b >>> 8) & 255);
      const i1 = 256 + ((b >>> 16) & 255);
      const i0 = b >>> 24;
      low = LOW[i7]! ^ LOW[i6]! ^ LOW[i5]! ^ LOW[i4]! ^ LOW[i3]! ^ LOW[i2]! ^ LOW[i1]! ^ LOW[i0]!;
      high = HIGH[i7]! ^ HIGH[i6]! ^ HIGH[i5]! ^ HIGH[i4]! ^ HIGH[i3]! ^ HIGH[i2]! ^ HIGH[i1]! ^ HIGH[i0]!;
    }
    for (; at < end; at++) {
      const index = (low ^ bytes[at]!) & 255;
      low = ((low >>> 8) | (high << 24)) ^ LOW[index]!;
      high = (high >>> 8) ^ HIGH[index]!;
    }
    this.#low = low;
    this.#high = high;
  }

  /** As it is written: 8 bytes, the lowest first. */
  bytes(): Uint8Array {
    const bytes = new Uint8Array(8);
    const view = new DataView(bytes.buffer);
    view.setInt32(0, this.#low, true);
    view.setInt32(4, this.#high, true);
    return bytes;
  }

  /** Whether the 8 bytes at `at` hold this sum. */
  isAt(bytes: Uint8Array, at: number): boolean {
    return this.bytes().every((byte, index) => bytes[at + index] === byte);
  }
}
