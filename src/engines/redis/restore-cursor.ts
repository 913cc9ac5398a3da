/** A place in the bytes of an RDB file that was parsed before: what is wrong in it was found then. */
import { OpsError } from "../../errors.ts";
import { MODULE_ITEM, MODULE_ITEMS, STRING, type Step, TEXT_DOUBLE } from "./rdb-layout.ts";

/** Thrown where the bytes end too early: whoever reads comes again with more. */
export const MORE = Symbol("more bytes are needed");

/** How a string begins that is not plain: integers of 1, 2 and 4 bytes, LZF. */
const INTEGERS = 0xc0;
const LZF = 0xc3;

export class RdbCursor {
  at = 0;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  byte(): number {
    if (this.at >= this.#bytes.length) throw MORE;
    return this.#bytes[this.at++]!;
  }

  /** The next bytes, not copied. */
  take(count: number): Buffer {
    this.#pass(count);
    return this.from(this.at - count);
  }

  /** The bytes between an earlier place and this one, not copied. */
  from(start: number): Buffer {
    return this.#bytes.subarray(start, this.at);
  }

  uint32(): number {
    return this.take(4).readUInt32LE();
  }

  /** Signed, 8 bytes: exact up to the year 287396. */
  milliseconds(): number {
    return Number(this.take(8).readBigInt64LE());
  }

  /** Above 2^53 not exactly. */
  number(): number {
    const first = this.byte();
    if (first < 0x40) return first;
    if (first < 0x80) return ((first & 0x3f) << 8) | this.byte();
    if (first === 0x80) return this.take(4).readUInt32BE();
    const long = this.take(8);
    return long.readUInt32BE() * 2 ** 32 + long.readUInt32BE(4);
  }

  /** A text as it was before it was packed. */
  string(): Buffer {
    const first = this.#peek();
    if (first < INTEGERS) return this.take(this.number());
    this.at += 1;
    if (first === LZF) {
      const packed = this.number();
      const size = this.number();
      return unpacked(this.take(packed), size);
    }
    const size = 1 << (first - INTEGERS);
    return Buffer.from(String(this.take(size).readIntLE(0, size)));
  }

  /** Passes over a value. @param index of the first step */
  skip(steps: readonly Step[], index = 0): void {
    for (let step = index; step < steps.length; step++) this.#step(steps[step]!);
  }

  #step(step: Step): void {
    if (typeof step === "object") {
      for (let left = this.number(); left > 0; left--) this.skip(step.each);
    } else if (step >= 0) this.#pass(step);
    else if (step === STRING) this.#passString();
    else if (step === TEXT_DOUBLE) {
      const length = this.byte();
      if (length < 253) this.#pass(length);
    } else if (step === MODULE_ITEMS) {
      for (let item = this.number(); item !== 0; item = this.number()) this.skip(MODULE_ITEM[item] ?? []);
    } else this.number();
  }

  #passString(): void {
    const first = this.#peek();
    if (first < INTEGERS) {
      this.#pass(this.number());
      return;
    }
    this.at += 1;
    let size = 1 << (first - INTEGERS);
    if (first === LZF) {
      size = this.number();
      this.number();
    }
    this.#pass(size);
  }

  #peek(): number {
    if (this.at >= this.#bytes.length) throw MORE;
    return this.#bytes[this.at]!;
  }

  #pass(count: number): void {
    if (this.at + count > this.#bytes.length) throw MORE;
    this.at += count;
  }
}

/**
 * LZF as liblzf writes it: runs of up to 32 plain bytes, and references of a length to at most 8 KiB back.
 * @throws OpsError `integrity`: it does not give the size that it claims
 */
export function unpacked(packed: Buffer, size: number): Buffer {
  // no three bytes of LZF stand for more than 264
  if (size > packed.length * 264) throw wrongSize();
  const out = Buffer.alloc(size);
  let at = 0;
  let to = 0;
  while (at < packed.length) {
    const control = packed[at++]!;
    if (control < 32) {
      packed.copy(out, to, at, at + control + 1);
      at += control + 1;
      to += control + 1;
      continue;
    }
    let length = control >> 5;
    if (length === 7) length += packed[at++] ?? 0;
    let from = to - ((control & 0x1f) << 8) - (packed[at++] ?? 0) - 1;
    if (from < 0 || to + length + 2 > size) throw wrongSize();
    for (let left = length + 2; left > 0; left--) out[to++] = out[from++]!;
  }
  if (to !== size) throw wrongSize();
  return out;
}

function wrongSize(): OpsError {
  return new OpsError({
    code: "integrity",
    message: "the RDB file is damaged: a packed text does not have the size that it claims",
    engine: "redis",
  });
}
