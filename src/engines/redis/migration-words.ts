/** The lines of a migration file, and the words of a line: redis-cli's grammar (`sdssplitargs` in sds.c). Pure. */
import type { Statement } from "../../migrate/port.ts";

/** One word of a command. */
export interface Word {
  /** What is sent: quotes removed, escapes resolved. */
  bytes: Buffer;
  /** As written. */
  raw: string;
  /** Where it begins in its line, in UTF-16 units. */
  offset: number;
}

/** What is wrong with a statement, and where in it. */
export class StatementProblem extends Error {
  /** In UTF-16 units from the statement's first character. */
  readonly offset: number;
  readonly hint: string;

  constructor(offset: number, what: string, hint: string) {
    super(what);
    this.offset = offset;
    this.hint = hint;
  }
}

const COMMENT = /^(#|\/\/|--)/;
const SPACE = /[ \t\r\v\f]/;
const BARE = /[^ \t\r\v\f"']+/y;

/** Every command line; blank lines and those that begin with `#`, `//` or `--` are none. */
export function commandLines(text: string): Statement[] {
  const statements: Statement[] = [];
  let lineStart = 0;
  for (const line of text.split("\n")) {
    const command = line.trim();
    if (command !== "" && !COMMENT.test(command)) {
      statements.push({ text: command, offset: lineStart + line.indexOf(command) });
    }
    lineStart += line.length + 1;
  }
  return statements;
}

/**
 * The words of a line: separated by blanks; `"…"` with the escapes \n \r \t \b \a \xHH and \ before any other character, `'…'` with \' only.
 * @throws StatementProblem for quotes that do not balance
 */
export function wordsOf(line: string): Word[] {
  const words: Word[] = [];
  let at = 0;
  while (at < line.length) {
    if (SPACE.test(line[at]!)) {
      at += 1;
      continue;
    }
    const offset = at;
    const parts: Buffer[] = [];
    while (at < line.length && !SPACE.test(line[at]!)) {
      const piece = line[at] === '"' || line[at] === "'" ? quotedPiece(line, at) : barePiece(line, at);
      parts.push(piece.bytes);
      at = piece.end;
    }
    words.push({ bytes: Buffer.concat(parts), raw: line.slice(offset, at), offset });
  }
  return words;
}

interface Piece {
  bytes: Buffer;
  /** Where it ends. */
  end: number;
}

function barePiece(line: string, from: number): Piece {
  BARE.lastIndex = from;
  const [text] = BARE.exec(line)!;
  return { bytes: Buffer.from(text), end: from + text.length };
}

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", b: "\b", a: "\u0007" };

function quotedPiece(line: string, from: number): Piece {
  const quote = line[from]!;
  const isDouble = quote === '"';
  const parts: Buffer[] = [];
  let at = from + 1;
  while (at < line.length && line[at] !== quote) {
    const hex = isDouble ? /^\\x([0-9a-f]{2})/i.exec(line.slice(at, at + 4)) : null;
    if (hex) {
      parts.push(Buffer.from(hex[1]!, "hex"));
      at += 4;
    } else if (line[at] === "\\" && at + 1 < line.length && (isDouble || line[at + 1] === "'")) {
      const escaped = String.fromCodePoint(line.codePointAt(at + 1)!);
      parts.push(Buffer.from(isDouble ? (ESCAPES[escaped] ?? escaped) : escaped));
      at += 1 + escaped.length;
    } else {
      const end = nextSpecial(line, at);
      parts.push(Buffer.from(line.slice(at, end)));
      at = end;
    }
  }
  if (at >= line.length) {
    throw new StatementProblem(
      from,
      `the ${quote} is never closed`,
      'a command is one line; quotes inside quotes are written \\"',
    );
  }
  const end = at + 1;
  if (end < line.length && !SPACE.test(line[end]!)) {
    throw new StatementProblem(end, `a blank must follow the closing ${quote}`, "quote the whole word");
  }
  return { bytes: Buffer.concat(parts), end };
}

/** The next character that may be an escape or the end of the quotes; at least one further. */
function nextSpecial(line: string, from: number): number {
  let at = from + 1;
  while (at < line.length && line[at] !== "\\" && line[at] !== '"' && line[at] !== "'") at += 1;
  return at;
}

/** A word as a command name or keyword is compared. */
export function keyword({ bytes }: Word): string {
  return bytes.toString("latin1").toUpperCase();
}

/** Bytes as redis-cli prints them, at most `most` of them. */
export function shownBytes(bytes: Buffer, most = 80): string {
  const shown = bytes.subarray(0, most);
  const text = shown
    .toString("latin1")
    .replace(/["\\]/g, "\\$&")
    .replace(/[^ -~]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16).padStart(2, "0")}`);
  return `"${text}"${shown.length < bytes.length ? "…" : ""}`;
}
