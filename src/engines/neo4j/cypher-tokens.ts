/**
 * Cypher as its lexer sees it, as far as splitting and recognising statements needs it (grammar: Cypher25Lexer.g4 of Neo4j's
 * cypher-language-support).
 */

export type TokenKind = "space" | "comment" | "string" | "name" | "word" | "number" | "sign";

export interface Token {
  /** `name`: between backticks. `sign`: one character of anything else. */
  kind: TokenKind;
  /** UTF-16 units, the end exclusive. */
  start: number;
  end: number;
  /** False for a string, a name or a comment that never ends. */
  isClosed: boolean;
}

/** The white space of Cypher, which is neither JavaScript's nor Unicode's: no U+FEFF, but the separators U+001C to U+001F. */
const SPACE = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/y;
const LINE_COMMENT = /\/\/[^\r\n]*/y;
const WORD = /[\p{L}\p{Nl}\p{Pc}][\p{L}\p{Nl}\p{Nd}\p{Mn}\p{Mc}\p{Pc}]*/uy;
const NUMBER = /\d[\w.]*/y;

/** All tokens of a text, without a gap. Never throws. */
export function* cypherTokens(text: string): Generator<Token> {
  let start = 0;
  while (start < text.length) {
    const token = tokenAt(text, start);
    yield token;
    start = token.end;
  }
}

function tokenAt(text: string, start: number): Token {
  const first = text[start]!;
  if (first === "'" || first === '"') return { kind: "string", start, ...endOfString(text, start, first) };
  if (first === "`") return { kind: "name", start, ...endOfName(text, start) };
  if (text.startsWith("/*", start)) {
    const close = text.indexOf("*/", start + 2);
    const isClosed = close >= 0;
    return { kind: "comment", start, end: isClosed ? close + 2 : text.length, isClosed };
  }
  const match = (pattern: RegExp): number => {
    pattern.lastIndex = start;
    return pattern.test(text) ? pattern.lastIndex : start;
  };
  for (const [kind, pattern] of PATTERNS) {
    const end = match(pattern);
    if (end > start) return { kind, start, end, isClosed: true };
  }
  return { kind: "sign", start, end: start + 1, isClosed: true };
}

const PATTERNS: readonly (readonly [TokenKind, RegExp])[] = [
  ["space", SPACE],
  ["word", WORD],
  ["number", NUMBER],
  ["comment", LINE_COMMENT],
];

/** A backslash takes the character after it along. */
function endOfString(text: string, start: number, quote: string): Pick<Token, "end" | "isClosed"> {
  for (let at = start + 1; at < text.length; at += 1) {
    const character = text[at];
    if (character === "\\") at += 1;
    else if (character === quote) return { end: at + 1, isClosed: true };
  }
  return { end: text.length, isClosed: false };
}

/** Two backticks are one that belongs to the name. */
function endOfName(text: string, start: number): Pick<Token, "end" | "isClosed"> {
  for (let at = text.indexOf("`", start + 1); at >= 0; at = text.indexOf("`", at + 2)) {
    if (text[at + 1] !== "`") return { end: at + 1, isClosed: true };
  }
  return { end: text.length, isClosed: false };
}
