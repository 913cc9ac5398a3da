/**
 * What lies in an RDB file, as a table: for each opcode and each type of value the steps that lead over it. Versions 1 to 12 of the format
 * (up to Redis 8.0 and Valkey 8), after rdb.c and rdb.h of Redis.
 */

/** Highest version of the format that the table knows. */
export const NEWEST_VERSION = 12;

/** One step over a value: so many bytes (0 and above), one of the codes below, or a repetition. */
export type Step = number | Repeat;

/** A number, and so many times these steps. */
export interface Repeat {
  readonly each: readonly Step[];
}

/** A string: plain, an integer in 1, 2 or 4 bytes, or compressed with LZF. */
export const STRING = -1;
/** A number in 1, 2, 5 or 9 bytes. */
export const NUMBER = -2;
/** A floating point number as text, after a byte with its length (253 and above: NaN and infinities). */
export const TEXT_DOUBLE = -3;
/** A number: how a node of a list is kept, 1 plain or 2 packed. */
export const CONTAINER = -4;
/** What a module wrote: numbered items up to an end mark. */
export const MODULE_ITEMS = -5;
/** A number: the database of the keys that follow. */
export const DATABASE = -6;

/** The items of a module by their number; 0 is the end mark. */
export const MODULE_ITEM: Readonly<Record<number, readonly Step[]>> = {
  1: [NUMBER],
  2: [NUMBER],
  3: [4],
  4: [8],
  5: [STRING],
};

export const OPCODE = { functions: 245, expireMs: 252, expireSeconds: 253, end: 255 } as const;

const OPCODES: Readonly<Record<number, readonly Step[]>> = {
  // slot: its number, its keys, its expiring keys
  244: [NUMBER, NUMBER, NUMBER],
  [OPCODE.functions]: [STRING],
  // of a module beside its keys: which, and when it is to be loaded
  247: [NUMBER, NUMBER, NUMBER, MODULE_ITEMS],
  // of the key that follows: idle time, frequency
  248: [NUMBER],
  249: [1],
  // a name and a value
  250: [STRING, STRING],
  // sizes of the database that follows
  251: [NUMBER, NUMBER],
  [OPCODE.expireMs]: [8],
  [OPCODE.expireSeconds]: [4],
  254: [DATABASE],
};

const NODES = { each: [STRING] };
const PAIRS = { each: [STRING, STRING] };

/** Milliseconds and sequence. */
const STREAM_ID = [NUMBER, NUMBER];
/** As they are in a pending list: without encoding. */
const RAW_STREAM_ID = 16;
const TIME = 8;

/** Of version 1, 2 or 3 of a stream: what each added. */
function stream(version: 1 | 2 | 3): readonly Step[] {
  const length = NUMBER;
  const firstAndDeleted = version > 1 ? [...STREAM_ID, ...STREAM_ID, NUMBER] : [];
  const groupRead = version > 1 ? [NUMBER] : [];
  const lastActive = version > 2 ? [TIME] : [];
  const pending = { each: [RAW_STREAM_ID, TIME, NUMBER] };
  const consumer = { each: [STRING, TIME, ...lastActive, { each: [RAW_STREAM_ID] }] };
  const group = { each: [STRING, ...STREAM_ID, ...groupRead, pending, consumer] };
  return [PAIRS, length, ...STREAM_ID, ...firstAndDeleted, group];
}

/** The types that keys are counted by. */
export const TYPES = ["string", "list", "set", "zset", "hash", "stream", "module"] as const;

const VALUES: Readonly<Record<number, readonly [(typeof TYPES)[number], readonly Step[]]>> = {
  0: ["string", [STRING]],
  1: ["list", [NODES]],
  2: ["set", [NODES]],
  3: ["zset", [{ each: [STRING, TEXT_DOUBLE] }]],
  4: ["hash", [PAIRS]],
  5: ["zset", [{ each: [STRING, 8] }]],
  7: ["module", [NUMBER, MODULE_ITEMS]],
  // in one string each: zipmap, ziplist, intset
  9: ["hash", [STRING]],
  10: ["list", [STRING]],
  11: ["set", [STRING]],
  12: ["zset", [STRING]],
  13: ["hash", [STRING]],
  14: ["list", [NODES]],
  15: ["stream", stream(1)],
  // listpack
  16: ["hash", [STRING]],
  17: ["zset", [STRING]],
  18: ["list", [{ each: [CONTAINER, STRING] }]],
  19: ["stream", stream(2)],
  20: ["set", [STRING]],
  21: ["stream", stream(3)],
  // hashes whose fields expire: release candidates of 7.4, then with the time of the first
  22: ["hash", [{ each: [NUMBER, STRING, STRING] }]],
  23: ["hash", [STRING]],
  24: ["hash", [TIME, { each: [NUMBER, STRING, STRING] }]],
  25: ["hash", [TIME, STRING]],
};

/** What a byte between two entries announces: the steps over it, and of a key its place in `TYPES` (else -1). */
export interface Entry {
  readonly steps: readonly Step[];
  readonly type: number;
}

/** By that byte; undefined: unknown. */
export const ENTRIES: readonly (Entry | undefined)[] = Array.from({ length: 256 }, (_, byte) => {
  const opcode = OPCODES[byte];
  if (opcode) return { steps: opcode, type: -1 };
  const value = VALUES[byte];
  return value && { steps: [STRING, ...value[1]], type: TYPES.indexOf(value[0]) };
});
