/**
 * Which commands have the same effect when they run twice, so that one whose answer was lost can be sent again, and one in a loop may meet a
 * key twice (SCAN returns keys more than once). What is not listed here counts as having another effect. Source: the commands' pages on
 * redis.io. Pure.
 */

/** Words of a command, the name first, as text; keywords are compared in upper case. */
type Words = readonly string[];

/** Change keys that are there, and make none. */
const ON_WHAT_IS_THERE = words(`
  DEL UNLINK EXPIRE PEXPIRE EXPIREAT PEXPIREAT PERSIST HDEL HPERSIST SREM ZREM ZREMRANGEBYSCORE
  ZREMRANGEBYLEX LSET LREM LTRIM XDEL XTRIM XSETID TOUCH JSON.DEL`);

/** Make the key they name (the word after the name, unless `KEY_AT` says otherwise) when it is not there. */
const MAKE_KEYS = words(`
  SET SETEX PSETEX MSET SETBIT SETRANGE HSET HMSET SADD ZADD GEOADD PFADD PFMERGE COPY BITOP SINTERSTORE SUNIONSTORE SDIFFSTORE
  ZINTERSTORE ZUNIONSTORE ZDIFFSTORE ZRANGESTORE JSON.SET`);

const READ_OR_SERVE = words(`
  PING ECHO INFO TIME DBSIZE LASTSAVE COMMAND KEYS SCAN RANDOMKEY EXISTS TYPE TTL PTTL EXPIRETIME PEXPIRETIME OBJECT MEMORY DUMP GET MGET
  STRLEN GETRANGE GETBIT BITCOUNT BITPOS HGET HMGET HGETALL HKEYS HVALS HLEN HEXISTS HSCAN LLEN LRANGE LINDEX LPOS SCARD SMEMBERS SISMEMBER
  SMISMEMBER SSCAN SINTER SUNION SDIFF ZCARD ZCOUNT ZLEXCOUNT ZRANGE ZRANGEBYSCORE ZRANGEBYLEX ZREVRANGE ZSCORE ZMSCORE ZRANK ZREVRANK ZSCAN
  XLEN XRANGE XREVRANGE XINFO PFCOUNT GEOPOS GEODIST GEOSEARCH EVAL_RO EVALSHA_RO FCALL_RO SORT_RO BITFIELD_RO
  SAVE LATENCY SLOWLOG`);

/** Commands of which some forms are and others are not. */
const IF: Readonly<Record<string, (args: Words) => boolean>> = {
  // `if it is not there` may be true the first time and false the second; GET answers with what was there
  SET: (args) => !has(args.slice(2), "NX", "GET"),
  ZADD: (args) => !has(args.slice(1), "INCR", "NX"),
  GEOADD: (args) => !has(args.slice(1), "NX"),
  EXPIRE: noCondition,
  PEXPIRE: noCondition,
  EXPIREAT: noCondition,
  PEXPIREAT: noCondition,
  "JSON.SET": (args) => !has(args.slice(3), "NX"),
  COPY: (args) => has(args.slice(2), "REPLACE"),
  // all that are equal; else some of those that are left
  LREM: (args) => args[1] === "0",
  // the first N or the last N; else what is left is cut again
  LTRIM: (args) =>
    (args[1] === "0" && !args[2]?.startsWith("-")) || (args[1]?.startsWith("-") === true && args[2] === "-1"),
  BITOP: (args) => !args.slice(2).includes(args[1]!),
  ZINTERSTORE: targetIsNoSource,
  ZUNIONSTORE: targetIsNoSource,
  ZDIFFSTORE: targetIsNoSource,
  SDIFFSTORE: targetIsNoSource,
  ZRANGESTORE: targetIsNoSource,
};

/** Of these only some subcommands. */
const SUBCOMMANDS: Readonly<Record<string, (args: Words) => boolean>> = {
  CONFIG: (args) => has(args.slice(0, 1), "SET", "GET", "REWRITE", "RESETSTAT", "HELP"),
  ACL: (args) =>
    has(
      args.slice(0, 1),
      "SETUSER",
      "DELUSER",
      "LIST",
      "USERS",
      "GETUSER",
      "CAT",
      "WHOAMI",
      "SAVE",
      "LOAD",
      "HELP",
    ),
  FUNCTION: (args) =>
    has(args.slice(0, 1), "LIST", "STATS", "DUMP", "HELP") ||
    (has(args.slice(0, 1), "LOAD") && has(args.slice(1, 2), "REPLACE")),
  SCRIPT: (args) => has(args.slice(0, 1), "LOAD", "EXISTS", "FLUSH", "HELP"),
  XGROUP: (args) => has(args.slice(0, 1), "SETID", "DESTROY", "DELCONSUMER"),
};

/** In a loop a renamed key is not met again, and a second try finds no key. */
const RENAMES = words("RENAME RENAMENX");

/** Index in the whole command of the key that it makes; 1 for all others. */
const KEY_AT: Readonly<Record<string, number>> = { COPY: 2, BITOP: 2, RENAME: 2, RENAMENX: 2 };

/** Whether a command has the same effect twice. */
export function isIdempotent([name = "", ...args]: Words): boolean {
  const upper = name.toUpperCase();
  const inSubcommands = SUBCOMMANDS[upper];
  if (inSubcommands) return inSubcommands(args);
  if (READ_OR_SERVE.has(upper)) return true;
  return (ON_WHAT_IS_THERE.has(upper) || MAKE_KEYS.has(upper)) && (IF[upper]?.(args) ?? true);
}

/** Whether a command may run for each key of a loop: idempotent, and about keys. `{key}` and `{rest}` stand for the key. */
export function isForLoops(command: Words): boolean {
  const upper = (command[0] ?? "").toUpperCase();
  if (RENAMES.has(upper)) return command[1] === "{key}" && /\{(key|rest)\}/.test(command[2] ?? "");
  return (ON_WHAT_IS_THERE.has(upper) || MAKE_KEYS.has(upper)) && isIdempotent(command);
}

/** Indexes in the whole command of the keys that it may make; empty: it makes none. */
export function madeKeys(command: Words): number[] {
  const upper = (command[0] ?? "").toUpperCase();
  if (upper === "MSET") return command.map((_, index) => index).filter((index) => index % 2 === 1);
  return MAKE_KEYS.has(upper) || RENAMES.has(upper) ? [KEY_AT[upper] ?? 1] : [];
}

function words(list: string): ReadonlySet<string> {
  return new Set(list.trim().split(/\s+/));
}

function has(args: Words, ...options: string[]): boolean {
  return args.some((arg) => options.includes(arg.toUpperCase()));
}

function noCondition(args: Words): boolean {
  return !has(args.slice(2), "NX");
}

/** The target stands first; as one of its own sources it would be counted twice. */
function targetIsNoSource([target, ...sources]: Words): boolean {
  return !sources.includes(target!);
}
