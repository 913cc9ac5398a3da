/** Makes an RDB file out of what DUMP and FUNCTION DUMP give: it is parsed on its way, so that it is what a server would have written. */
import type { FileWriter } from "../../backup/port.ts";
import { OpsError } from "../../errors.ts";
import { Crc64 } from "./rdb-crc64.ts";
import { OPCODE } from "./rdb-layout.ts";
import { RdbParser } from "./rdb-parser.ts";

const AUX = 250;
const SELECT_DATABASE = 254;
/** A payload ends with the version of the format and a checksum. */
const VERSION_BYTES = 2;
const FOOTER_BYTES = VERSION_BYTES + 8;
/** Of Redis 5 to 6.2: for a server that has neither keys nor functions, whose version is of no account. */
const ANY_VERSION = 9;
/** Pieces are handed on in blocks of at least this size, bytes. */
const BLOCK_BYTES = 256 << 10;

/** What DUMP gave for a key. */
export interface DumpedKey {
  key: Buffer;
  payload: Buffer;
  /** When it expires, ms since 1970; negative: never. */
  expiresAt: number;
}

export class RdbWriter {
  readonly #file: FileWriter;
  readonly #at: string;
  readonly #aux: readonly [string, string][];
  readonly #parser: RdbParser;
  #version: number | undefined;
  #database: number | undefined;
  #pieces: Uint8Array[] = [];
  #bytes = 0;

  /**
   * @param at `host:port`, for messages
   * @param aux names and values at the beginning, for people
   */
  constructor(file: FileWriter, at: string, aux: readonly [string, string][]) {
    this.#file = file;
    this.#at = at;
    this.#aux = aux;
    this.#parser = new RdbParser(`what Redis at ${at} dumps`);
  }

  get counts() {
    return this.#parser.counts;
  }

  /** The libraries that FUNCTION DUMP gave: in the file as in the payload. @throws OpsError `integrity`, as below */
  async functions(payload: Buffer): Promise<void> {
    await this.#add(this.#body(payload));
  }

  /** @throws OpsError `integrity`: the payload is damaged, or of another version of the format than those before */
  async key(database: number, { key, payload, expiresAt }: DumpedKey): Promise<void> {
    const body = this.#body(payload);
    if (this.#database !== database) {
      this.#database = database;
      await this.#add(Uint8Array.of(SELECT_DATABASE), encodedNumber(database));
    }
    if (expiresAt >= 0) await this.#add(expiry(expiresAt));
    // the type's byte is before the key, the value after it
    await this.#add(body.subarray(0, 1), encodedNumber(key.length), key, body.subarray(1));
  }

  /** Ends the file. */
  async end(): Promise<void> {
    if (this.#version === undefined) this.#begin(ANY_VERSION);
    await this.#add(Uint8Array.of(OPCODE.end));
    await this.#flush();
    await this.#add(this.#parser.crc.bytes());
    await this.#flush();
    this.#parser.end();
    await this.#file.end();
  }

  /** The payload without its footer. */
  #body(payload: Buffer): Buffer {
    const end = payload.length - FOOTER_BYTES;
    const crc = new Crc64();
    if (end >= 0) crc.add(payload, 0, end + VERSION_BYTES);
    if (end < 0 || !crc.isAt(payload, end + VERSION_BYTES)) {
      throw this.#damaged("a dump that does not have the checksum that it names");
    }
    const version = payload.readUInt16LE(end);
    if (this.#version === undefined) this.#begin(version);
    if (this.#version !== version) throw this.#damaged("dumps of several versions of its format");
    return payload.subarray(0, end);
  }

  #begin(version: number): void {
    this.#version = version;
    this.#put(Buffer.from(`REDIS${String(version).padStart(4, "0")}`));
    for (const pair of this.#aux) {
      this.#put(Uint8Array.of(AUX));
      for (const text of pair) {
        const bytes = Buffer.from(text);
        this.#put(encodedNumber(bytes.length));
        this.#put(bytes);
      }
    }
  }

  async #add(...pieces: Uint8Array[]): Promise<void> {
    for (const piece of pieces) {
      // a large value is not copied once more
      if (piece.length >= BLOCK_BYTES) await this.#flush();
      this.#put(piece);
      if (this.#bytes >= BLOCK_BYTES) await this.#flush();
    }
  }

  #put(piece: Uint8Array): void {
    this.#pieces.push(piece);
    this.#bytes += piece.length;
  }

  async #flush(): Promise<void> {
    const block = this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces);
    this.#pieces = [];
    this.#bytes = 0;
    for (let at = 0; at < block.length; at += BLOCK_BYTES) {
      const part = block.subarray(at, at + BLOCK_BYTES);
      this.#parser.push(part);
      await this.#file.write(part);
    }
  }

  #damaged(what: string): OpsError {
    return new OpsError({
      code: "integrity",
      message: `Redis at ${this.#at} gave ${what}`,
      hint: "run it again; if it stays so, the server's memory or the way to it is damaged",
      engine: "redis",
    });
  }
}

function expiry(at: number): Buffer {
  const bytes = Buffer.alloc(9);
  bytes[0] = OPCODE.expireMs;
  bytes.writeBigInt64LE(BigInt(at), 1);
  return bytes;
}

/** In 1, 2 or 5 bytes. */
function encodedNumber(value: number): Uint8Array {
  if (value < 64) return Uint8Array.of(value);
  if (value < 16_384) return Uint8Array.of(0x40 | (value >> 8), value & 255);
  const bytes = Buffer.alloc(5);
  bytes[0] = 0x80;
  bytes.writeUInt32BE(value, 1);
  return bytes;
}
