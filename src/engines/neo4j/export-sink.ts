/** Bytes handed on in pieces; long enough that writing and compressing them costs little, short enough to stay out of the way. */
const PIECE_BYTES = 256 << 10;
const ZERO = 0x30;
const QUOTE = 0x22;
const HEX = "0123456789abcdef";

/** For each byte: 0 when a JSON string holds it as it is, 1 when as \u00XX, else what follows the backslash. */
const ESCAPES = new Uint8Array(256);
ESCAPES.fill(1, 0, 0x20);
for (const [char, short] of ['""', "\\\\", "\bb", "\ff", "\nn", "\rr", "\tt"].map((pair) => [...pair])) {
  ESCAPES[char!.charCodeAt(0)] = short!.charCodeAt(0);
}
/** Texts are looked at in slices, so that a piece always has room for one of them in its longest form. */
const SLICE_BYTES = 8 << 10;
/** A multiple of three: base64 of the slices joins to base64 of the whole. */
const BASE64_SLICE_BYTES = 12 << 10;

/** JSON text, written as bytes. What is full is taken by `takeFull`. */
export class JsonSink {
  #piece = Buffer.allocUnsafeSlow(PIECE_BYTES);
  #at = 0;
  #full: Buffer[] = [];

  get hasFull(): boolean {
    return this.#full.length > 0;
  }

  /** The pieces that are full; the caller owns them now. */
  takeFull(): Buffer[] {
    const full = this.#full;
    this.#full = [];
    return full;
  }

  /** What is left at the end. */
  takeRest(): Buffer[] {
    this.#turn();
    return this.takeFull();
  }

  byte(value: number): void {
    if (this.#at === PIECE_BYTES) this.#turn();
    this.#piece[this.#at++] = value;
  }

  /** ASCII that is part of the format, or other JSON that was encoded before. */
  raw(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += SLICE_BYTES)
      this.#copy(bytes, at, Math.min(bytes.length, at + SLICE_BYTES));
  }

  #copy(bytes: Uint8Array, from: number, end: number): void {
    const length = end - from;
    if (this.#at + length > PIECE_BYTES) this.#turn();
    const piece = this.#piece;
    let at = this.#at;
    for (let i = from; i < end; i++) piece[at++] = bytes[i]!;
    this.#at = at;
  }

  integer(value: number): void {
    if (value < 0 || value > 0x7fffffff) {
      this.#number(String(value));
      return;
    }
    if (this.#at + 10 > PIECE_BYTES) this.#turn();
    const piece = this.#piece;
    let digits = 1;
    for (let rest = value; rest > 9; rest = (rest / 10) | 0) digits++;
    let rest = value;
    for (let at = this.#at + digits - 1; at >= this.#at; at--) {
      const tenth = (rest / 10) | 0;
      piece[at] = ZERO + rest - tenth * 10;
      rest = tenth;
    }
    this.#at += digits;
  }

  /** A finite float, with a fraction or an exponent, so that it is no integer. */
  float(value: number): void {
    const text = Object.is(value, -0) ? "-0" : String(value);
    this.#number(text);
    if (Number.isInteger(value) && !text.includes("e")) this.#number(".0");
  }

  /** A JSON string of UTF-8 bytes. */
  text(bytes: Buffer, from: number, end: number): void {
    this.byte(QUOTE);
    for (let at = from; at < end; at += SLICE_BYTES)
      this.#escaped(bytes, at, Math.min(end, at + SLICE_BYTES));
    this.byte(QUOTE);
  }

  /** A JSON string of base64. */
  base64(bytes: Buffer, from: number, end: number): void {
    this.byte(QUOTE);
    for (let at = from; at < end; at += BASE64_SLICE_BYTES) {
      this.#number(bytes.toString("base64", at, Math.min(end, at + BASE64_SLICE_BYTES)));
    }
    this.byte(QUOTE);
  }

  /** ASCII. */
  #number(text: string): void {
    if (this.#at + text.length > PIECE_BYTES) this.#turn();
    this.#at += this.#piece.write(text, this.#at, "latin1");
  }

  #escaped(bytes: Buffer, from: number, end: number): void {
    if (this.#at + 6 * (end - from) > PIECE_BYTES) this.#turn();
    const piece = this.#piece;
    let at = this.#at;
    for (let i = from; i < end; i++) {
      const byte = bytes[i]!;
      const short = ESCAPES[byte]!;
      if (short === 0) {
        piece[at++] = byte;
      } else if (short === 1) {
        at += piece.write(`\\u00${HEX[byte >> 4]}${HEX[byte & 15]}`, at, "latin1");
      } else {
        piece[at++] = 0x5c;
        piece[at++] = short;
      }
    }
    this.#at = at;
  }

  #turn(): void {
    if (this.#at === 0) return;
    this.#full.push(this.#piece.subarray(0, this.#at));
    this.#piece = Buffer.allocUnsafeSlow(PIECE_BYTES);
    this.#at = 0;
  }
}
