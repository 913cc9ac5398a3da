/**
 * PostgreSQL's lexical rules, as far as they decide where a statement ends (src/backend/parser/scan.l, with
 * standard_conforming_strings on): nested comments, E'' with its continuations, dollar quotes, quoted names.
 */

/**
 * `word`: an unquoted identifier or keyword · `name`: "quoted" · `string`: of any kind · `symbol`: one character of anything else.
 */
export type TokenKind = "space" | "comment" | "word" | "name" | "string" | "number" | "symbol";

export interface Token {
  kind: TokenKind;
  /** UTF-16 units. */
  start: number;
  end: number;
  /** False: the text ends in the middle of it. */
  isClosed: boolean;
}

// the server's white space, not JavaScript's: a no-break space is part of an identifier
const SPACE = /[ \t\n\r\f\v]+/y;
const LINE_COMMENT = /--[^\n\r]*/y;
const WORD = /[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*/y;
const NUMBER = /\d+/y;
const DOLLAR = /\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/y;
const PARAMETER = /\$\d+/y;
const ESCAPED_END = /[\\']/g;
const COMMENT_MARK = /\/\*|\*\//g;

/** The token that begins at `at`, which must be within the text. */
export function tokenAt(text: string, at: number): Token {
  const character = text[at]!;
  const next = text[at + 1];
  // most of any script is words and white space
  if ((next === "'" || next === "&") && /[bBeEnNuUxX]/.test(character)) {
    const prefixed = prefixedQuote(text, at, character, next);
    if (prefixed) return prefixed;
  }
  const plain = matched("word", WORD, text, at) ?? matched("space", SPACE, text, at);
  if (plain) return plain;
  if (character === "'") return quoted(text, at, at + 1);
  if (character === '"') return { ...quoted(text, at, at + 1, '"'), kind: "name" };
  if (character === "-" && next === "-") return matched("comment", LINE_COMMENT, text, at)!;
  if (character === "/" && next === "*") return blockComment(text, at);
  return (
    matched("number", NUMBER, text, at) ??
    (character === "$" ? dollar(text, at) : undefined) ?? {
      kind: "symbol",
      start: at,
      end: at + 1,
      isClosed: true,
    }
  );
}

/** E'…', B'…', X'…', N'…', U&'…' and U&"…". */
function prefixedQuote(text: string, at: number, prefix: string, next: string): Token | undefined {
  const isUnicode = /[uU]/.test(prefix);
  if (next === "&") {
    if (!isUnicode) return undefined;
    if (text[at + 2] === "'") return quoted(text, at, at + 3);
    return text[at + 2] === '"' ? { ...quoted(text, at, at + 3, '"'), kind: "name" } : undefined;
  }
  if (isUnicode) return undefined;
  return /[eE]/.test(prefix) ? escaped(text, at) : quoted(text, at, at + 2);
}

function endOf(pattern: RegExp, text: string, at: number): number | undefined {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : undefined;
}

function matched(kind: TokenKind, pattern: RegExp, text: string, at: number): Token | undefined {
  const end = endOf(pattern, text, at);
  return end === undefined ? undefined : { kind, start: at, end, isClosed: true };
}

/** A quote is doubled to stand for itself. */
function quoted(text: string, start: number, from: number, quote = "'"): Token {
  for (let at = from; ; at += 2) {
    at = text.indexOf(quote, at);
    if (at < 0) return { kind: "string", start, end: text.length, isClosed: false };
    if (text[at + 1] !== quote) return { kind: "string", start, end: at + 1, isClosed: true };
  }
}

/** E'…': a backslash takes the next character with it, also in parts that are continued on further lines. */
function escaped(text: string, start: number): Token {
  let at = start + 2;
  for (;;) {
    ESCAPED_END.lastIndex = at;
    const found = ESCAPED_END.exec(text);
    if (!found) return { kind: "string", start, end: text.length, isClosed: false };
    at = found.index + 1;
    if (found[0] === "\\" || text[at] === "'") {
      at += 1;
      continue;
    }
    const continued = continuation(text, at);
    if (continued === undefined) return { kind: "string", start, end: at, isClosed: true };
    at = continued;
  }
}

/** Where a string that ended at `at` goes on: behind white space with a line end in it, and line comments. */
function continuation(text: string, at: number): number | undefined {
  let hasLineEnd = false;
  for (;;) {
    const end = endOf(SPACE, text, at) ?? endOf(LINE_COMMENT, text, at);
    if (end === undefined) break;
    hasLineEnd ||= /[\n\r]/.test(text.slice(at, end));
    at = end;
  }
  return hasLineEnd && text[at] === "'" ? at + 1 : undefined;
}

function dollar(text: string, start: number): Token | undefined {
  const opened = endOf(DOLLAR, text, start);
  if (opened === undefined) return matched("symbol", PARAMETER, text, start);
  const tag = text.slice(start, opened);
  const close = text.indexOf(tag, opened);
  if (close < 0) return { kind: "string", start, end: text.length, isClosed: false };
  return { kind: "string", start, end: close + tag.length, isClosed: true };
}

function blockComment(text: string, start: number): Token {
  COMMENT_MARK.lastIndex = start + 2;
  for (let depth = 1; depth > 0; ) {
    const found = COMMENT_MARK.exec(text);
    if (!found) return { kind: "comment", start, end: text.length, isClosed: false };
    depth += found[0] === "/*" ? 1 : -1;
  }
  return { kind: "comment", start, end: COMMENT_MARK.lastIndex, isClosed: true };
}
