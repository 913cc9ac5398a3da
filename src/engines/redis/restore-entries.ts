/** The keys and functions of an RDB file one after another, each with the bytes of its value as a server takes them. */
import { open } from "node:fs/promises";
import { type Call, throwIfAborted } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import { DATABASE, ENTRIES, OPCODE } from "./rdb-layout.ts";
import { MORE, RdbCursor } from "./restore-cursor.ts";

/** What is read at once, bytes. One value may be larger. */
const WINDOW = 64 << 10;
const HEADER_BYTES = 9;
/** Longest text of a command that servers take (proto-max-bulk-len). */
const MAX_VALUE_BYTES = 512 << 20;
const IDLE = 248;
const FREQUENCY = 249;
const AUX = 250;

export interface RdbKey {
  database: number;
  key: Buffer;
  /** The byte that says how the value is written. */
  type: number;
  value: Buffer;
  /** ms since 1970; null: never. */
  expiresAt: number | null;
  /** For how long nobody had used it, s; null: not known. */
  idle: number | null;
  /** How often it was used, as LFU counts; null: not known. */
  frequency: number | null;
}

/** What is between the beginning and the end of a file. */
export interface RdbPiece {
  /** Version of the format. */
  version: number;
  keys: RdbKey[];
  /** The source of a library of functions. */
  libraries: Buffer[];
  /** Highest number of a database so far, with or without keys; -1: none. */
  highest: number;
  /** Offset behind it. */
  done: number;
}

/**
 * Reads a file that a parser has found whole.
 * @throws OpsError `failed` for a value above 512 MiB, which no command can carry; `integrity` for what is no RDB file
 */
export async function* readEntries(call: Call, path: string): AsyncGenerator<RdbPiece> {
  const file = await open(path, "r");
  try {
    const reader = new EntryReader();
    let rest: Buffer = Buffer.alloc(0);
    let offset = 0;
    while (!reader.isDone) {
      throwIfAborted(call);
      // a value that is larger than a window is looked at again when twice as much is there
      const window = Buffer.allocUnsafeSlow(rest.length + Math.max(WINDOW, rest.length));
      rest.copy(window);
      const { bytesRead } = await file.read(window, rest.length, window.length - rest.length, offset);
      if (bytesRead === 0) throw cutOff();
      offset += bytesRead;
      const bytes = window.subarray(0, rest.length + bytesRead);
      const { piece, used } = reader.read(bytes);
      rest = bytes.subarray(used);
      yield { ...piece, done: offset - rest.length };
      if (rest.length > MAX_VALUE_BYTES) throw tooLarge();
    }
  } finally {
    await file.close();
  }
}

class EntryReader {
  isDone = false;
  #version = 0;
  #database = 0;
  #highest = -1;
  #expiresAt: number | null = null;
  #idle: number | null = null;
  #frequency: number | null = null;

  /** All whole entries of these bytes. */
  read(bytes: Buffer): { piece: Omit<RdbPiece, "done">; used: number } {
    const cursor = new RdbCursor(bytes);
    const piece = { version: this.#version, keys: [] as RdbKey[], libraries: [] as Buffer[], highest: -1 };
    let used = 0;
    try {
      if (this.#version === 0) this.#version = headerVersion(cursor);
      used = cursor.at;
      while (!this.isDone) {
        this.#entry(cursor, piece);
        used = cursor.at;
      }
    } catch (error) {
      if (error !== MORE) throw error;
    }
    return { piece: { ...piece, version: this.#version, highest: this.#highest }, used };
  }

  #entry(cursor: RdbCursor, piece: { keys: RdbKey[]; libraries: Buffer[] }): void {
    const byte = cursor.byte();
    if (byte === OPCODE.end) this.isDone = true;
    else if (byte === OPCODE.functions) piece.libraries.push(cursor.string());
    else if (byte === OPCODE.expireMs) this.#expiresAt = cursor.milliseconds();
    else if (byte === OPCODE.expireSeconds) this.#expiresAt = cursor.uint32() * 1_000;
    else if (byte === IDLE) this.#idle = cursor.number();
    else if (byte === FREQUENCY) this.#frequency = cursor.byte();
    else if (ENTRIES[byte]?.steps[0] === DATABASE) {
      this.#database = cursor.number();
      this.#highest = Math.max(this.#highest, this.#database);
    } else this.#other(byte, cursor, piece.keys);
  }

  #other(byte: number, cursor: RdbCursor, keys: RdbKey[]): void {
    const entry = ENTRIES[byte];
    if (entry === undefined) throw damaged(`it has no entry of type ${byte}`);
    if (entry.type < 0) {
      cursor.skip(entry.steps);
      return;
    }
    const key = cursor.string();
    const from = cursor.at;
    // the first step is the key
    cursor.skip(entry.steps, 1);
    keys.push({
      database: this.#database,
      key,
      type: byte,
      value: cursor.from(from),
      expiresAt: this.#expiresAt,
      idle: this.#idle,
      frequency: this.#frequency,
    });
    this.#expiresAt = null;
    this.#idle = null;
    this.#frequency = null;
  }
}

/** What a file says of itself before its first key. */
export interface RdbHead {
  version: number;
  /** `redis-ver`, `used-mem`, … */
  facts: Readonly<Record<string, string>>;
}

/** Reads the beginning of a file. @throws OpsError `integrity` for what is no RDB file */
export async function readHead(path: string): Promise<RdbHead> {
  const file = await open(path, "r");
  const bytes = Buffer.alloc(64 << 10);
  const { bytesRead } = await file.read(bytes, 0, bytes.length, 0).finally(() => file.close());
  const cursor = new RdbCursor(bytes.subarray(0, bytesRead));
  const facts: Record<string, string> = {};
  let version = 0;
  try {
    version = headerVersion(cursor);
    while (cursor.byte() === AUX) {
      const name = cursor.string().toString("latin1");
      facts[name] = cursor.string().toString("latin1");
    }
  } catch (error) {
    if (error !== MORE) throw error;
    if (version === 0) throw cutOff();
  }
  return { version, facts };
}

function headerVersion(cursor: RdbCursor): number {
  const digits = /^REDIS(\d{4})$/.exec(cursor.take(HEADER_BYTES).toString("latin1"))?.[1];
  if (digits === undefined) throw damaged("it does not begin as an RDB file");
  return Number(digits);
}

function tooLarge(): OpsError {
  return new OpsError({
    code: "failed",
    message: "redis: a value of the file has more than 512 MiB, and no command can carry it",
    hint: "restore it as a replica: opsctl restore --redis-method replica",
    engine: "redis",
  });
}

function cutOff(): OpsError {
  return damaged("it is cut off");
}

function damaged(why: string): OpsError {
  return new OpsError({ code: "integrity", message: `the RDB file is damaged: ${why}`, engine: "redis" });
}
