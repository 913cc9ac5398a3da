import type Database from "better-sqlite3";
import { OpsError } from "../../errors.ts";
import { placedMessage } from "../../migrate/excerpt.ts";
import type { Statement, Step } from "../../migrate/port.ts";
import { USER_SET } from "../../migrate/source.ts";
import { fileError, messageOf } from "./errors.ts";
import { significantTokens, type Token } from "./tokens.ts";

/** `near "TABEL": syntax error`, `unrecognized token: "#"` */
const SYNTAX = /^(?:near "([\s\S]+)": syntax error|unrecognized token: "([\s\S]+)")$/;
/** Messages that name what they are about, each with the name in one group. */
const NAMING = [
  /^no such [a-z ]+: (?:"([^"]+)"|(\S+))/,
  /^(?:duplicate|ambiguous) column name: (\S+)/,
  /has no column named (\S+)/,
  /^(?:table|view|index|trigger) "?(\S+?)"? (?:already exists|has \d+ columns|may not be)/,
  /^there is already an? \w+ named (\S+)/,
  /^(?:wrong number of arguments to function|misuse of [a-z ]+:) (\w+)\(/,
];

/**
 * What SQLite said about a statement, with its place in the file; failures of the database file itself stay what they are.
 * @param note what became of the rest of the script
 */
export function statementError(
  database: Database.Database,
  path: string,
  step: Step,
  statement: Statement,
  error: unknown,
  note: string,
): OpsError {
  if (error instanceof OpsError) return error;
  const { script, migration } = step;
  const { set } = migration;
  const isOwn = set === USER_SET;
  const file = isOwn ? script.file : `SQLite file ${path}: ${set}/${script.file}`;
  const known = namedFileError(path, step, error, `; ${note}`);
  if (known) return known;
  const what = messageOf(error);
  const offset = statement.offset + offsetIn(database, statement.text, what);
  return new OpsError({
    code: "failed",
    engine: "sqlite",
    message: placedMessage(file, script.text, offset, what),
    hint: isOwn
      ? `${note}; correct the file and run the command again`
      : "tables of these names that opsctl did not make are in the way; name another file by OPSCTL_DB",
    cause: error,
  });
}

/** An error that is about the database file, with the script that met it; undefined: it is not one. */
export function namedFileError(
  path: string,
  { script }: Step,
  error: unknown,
  note = "",
): OpsError | undefined {
  const known = fileError(error, path);
  if (!known) return undefined;
  const { code, hint } = known;
  const message = `${script.file}: ${known.message}${note}`;
  return new OpsError({ code, engine: "sqlite", message, hint: hint!, cause: error });
}

/** Where in a statement an error is; its start where that cannot be told. The driver has no offset, but messages name tokens. */
function offsetIn(database: Database.Database, text: string, message: string): number {
  if (message === "incomplete input") return text.length;
  const [, near, unrecognized] = SYNTAX.exec(message) ?? [];
  const token = near ?? unrecognized;
  if (token !== undefined) return offsetOfSyntax(database, text, token, message);
  const named = NAMING.map((pattern) => pattern.exec(message)).find((match) => match !== null);
  const name = named?.slice(1).find((group) => group !== undefined);
  // of two columns of one name it is the second that is wrong
  const skip = message.startsWith("duplicate") ? 1 : 0;
  return name === undefined ? 0 : offsetOfName(text, name, skip);
}

/**
 * The parser reads from left to right: a text that ends with the wrong token, or later, fails with the same message, and one that ends earlier
 * does not. Nothing is run.
 */
function offsetOfSyntax(database: Database.Database, text: string, token: string, message: string): number {
  const places: number[] = [];
  for (let at = text.indexOf(token); at >= 0; at = text.indexOf(token, at + 1)) places.push(at);
  const fails = (at: number) => {
    try {
      database.prepare(text.slice(0, at + token.length));
      return false;
    } catch (error) {
      return messageOf(error) === message;
    }
  };
  let [first, last] = [0, places.length - 1];
  while (first < last) {
    const middle = (first + last) >> 1;
    if (fails(places[middle]!)) last = middle;
    else first = middle + 1;
  }
  return places[first] ?? 0;
}

/** The first token, after `skip` others, that is the name or the last part of a qualified one. */
function offsetOfName(text: string, name: string, skip: number): number {
  const wanted = name.split(".").at(-1)!.toLowerCase();
  const found = [...significantTokens(text)].filter((token) => bareName(text, token) === wanted);
  return (found[skip] ?? found[0])?.start ?? 0;
}

function bareName(text: string, { kind, start, end }: Token): string {
  const raw = text.slice(start, end).toLowerCase();
  return kind === "quoted" ? raw.slice(1, -1) : raw;
}
