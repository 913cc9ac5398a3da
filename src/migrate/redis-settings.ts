/** What `init` wants of a Redis server, and the grammar of its setting values. */
import { type OpsError, usageError } from "../errors.ts";
import { suggest } from "../suggest.ts";
import type { WantedSetting } from "./settings-port.ts";

/** The guides' configuration of the session cache. */
export const DEFAULT_REDIS_SETTINGS: readonly WantedSetting[] = [
  { name: "maxmemory", value: "512mb" },
  { name: "maxmemory-policy", value: "allkeys-lru" },
  { name: "appendonly", value: "yes" },
  { name: "appendfsync", value: "everysec" },
  { name: "timeout", value: "300" },
];

const POLICIES = [
  "noeviction",
  "allkeys-lru",
  "allkeys-lfu",
  "allkeys-random",
  "volatile-lru",
  "volatile-lfu",
  "volatile-random",
  "volatile-ttl",
];

/** Values with a closed list of words; the server compares them without case and answers in lower case. */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  "maxmemory-policy": POLICIES,
  appendonly: ["yes", "no"],
  appendfsync: ["always", "everysec", "no"],
};

const SECRET =
  "it is a secret and would show in the process list: set it in the server's config file or an ACL file";
const REACH = "it decides who can reach the server, opsctl included: set it in the server's config file";
const FILES = "it moves or loads files on the server's host: set it in the server's config file";
const COMPOSITE = "the server rewrites its value, so that it cannot be compared: set it by hand";

/** Settings that `--redis-config` refuses, with the reason. */
const REFUSED: Readonly<Record<string, string>> = {
  requirepass: SECRET,
  masterauth: SECRET,
  masteruser: SECRET,
  primaryauth: SECRET,
  primaryuser: SECRET,
  user: SECRET,
  "tls-key-file-pass": SECRET,
  "tls-client-key-file-pass": SECRET,
  aclfile: REACH,
  bind: REACH,
  port: REACH,
  "tls-port": REACH,
  "protected-mode": REACH,
  unixsocket: REACH,
  replicaof: "it replaces the data of this server by another server's: use REPLICAOF by hand",
  slaveof: "it replaces the data of this server by another server's: use REPLICAOF by hand",
  dir: FILES,
  dbfilename: FILES,
  appendfilename: FILES,
  appenddirname: FILES,
  logfile: FILES,
  include: FILES,
  loadmodule: FILES,
  "rename-command": "it is read at start only: set it in the server's config file",
  "client-output-buffer-limit": COMPOSITE,
  "notify-keyspace-events": COMPOSITE,
};

const FLAG = "--redis-config";

/**
 * The default settings with the values of repeated `--redis-config name=value` on top; other names are appended, the
 * last of two equal names wins.
 * @throws OpsError `usage`: no `name=value`, a name that is secret, dangerous or misspelt, a value the setting cannot have
 */
export function parseRedisSettings(overrides: readonly string[]): WantedSetting[] {
  const wanted = new Map(DEFAULT_REDIS_SETTINGS.map(({ name, value }) => [name, value]));
  for (const override of overrides) {
    const { name, value } = parseOverride(override);
    wanted.set(name, value);
  }
  return [...wanted].map(([name, value]) => ({ name, value }));
}

function parseOverride(text: string): WantedSetting {
  const equals = text.indexOf("=");
  // the text itself is not repeated: without a name in front it may be anything, a password too
  if (equals < 1) throw usageError(`${FLAG} takes name=value`, `for example ${FLAG} maxmemory=1gb`);
  const name = text.slice(0, equals).trim().toLowerCase();
  if (!/^[a-z][a-z0-9-]{0,63}$/.test(name)) {
    throw usageError(
      `${FLAG}: the name before "=" is not the name of a Redis setting`,
      "names are letters, digits and hyphens, as CONFIG GET shows them",
    );
  }
  const reason = REFUSED[name] ?? (/pass|auth|secret/.test(name) ? SECRET : undefined);
  if (reason !== undefined) throw usageError(`${FLAG} ${name} is refused`, reason);
  return { name, value: checkValue(name, text.slice(equals + 1).trim()) };
}

function checkValue(name: string, value: string): string {
  if (value.length > 1024) throw usageError(`${FLAG} ${name}: the value is longer than 1024 characters`);
  // CONFIG REWRITE would write it into the server's config file
  if (/[\u0000-\u001f\u007f]/.test(value)) {
    throw usageError(`${FLAG} ${name}: the value holds a control character`, "write it on one line");
  }
  const words = WORDS[name];
  if (words !== undefined) {
    const word = value.toLowerCase();
    if (!words.includes(word)) throw badValue(name, value, suggest(value, words) ?? words.join(", "));
    return word;
  }
  if (name === "maxmemory" && parseMemory(value) === undefined) {
    throw badValue(name, value, "write bytes or a number with kb, mb or gb; 0 is no limit");
  }
  if (name === "timeout" && !/^\d{1,9}$/.test(value)) {
    throw badValue(name, value, "write whole seconds; 0 never closes idle clients");
  }
  return value;
}

function badValue(name: string, value: string, hint: string): OpsError {
  return usageError(`${FLAG} ${name} cannot be ${JSON.stringify(value)}`, hint);
}

const UNITS: Readonly<Record<string, bigint>> = {
  "": 1n,
  b: 1n,
  k: 1000n,
  kb: 1024n,
  m: 1000n ** 2n,
  mb: 1024n ** 2n,
  g: 1000n ** 3n,
  gb: 1024n ** 3n,
};

/** Bytes of a size as Redis reads it (`1k` is 1000, `1kb` is 1024, no case); undefined when it is none. */
export function parseMemory(text: string): bigint | undefined {
  const match = /^(\d{1,18})([kmg]?b?)$/i.exec(text);
  return match === null ? undefined : BigInt(match[1]!) * UNITS[match[2]!.toLowerCase()]!;
}

/** A size in the largest unit that shows it exactly: `512mb`, else plain bytes. Redis reads it back. */
export function formatMemory(bytes: bigint): string {
  for (const unit of ["gb", "mb", "kb"] as const) {
    if (bytes > 0n && bytes % UNITS[unit]! === 0n) return `${bytes / UNITS[unit]!}${unit}`;
  }
  return String(bytes);
}

/** Whether two values mean the same to the server: `512mb` and `536870912`, `Yes` and `yes`. */
export function sameSetting(a: string, b: string): boolean {
  if (a === b) return true;
  const [left, right] = [parseMemory(a), parseMemory(b)];
  if (left !== undefined && right !== undefined) return left === right;
  return /^(yes|no)$/i.test(a) && a.toLowerCase() === b.toLowerCase();
}

/** The server's `present` value in the unit that the `wanted` one is written in, so that both can be read side by side. */
export function readableSetting(present: string, wanted: string): string {
  const bytes = parseMemory(present);
  const inUnits = /[a-z]$/i.test(wanted) && parseMemory(wanted) !== undefined;
  return bytes !== undefined && inUnits ? formatMemory(bytes) : present;
}

/** Whether `maxmemory` goes up; no limit (0) is the highest. */
export function isRaise(before: string | null, after: string | null): boolean {
  const [from, to] = [parseMemory(before ?? "") ?? 0n, parseMemory(after ?? "") ?? 0n];
  return from !== 0n && (to === 0n || to > from);
}
