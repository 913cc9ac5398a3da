/** SQLite's lexical rules, as far as they decide where a statement ends (https://sqlite.org/src/file/src/tokenize.c). */

/** `word`: keywords, bare names, numbers · `quoted`: strings and names in quotes of any kind · `other`: operators. */
export type TokenKind = "space" | "comment" | "word" | "quoted" | "semicolon" | "other";

export interface Token {
  kind: TokenKind;
  start: number;
  end: number;
  /** False: the text ends inside of it. */
  closed: boolean;
}

const SPACE = /[ \t\n\f\r]+/y;
const WORD = /[\w$\u0080-\uffff]+/y;
const OTHER = /[^ \t\n\f\r\w$\u0080-\uffff'"`[;/-]+/y;

/** Every token of a text, in order; together they are the text. Takes time in proportion to the text, whatever it holds. */
export function* tokensOf(text: string): Generator<Token> {
  for (let start = 0; start < text.length; ) {
    const token = tokenAt(text, start);
    yield token;
    start = token.end;
  }
}

/** Those that mean something: neither space nor comments. */
export function* significantTokens(text: string): Generator<Token> {
  for (const token of tokensOf(text)) {
    if (token.kind !== "space" && token.kind !== "comment") yield token;
  }
}

function tokenAt(text: string, start: number): Token {
  const first = text[start]!;
  if (first === ";") return { kind: "semicolon", start, end: start + 1, closed: true };
  if (first === "'" || first === '"' || first === "`") return quoted(text, start, first);
  if (first === "[") return enclosed(text, start, "quoted", "]", start + 1);
  if (text.startsWith("/*", start)) return enclosed(text, start, "comment", "*/", start + 2);
  if (text.startsWith("--", start)) {
    const newline = text.indexOf("\n", start);
    return { kind: "comment", start, end: newline < 0 ? text.length : newline, closed: true };
  }
  const end = match(SPACE, text, start);
  if (end > start) return { kind: "space", start, end, closed: true };
  const wordEnd = match(WORD, text, start);
  if (wordEnd > start) return { kind: "word", start, end: wordEnd, closed: true };
  return { kind: "other", start, end: Math.max(match(OTHER, text, start), start + 1), closed: true };
}

/** A doubled quote stands for itself. */
function quoted(text: string, start: number, quote: string): Token {
  for (let from = start + 1; ; ) {
    const at = text.indexOf(quote, from);
    if (at < 0) return { kind: "quoted", start, end: text.length, closed: false };
    if (text[at + 1] !== quote) return { kind: "quoted", start, end: at + 1, closed: true };
    from = at + 2;
  }
}

function enclosed(text: string, start: number, kind: TokenKind, close: string, from: number): Token {
  const at = text.indexOf(close, from);
  return at < 0
    ? { kind, start, end: text.length, closed: false }
    : { kind, start, end: at + close.length, closed: true };
}

function match(pattern: RegExp, text: string, start: number): number {
  pattern.lastIndex = start;
  return pattern.test(text) ? pattern.lastIndex : start;
}
