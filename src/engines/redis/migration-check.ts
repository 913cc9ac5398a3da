/** What must not run in a migration file. Pure: nothing is asked of the server. */
import { OpsError, usageError } from "../../errors.ts";
import { placeAt, placedMessage } from "../../migrate/excerpt.ts";
import type { Script, Statement } from "../../migrate/port.ts";
import { parseRedisSettings } from "../../migrate/redis-settings.ts";
import type { WantedSetting } from "../../migrate/settings-port.ts";
import { isLoop, type Loop, loopParts, parseLoop } from "./migration-loop.ts";
import { isOwnKey, OWN_LIBRARY } from "./migration-own.ts";
import { commandLines, keyword, StatementProblem, type Word, wordsOf } from "./migration-words.ts";

/** One line of a file, understood. */
export type Parsed = { loop: Loop } | { name: string; args: Buffer[] };

/** Why, and what to do instead. */
type Refusal = readonly [why: string, hint: string];

const TRANSACTION: Refusal = [
  "every command of a file is recorded by itself, and a transaction would hide what is done",
  "leave it out; EVAL runs several commands as one",
];
const CONNECTION: Refusal = ["the connection belongs to opsctl: it holds the lock", "leave it out"];
const STREAM: Refusal = ["it never ends, or turns the connection into something else", "leave it out"];
const BLOCKS: Refusal = [
  "it waits for somebody else while the lock is held",
  "use the form that does not block",
];
const HOST: Refusal = ["it is about the server itself, not about its data", "do it by hand"];
const FLUSH: Refusal = [
  "it deletes everything at once, what others keep there too",
  "FOR EACH KEY MATCHING cache:* DO UNLINK {key} deletes what a pattern finds; or do it by hand",
];
const SECRET: Refusal = [
  "migration files are kept and shown, so they hold no secrets",
  "set it by hand or in the server's config file",
];
const DATABASES: Refusal = [
  "a file runs in the database of REDIS_URL",
  "name another database with REDIS_DB, and give it its own files",
];
const OWN: Refusal = ["it would touch the history of the migrations", "leave it to opsctl"];

/** By name, or by name and subcommand. */
const REFUSED = new Map<string, Refusal>([
  ...all("MULTI EXEC DISCARD WATCH UNWATCH", TRANSACTION),
  ...all("CLIENT RESET QUIT READONLY READWRITE ASKING", CONNECTION),
  ...all("SELECT SWAPDB", DATABASES),
  ...all("AUTH HELLO MIGRATE", SECRET),
  ...all(
    "SUBSCRIBE PSUBSCRIBE SSUBSCRIBE UNSUBSCRIBE PUNSUBSCRIBE SUNSUBSCRIBE MONITOR SYNC PSYNC REPLCONF",
    STREAM,
  ),
  ...all("BLPOP BRPOP BRPOPLPUSH BLMOVE BLMPOP BZPOPMIN BZPOPMAX BZMPOP WAIT WAITAOF", BLOCKS),
  ...all("SHUTDOWN REPLICAOF SLAVEOF FAILOVER DEBUG CLUSTER MODULE SENTINEL", HOST),
  ...all("SCRIPT|KILL SCRIPT|DEBUG FUNCTION|KILL", HOST),
  ...all("FLUSHALL FLUSHDB", FLUSH),
  ...all("FUNCTION|FLUSH FUNCTION|RESTORE", OWN),
]);

/** A line in which a word looks like one of these is not shown. */
const MAY_BE_SECRET = /auth|pass|secret|hello|migrate|\bacl\b/i;

/** @throws OpsError `usage` naming file, line and column */
export function checkCommands(script: Script): void {
  for (const statement of commandLines(script.text)) {
    try {
      parseStatement(statement);
    } catch (error) {
      throw error instanceof StatementProblem ? problemAt(script, statement, error) : error;
    }
  }
}

/** @throws StatementProblem when it is wrong, or must not run */
export function parseStatement({ text }: Statement): Parsed {
  refuseBytes(text);
  const words = wordsOf(text);
  refuseLeftovers(words);
  const command = isLoop(words) ? loopParts(words).command : words;
  const parsed = isLoop(words)
    ? { loop: parseLoop(words) }
    : { name: keyword(words[0]!), args: words.slice(1).map(({ bytes }) => bytes) };
  refuseCommand(command);
  return parsed;
}

/** The settings of a `CONFIG SET` that `check` has let through, as `init` would write them; null: it is another command. */
export function configSettings(name: string, args: readonly Buffer[]): WantedSetting[] | null {
  return settingsOf(name, args)?.map(checkedSetting) ?? null;
}

function settingsOf(name: string, args: readonly Buffer[]): WantedSetting[] | null {
  if (name !== "CONFIG" || args[0]?.toString("latin1").toUpperCase() !== "SET") return null;
  const texts = args.slice(1).map((arg) => arg.toString("utf8"));
  return Array.from({ length: Math.floor(texts.length / 2) }, (_, index) => ({
    name: texts[2 * index]!.toLowerCase(),
    value: texts[2 * index + 1]!,
  }));
}

/** @throws OpsError `usage` for a setting that `--redis-config` refuses */
function checkedSetting({ name, value }: WantedSetting): WantedSetting {
  return parseRedisSettings([`${name}=${value}`]).find((setting) => setting.name === name)!;
}

/** `FILE:LINE:COLUMN: …` with the line, unless it may hold a secret. */
export function messageAt(script: Script, statement: Statement, offset: number, what: string): string {
  const at = statement.offset + offset;
  if (!MAY_BE_SECRET.test(statement.text)) return placedMessage(script.file, script.text, at, what);
  const { line, column } = placeAt(script.text, at);
  return `${script.file}:${line}:${column}: ${what}`;
}

function problemAt(script: Script, statement: Statement, problem: StatementProblem): OpsError {
  return new OpsError({
    code: "usage",
    engine: "redis",
    message: messageAt(script, statement, problem.offset, problem.message),
    hint: problem.hint,
  });
}

function refuseBytes(text: string): void {
  const control = text.search(/[\u0000-\u0008\u000b-\u001f\u007f]/);
  if (control >= 0) {
    throw new StatementProblem(control, "a control character", 'write it inside "…" as \\xHH');
  }
  const broken = text.indexOf("\ufffd");
  if (broken >= 0) {
    throw new StatementProblem(
      broken,
      "bytes that are not UTF-8",
      'save the file as UTF-8, or write the bytes inside "…" as \\xHH',
    );
  }
}

/** Habits of other languages that Redis would take as arguments. */
function refuseLeftovers(words: readonly Word[]): void {
  const comment = words.find(({ raw }) => raw === "#" || raw === "//" || raw === "--");
  if (comment) {
    throw new StatementProblem(
      comment.offset,
      `${comment.raw} begins a comment at the start of a line only: here it would be an argument`,
      "put the comment on a line of its own; quote the word when it is meant",
    );
  }
  const last = words.at(-1)!;
  const end = last.raw.at(-1)!;
  if (end !== "\\" && end !== ";") return;
  throw new StatementProblem(
    last.offset + last.raw.length - 1,
    end === ";"
      ? "a command has no ; at its end: it would be part of the last argument"
      : "a command is one line: \\ at its end does not continue it",
    "leave it out; quote the word when it is meant",
  );
}

function refuseCommand(words: readonly Word[]): void {
  const [first, second] = words as [Word, ...Word[]];
  const name = keyword(first);
  const full = second ? `${name}|${keyword(second)}` : name;
  const refused = REFUSED.has(full) ? full : name;
  const refusal = REFUSED.get(refused);
  if (refusal) throw refuse(first, refused, refusal);
  if (blocksOnStreams(name, words)) throw refuse(first, name, BLOCKS);
  if (name === "CONFIG") refuseSettings(words);
  if (name === "ACL") refusePasswords(words);
  if (name === "FUNCTION") refuseOwnLibrary(words);
  const own = words.slice(1).find(({ bytes }) => isOwnKey(bytes));
  if (own) throw new StatementProblem(own.offset, `${own.raw} is refused: ${OWN[0]}`, OWN[1]);
}

/** BLOCK stands before STREAMS, and in XREADGROUP after the names of group and consumer. */
function blocksOnStreams(name: string, words: readonly Word[]): boolean {
  if (name !== "XREAD" && name !== "XREADGROUP") return false;
  const options = words.slice(name === "XREAD" ? 1 : 4).map(keyword);
  return options.slice(0, options.indexOf("STREAMS")).includes("BLOCK");
}

function refuse(word: Word, name: string, [why, hint]: Refusal): StatementProblem {
  return new StatementProblem(word.offset, `${name.replace("|", " ")} is refused: ${why}`, hint);
}

/** What `--redis-config` refuses, a file cannot set either. */
function refuseSettings(words: readonly Word[]): void {
  const settings = settingsOf(
    "CONFIG",
    words.slice(1).map(({ bytes }) => bytes),
  );
  if (settings === null) return;
  if (words.length < 4 || words.length % 2 === 1) {
    throw new StatementProblem(
      words[1]!.offset,
      "CONFIG SET takes a name and a value, or several of each",
      "CONFIG SET maxmemory 512mb",
    );
  }
  for (const [index, setting] of settings.entries()) {
    try {
      checkedSetting(setting);
    } catch (error) {
      if (!(error instanceof OpsError)) throw error;
      const word = words[2 + 2 * index]!;
      const what = error.message.replace("--redis-config", "CONFIG SET");
      if (/^it is a secret/.test(error.hint ?? "")) throw refuse(word, `CONFIG SET ${setting.name}`, SECRET);
      throw new StatementProblem(word.offset, what, error.hint ?? "");
    }
  }
}

/** `>password`, `<password`, `#hash` and `!hash` of ACL SETUSER. */
function refusePasswords(words: readonly Word[]): void {
  const password = words.slice(3).find(({ bytes }) => /^[><#!]/.test(bytes.toString("latin1")));
  if (password && keyword(words[1]!) === "SETUSER") throw refuse(password, "a password", SECRET);
}

function refuseOwnLibrary(words: readonly Word[]): void {
  const [, subcommand, ...rest] = words as [Word, Word, ...Word[]];
  if (!subcommand) return;
  const own = rest.find(({ bytes }) => {
    const text = bytes.toString("latin1");
    const name = keyword(subcommand) === "LOAD" ? /^#![^\n]*\bname\s*=\s*(\S+)/.exec(text)?.[1] : text;
    return name !== undefined && OWN_LIBRARY.test(name);
  });
  if (own) throw new StatementProblem(own.offset, `the library is refused: ${OWN[0]}`, OWN[1]);
}

function all(names: string, refusal: Refusal): [string, Refusal][] {
  return names.split(" ").map((name) => [name, refusal]);
}

/** For callers that pass only what `checkCommands` has let through. @throws OpsError `usage` */
export function parsedStatement(statement: Statement): Parsed {
  try {
    return parseStatement(statement);
  } catch (error) {
    throw error instanceof StatementProblem ? usageError(error.message, error.hint) : error;
  }
}
