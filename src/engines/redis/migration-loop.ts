/**
 * The one loop of a migration file, on one line:
 *
 *     FOR EACH KEY MATCHING <pattern> [TYPE <type>] DO <command>
 *     FOR EACH KEY MATCHING session:* TYPE string DO EXPIRE {key} 3600
 *     FOR EACH KEY MATCHING session:* DO RENAMENX {key} sess:{rest}
 *
 * `{key}` stands for the key inside any argument, `{rest}` for what the `*` at the end of the pattern stands for. Pure.
 */
import { isForLoops, madeKeys } from "./migration-idempotent.ts";
import { keyword, StatementProblem, type Word } from "./migration-words.ts";

type Marker = "{key}" | "{rest}";

export interface Loop {
  /** Of SCAN: a glob over bytes. */
  pattern: Buffer;
  /** As TYPE answers; null: any. */
  type: string | null;
  /** The command's name, in upper case. */
  name: string;
  /** Its arguments, in parts. */
  args: readonly (readonly (Buffer | Marker)[])[];
  /** Bytes in front of the `*` that `{rest}` stands for. */
  prefixBytes: number;
}

const FORM = "FOR EACH KEY MATCHING <pattern> [TYPE <type>] DO <command with {key}>";
const KEYWORDS = ["FOR", "EACH", "KEY", "MATCHING"];
const MARKERS = /(\{key\}|\{rest\})/;
/** What has a meaning in a pattern. */
const SPECIAL = /[*?[\\]/;

/** Whether a line means to be a loop: no command of Redis is called FOR. */
export function isLoop(words: readonly Word[]): boolean {
  return words[0] !== undefined && keyword(words[0]) === "FOR";
}

/** The command that runs for each key, as words of the line. @throws StatementProblem when the line has not the form of a loop */
export function loopParts(words: readonly Word[]): {
  pattern: Word;
  type: Word | undefined;
  command: Word[];
} {
  for (const [index, expected] of KEYWORDS.entries()) {
    if (!words[index] || keyword(words[index]) !== expected)
      throw formProblem(words, index, `${expected} is missing`);
  }
  const pattern = words[4];
  if (!pattern || pattern.bytes.length === 0) throw formProblem(words, 4, "the pattern is missing");
  const hasType = words[5] !== undefined && keyword(words[5]) === "TYPE";
  const type = hasType ? words[6] : undefined;
  if (hasType && (!type || !/^[\w-]{1,40}$/.test(type.raw)))
    throw formProblem(words, 6, "the type is missing");
  const next = hasType ? 7 : 5;
  if (!words[next] || keyword(words[next]) !== "DO") throw formProblem(words, next, "DO is missing");
  const command = words.slice(next + 1);
  if (command.length === 0) throw formProblem(words, next + 1, "the command is missing");
  return { pattern, type, command };
}

/** @throws StatementProblem for a loop that would not end, or whose command must not run twice for a key */
export function parseLoop(words: readonly Word[]): Loop {
  const { pattern, type, command } = loopParts(words);
  const [name, ...args] = command as [Word, ...Word[]];
  const glob = pattern.bytes.toString("latin1");
  refuseBadMarkers(command, glob);
  const texts = command.map(({ bytes }) => bytes.toString("latin1"));
  if (!isForLoops(texts)) {
    throw new StatementProblem(
      name.offset,
      `${keyword(name)} cannot run in a loop in this form: a key may be met twice, and a loop that was broken off begins again`,
      "commands with the same effect twice can: DEL, UNLINK, EXPIRE, PERSIST, SET, HSET, HDEL, SADD, SREM, ZADD, RENAMENX, COPY … REPLACE",
    );
  }
  for (const index of madeKeys(texts)) refuseFeeding(command[index], texts[index], glob);
  return {
    pattern: pattern.bytes,
    type: type ? keyword(type).toLowerCase() : null,
    name: keyword(name),
    args: args.map(({ bytes }) => partsOf(bytes)),
    prefixBytes: glob.length - 1,
  };
}

/** The arguments for one key. */
export function argumentsFor({ args, prefixBytes }: Loop, key: Buffer): Buffer[] {
  const bytesOf = (part: Buffer | Marker) => {
    if (part === "{key}") return key;
    return part === "{rest}" ? key.subarray(prefixBytes) : part;
  };
  return args.map((parts) => Buffer.concat(parts.map(bytesOf)));
}

function partsOf(bytes: Buffer): (Buffer | Marker)[] {
  return bytes
    .toString("latin1")
    .split(MARKERS)
    .filter((part) => part !== "")
    .map((part) => (MARKERS.test(part) ? (part as Marker) : Buffer.from(part, "latin1")));
}

function refuseBadMarkers(command: readonly Word[], glob: string): void {
  const [name, ...args] = command as [Word, ...Word[]];
  const withKey = args.find(({ bytes }) => MARKERS.test(bytes.toString("latin1")));
  if (!withKey) {
    throw new StatementProblem(name.offset, "the command of the loop names no {key}", `write it as ${FORM}`);
  }
  const withRest = args.find(({ bytes }) => bytes.includes("{rest}"));
  if (withRest && !(glob.endsWith("*") && !SPECIAL.test(glob.slice(0, -1)))) {
    throw new StatementProblem(
      withRest.offset,
      "{rest} is what the * at the end of the pattern stands for, and this pattern has another form",
      "use it with a pattern such as session:*, or write {key}",
    );
  }
}

/**
 * A loop that makes keys which its own pattern finds may go on for ever (`SET {key}:copy`). The known ends of what it makes are compared with
 * the known ends of the pattern; when both fit, it is refused.
 */
function refuseFeeding(word: Word | undefined, template: string | undefined, glob: string): void {
  if (!word || template === undefined || template === "{key}") return;
  const first = glob.search(SPECIAL);
  const head = first < 0 ? glob : glob.slice(0, first);
  // an escape or a set may end in what looks like plain text
  const tail = /[\\[]/.test(glob)
    ? ""
    : first < 0
      ? glob
      : glob.slice(Math.max(glob.lastIndexOf("*"), glob.lastIndexOf("?")) + 1);
  const parts = template.split(MARKERS).filter((part) => part !== "");
  const isFixed = parts.length === 1 && !MARKERS.test(template);
  const begins = isFixed ? template : knownText(parts, head);
  const ends = isFixed ? template : knownText(parts.toReversed(), tail, true);
  const headFits = begins.startsWith(head) || (!isFixed && head.startsWith(begins));
  const tailFits = ends.endsWith(tail) || (!isFixed && tail.endsWith(ends));
  if (!headFits || !tailFits) return;
  throw new StatementProblem(
    word.offset,
    `the keys that the loop makes (${word.raw}) may match its own pattern: it would go on with them`,
    "choose a name that the pattern does not match",
  );
}

/** The text that every such key begins with (backwards: ends with): up to the first marker, then what a key has there. */
function knownText(parts: readonly string[], keyHas: string, backwards = false): string {
  let known = "";
  for (const part of parts) {
    const isMarker = MARKERS.test(part);
    const text = isMarker ? (part === "{key}" ? keyHas : "") : part;
    known = backwards ? text + known : known + text;
    if (isMarker) break;
  }
  return known;
}

function formProblem(words: readonly Word[], index: number, what: string): StatementProblem {
  const last = words.at(-1)!;
  const offset = words[index]?.offset ?? last.offset + last.raw.length;
  return new StatementProblem(offset, `no loop: ${what}`, `write it as ${FORM}`);
}
