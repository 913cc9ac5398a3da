/** Walks over an RDB file as it comes, chunk by chunk: is it whole, is it what its checksum says, and what does it hold? */
import { OpsError } from "../../errors.ts";
import { RdbCounts } from "./rdb-counts.ts";
import { Crc64 } from "./rdb-crc64.ts";
import {
  CONTAINER,
  DATABASE,
  ENTRIES,
  MODULE_ITEM,
  MODULE_ITEMS,
  NEWEST_VERSION,
  NUMBER,
  OPCODE,
  STRING,
  type Step,
  TEXT_DOUBLE,
} from "./rdb-layout.ts";

const MAGIC = "REDIS";
const HEADER_BYTES = 9;
const CHECKSUM_BYTES = 8;
/** Files of older versions end without a checksum. */
const FIRST_VERSION_WITH_CHECKSUM = 5;
/** How a number of 14, 32 or 64 bits begins. */
const TWO_BITS = 0xc0;
const BITS_14 = 0x40;
const BITS_32 = 0x80;
const BITS_64 = 0x81;
/** How a string begins that is not plain: integers of 1, 2 and 4 bytes, LZF. */
const INTEGERS = 0xc0;
const LZF = 0xc3;

const NOTHING = new Uint8Array(0);

/** Steps under way; `left` times more after this one. */
interface Frame {
  steps: readonly Step[];
  index: number;
  left: number;
}

/**
 * Memory is that of a chunk and some counters, whatever the file claims: what is skipped is only counted, and what is repeated costs bytes of
 * the file. Strings are not looked into: that is what the checksum is for.
 */
export class RdbParser {
  readonly counts = new RdbCounts();
  /** Of the bytes before the checksum. */
  readonly crc = new Crc64();
  /** `absent`: its writer was told to leave it out, so that only the structure is proven. Undefined: the end has not been reached. */
  checksum: "right" | "absent" | undefined;
  readonly #what: string;
  #state: "header" | "entries" | "checksum" | "done" = "header";
  #version = 0;
  #bytes: Uint8Array = NOTHING;
  /** Next byte in `#bytes`, and the one up to which the sum goes. */
  #at = 0;
  #summed = 0;
  /** Of the file, before `#bytes`. */
  #before = 0;
  /** Bytes to pass over before the next step. */
  #skip = 0;
  #frame: Frame | undefined;
  readonly #outer: Frame[] = [];
  /** The number that was read last. */
  #number = 0;
  /** The key that comes next has an expiry. */
  #expires = false;

  #isFollowed = false;

  /** @param what names the file in errors */
  constructor(what: string) {
    this.#what = what;
  }

  /** The end was reached: nothing may follow. */
  get isDone(): boolean {
    return this.#state === "done";
  }

  /**
   * Takes the next bytes.
   * @returns how many of them belong to the file: less than all only when it ends in them
   * @throws OpsError `integrity`
   */
  push(chunk: Uint8Array): number {
    const rest = this.#bytes.subarray(this.#at);
    this.#before += this.#at;
    this.#bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    this.#at = 0;
    this.#summed = rest.length;
    while (this.#advance()) {
      // until it is done or needs more
    }
    if (this.#state === "header" || this.#state === "entries") this.#sum(this.#bytes.length);
    const taken = this.isDone ? this.#at - rest.length : chunk.length;
    this.#isFollowed ||= taken < chunk.length;
    // the chunk's memory may be used again
    this.#bytes = this.isDone ? NOTHING : this.#bytes.slice(this.#at);
    this.#before += this.#at;
    this.#at = 0;
    return taken;
  }

  /** These were all bytes. @throws OpsError `integrity`: the file is cut off, or goes on after its end */
  end(): void {
    if (!this.isDone) throw this.#damaged("it is cut off here", this.#bytes.length);
    if (this.#isFollowed) throw this.#damaged("it goes on after its end");
  }

  /** One step. False: it needs more bytes, or is done. */
  #advance(): boolean {
    if (this.#skip > 0) {
      const passed = Math.min(this.#skip, this.#bytes.length - this.#at);
      this.#at += passed;
      this.#skip -= passed;
      if (this.#skip > 0) return false;
    }
    switch (this.#state) {
      case "entries":
        return this.#frame === undefined ? this.#readEntry() : this.#readValue(this.#frame);
      case "header":
        return this.#readHeader();
      case "checksum":
        return this.#readChecksum();
      case "done":
        return false;
    }
  }

  #readHeader(): boolean {
    if (!this.#has(HEADER_BYTES)) return false;
    const text = Buffer.from(this.#bytes.subarray(this.#at, this.#at + HEADER_BYTES)).toString("latin1");
    const digits = /^REDIS(\d{4})$/.exec(text)?.[1];
    if (digits === undefined) throw this.#damaged(`it does not begin with ${MAGIC} and a version`);
    this.#version = Number(digits);
    if (this.#version < 1 || this.#version > NEWEST_VERSION) {
      throw new OpsError({
        code: "integrity",
        message: `${this.#what} says that it has RDB version ${this.#version}, and this opsctl knows those up to ${NEWEST_VERSION}`,
        hint: "if its server is newer than this opsctl, use a newer opsctl",
        engine: "redis",
      });
    }
    this.#at += HEADER_BYTES;
    this.#state = "entries";
    return true;
  }

  /** The byte that says what comes. */
  #readEntry(): boolean {
    if (!this.#has(1)) return false;
    const byte = this.#bytes[this.#at]!;
    if (byte === OPCODE.end) return this.#readEnd();
    const entry = ENTRIES[byte];
    if (entry === undefined) throw this.#damaged(`there is no entry of type ${byte}`);
    if (entry.type >= 0) {
      if (!this.counts.key(entry.type, this.#expires)) throw this.#damaged("it has too many databases");
      this.#expires = false;
    } else if (byte === OPCODE.expireMs || byte === OPCODE.expireSeconds) {
      this.#expires = true;
    } else if (byte === OPCODE.functions) {
      this.counts.functions += 1;
    }
    this.#at += 1;
    this.#frame = { steps: entry.steps, index: 0, left: 0 };
    return true;
  }

  #readEnd(): boolean {
    this.#at += 1;
    this.#sum(this.#at);
    if (this.#version >= FIRST_VERSION_WITH_CHECKSUM) {
      this.#state = "checksum";
      return true;
    }
    this.checksum = "absent";
    this.#state = "done";
    return false;
  }

  #readChecksum(): boolean {
    if (!this.#has(CHECKSUM_BYTES)) return false;
    const stored = this.#bytes.subarray(this.#at, this.#at + CHECKSUM_BYTES);
    const isAbsent = stored.every((byte) => byte === 0);
    if (!isAbsent && !this.crc.isAt(stored, 0)) {
      throw this.#damaged("the checksum here is not that of the bytes before it");
    }
    this.checksum = isAbsent ? "absent" : "right";
    this.#at += CHECKSUM_BYTES;
    this.#state = "done";
    return false;
  }

  #sum(end: number): void {
    this.crc.add(this.#bytes, this.#summed, end);
    this.#summed = end;
  }

  /** The next step over a value, whose frames end when their steps have. */
  #readValue(frame: Frame): boolean {
    const step = frame.steps[frame.index];
    if (step === undefined) {
      this.#leave(frame);
      return true;
    }
    if (typeof step === "object") {
      if (!this.#readNumber()) return false;
      frame.index += 1;
      if (this.#number > 0) this.#enter(step.each, this.#number - 1);
      return true;
    }
    if (step >= 0) this.#skip = step;
    else if (step === MODULE_ITEMS) return this.#readModuleItem(frame);
    else if (step === STRING ? !this.#readString() : !this.#readOther(step)) return false;
    frame.index += 1;
    return true;
  }

  #readOther(step: number): boolean {
    if (step === TEXT_DOUBLE) return this.#readTextDouble();
    const at = this.#at;
    if (!this.#readNumber()) return false;
    if (step === DATABASE) this.counts.select(this.#number);
    else if (step === CONTAINER && this.#number !== 1 && this.#number !== 2) {
      throw this.#damaged(`a node of a list is kept in the way ${this.#number}`, at - this.#at);
    } else if (step !== NUMBER && step !== CONTAINER) throw new Error(`no such step: ${step}`);
    return true;
  }

  /** The end mark leads to the next step; else this step comes again after the item. */
  #readModuleItem(frame: Frame): boolean {
    const at = this.#at;
    if (!this.#readNumber()) return false;
    if (this.#number === 0) {
      frame.index += 1;
      return true;
    }
    const item = MODULE_ITEM[this.#number];
    if (item === undefined)
      throw this.#damaged(`a module's item has the type ${this.#number}`, at - this.#at);
    this.#enter(item, 0);
    return true;
  }

  #enter(steps: readonly Step[], left: number): void {
    this.#outer.push(this.#frame!);
    this.#frame = { steps, index: 0, left };
  }

  #leave(frame: Frame): void {
    if (frame.left > 0) {
      frame.left -= 1;
      frame.index = 0;
    } else {
      this.#frame = this.#outer.pop();
    }
  }

  #has(count: number): boolean {
    return this.#bytes.length - this.#at >= count;
  }

  /** A number into `#number`: above 2^53 not exactly, which no length of a file that exists is. */
  #readNumber(): boolean {
    if (!this.#has(1)) return false;
    const size = this.#sizeOfNumber(this.#at);
    if (!this.#has(size)) return false;
    this.#number = this.#numberAt(this.#at, size);
    this.#at += size;
    return true;
  }

  #sizeOfNumber(at: number): number {
    const first = this.#bytes[at]!;
    if (first < BITS_14) return 1;
    if ((first & TWO_BITS) === BITS_14) return 2;
    if (first === BITS_32) return 5;
    if (first === BITS_64) return 9;
    throw this.#damaged(`no number begins with ${first}`, at - this.#at);
  }

  #numberAt(at: number, size: number): number {
    const bytes = this.#bytes;
    if (size === 1) return bytes[at]!;
    if (size === 2) return ((bytes[at]! & 0x3f) << 8) | bytes[at + 1]!;
    const view = new DataView(bytes.buffer, bytes.byteOffset + at + 1, size - 1);
    return size === 5 ? view.getUint32(0) : view.getUint32(0) * 2 ** 32 + view.getUint32(4);
  }

  #readString(): boolean {
    if (!this.#has(1)) return false;
    const first = this.#bytes[this.#at]!;
    if (first < INTEGERS) {
      if (!this.#readNumber()) return false;
      this.#skip = this.#number;
      return true;
    }
    if (first === LZF) return this.#readCompressed();
    if (first > LZF) throw this.#damaged(`no string begins with ${first}`);
    this.#at += 1;
    this.#skip = 1 << (first - INTEGERS);
    return true;
  }

  /** Length as compressed and as it was; both or none are passed. */
  #readCompressed(): boolean {
    const from = this.#at + 1;
    if (!this.#has(2)) return false;
    const size = this.#sizeOfNumber(from);
    if (!this.#has(1 + size + 1)) return false;
    const whole = 1 + size + this.#sizeOfNumber(from + size);
    if (!this.#has(whole)) return false;
    this.#skip = this.#numberAt(from, size);
    this.#at += whole;
    return true;
  }

  #readTextDouble(): boolean {
    if (!this.#has(1)) return false;
    const length = this.#bytes[this.#at]!;
    this.#at += 1;
    this.#skip = length < 253 ? length : 0;
    return true;
  }

  /** @param ahead the place, from the next byte */
  #damaged(why: string, ahead = 0): OpsError {
    const place = this.#before + this.#at + ahead;
    return new OpsError({
      code: "integrity",
      message: `${this.#what} is damaged at byte ${place}: ${why}`,
      engine: "redis",
    });
  }
}
