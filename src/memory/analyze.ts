/**
 * The only tokenizer. Every store indexes its output verbatim, so that all of them match the same words: with native
 * analyzers SQLite, PostgreSQL and Neo4j disagreed on 255 of 7,404 words of the tuning split.
 */
import { stemmer } from "stemmer";
import { issueOf, type MemoryRecord, type Prepared } from "./model.ts";
import { SHAPE_PREFIX, shapesOf } from "./noise.ts";
import { STOPWORDS } from "./stopwords.ts";

/** Version of what `prepare` makes: an index of another version is made anew (older) or refused (newer). 2: shapes. */
export const INDEX_VERSION = 2;
/** Lucene's whitespace tokens end at 255 characters, PostgreSQL lexemes at 2,047 bytes; nothing real is longer than this. */
export const MAX_TOKEN_LENGTH = 64;
/** Tokens of one record. */
export const MAX_TOKENS = 16_000;
/** Bytes of all tokens of one record: a tsvector of distinct tokens ends at 1 MiB, four bytes a token included. */
export const MAX_TOKEN_BYTES = 960_000;
/** Times one token counts in a record: a tsvector keeps 255 positions. */
export const MAX_TERM_FREQUENCY = 255;

/** A run of letters, digits, marks and `_` in any script. `. / : -` and everything else separate words. */
const WORD = /[\p{L}\p{N}\p{M}_]+/gu;
const ASCII_WORD = /^[A-Za-z0-9_]+$/;
const MARKS = /\p{M}+/gu;
/** Scripts that are written without spaces: each character is a word. */
const UNSPACED =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;
/** Parts of an identifier: `parseHTTPResponse2xx` → parse HTTP Response 2 xx. */
const PARTS = /[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+/g;

/** Words repeat: their tokens are looked up, not computed again. Cleared when full, so memory stays bounded. */
const cache = new Map<string, readonly string[]>();
const CACHE_LIMIT = 100_000;

/**
 * Tokens of a text in order: lower-case, stemmed (Porter 1980), English stopwords dropped; an identifier gives itself and
 * then its parts (`connectionTimeout` → connectiontimeout connect timeout). Every token matches [a-z0-9_]{1,64}.
 */
export function tokenize(text: string, limit: number = MAX_TOKENS): string[] {
  const tokens: string[] = [];
  for (const match of text.matchAll(WORD)) {
    for (const token of tokensOfWord(match[0])) tokens.push(token);
    if (tokens.length >= limit) return tokens.slice(0, limit);
  }
  return tokens;
}

/**
 * Tokens of a text in order, each with the share of a word that it counts: a word 1; the parts of an identifier share the weight of one word, so
 * that a name in camel case (`SeaMonkey`) does not outweigh the words around it.
 */
export function visitTokens(text: string, visit: (token: string, share: number) => void): void {
  for (const [word] of text.matchAll(WORD)) {
    const [first, ...parts] = tokensOfWord(word);
    if (first !== undefined) visit(first, 1);
    const share = ASCII_WORD.test(word) ? 1 / parts.length : 1;
    for (const part of parts) visit(part, share);
  }
}

/** What a store indexes for a record: title from the issue (or the whole key), body from content and details. */
export function prepare(record: Pick<MemoryRecord, "key" | "content" | "details">): Prepared {
  const budget = { tokens: MAX_TOKENS, bytes: MAX_TOKEN_BYTES, counts: new Map<string, number>() };
  const title = withinBudget(tokenize(issueOf(record.key) ?? record.key), budget);
  const text = record.details === null ? record.content : `${record.content}\n${record.details}`;
  const body = withinBudget(tokenize(text, budget.tokens), budget);
  return {
    title: title.join(" "),
    body: body.join(" "),
    shape: shapesOf(`${issueOf(record.key) ?? record.key}\n${text}`).join(" "),
    titleLength: title.length,
    bodyLength: body.length,
    foldedKey: record.key.toLowerCase(),
  };
}

interface Budget {
  tokens: number;
  bytes: number;
  counts: Map<string, number>;
}

function withinBudget(tokens: string[], budget: Budget): string[] {
  const kept: string[] = [];
  for (const token of tokens) {
    const count = (budget.counts.get(token) ?? 0) + 1;
    if (count > MAX_TERM_FREQUENCY) continue;
    if (budget.tokens < 1 || budget.bytes < token.length) break;
    budget.counts.set(token, count);
    budget.tokens -= 1;
    budget.bytes -= token.length;
    kept.push(token);
  }
  return kept;
}

function tokensOfWord(word: string): readonly string[] {
  const known = cache.get(word);
  if (known) return known;
  const tokens = ASCII_WORD.test(word) ? asciiTokens(word) : foreignTokens(word);
  if (word.length <= MAX_TOKEN_LENGTH) {
    if (cache.size >= CACHE_LIMIT) cache.clear();
    cache.set(word, tokens);
  }
  return tokens;
}

function asciiTokens(word: string): string[] {
  const tokens: string[] = [];
  const whole = normalize(word);
  if (whole !== undefined) tokens.push(whole);
  const parts = word.match(PARTS);
  if (!parts || (parts.length < 2 && parts[0] === word)) return tokens;
  for (const part of parts) {
    const token = normalize(part);
    if (token !== undefined && token !== whole) tokens.push(token);
  }
  return tokens;
}

/** Undefined for a stopword, for what holds no letter or digit, and for what would pass for a shape. */
function normalize(word: string): string | undefined {
  const lower = word.toLowerCase();
  if (STOPWORDS.has(lower) || !/[a-z0-9]/.test(lower)) return undefined;
  const token = stemmer(lower.slice(0, MAX_TOKEN_LENGTH));
  return token.startsWith(SHAPE_PREFIX) ? undefined : token;
}

/**
 * Words outside ASCII: accents are dropped (`café` → cafe); what is not Latin then becomes the code points of its letters, so that
 * other scripts are found too although every store only sees [a-z0-9_].
 */
function foreignTokens(word: string): string[] {
  const plain = word.normalize("NFKD").replace(MARKS, "");
  const tokens: string[] = [];
  let run = "";
  let runIsAscii = true;
  const flush = () => {
    if (run === "") return;
    if (runIsAscii) tokens.push(...asciiTokens(run));
    else tokens.push(codePoints(run.toLowerCase()));
    run = "";
  };
  for (const character of plain) {
    const ascii = ASCII_WORD.test(character);
    if (UNSPACED.test(character)) {
      flush();
      tokens.push(codePoints(character));
      continue;
    }
    if (ascii !== runIsAscii) flush();
    runIsAscii = ascii;
    // NFKD can leave characters that are neither letters nor digits (fractions, ligature marks)
    if (ascii || /[\p{L}\p{N}]/u.test(character)) run += character;
  }
  flush();
  return tokens;
}

function codePoints(text: string): string {
  let token = "";
  for (const character of text) token += `u${character.codePointAt(0)!.toString(16)}`;
  return token.slice(0, MAX_TOKEN_LENGTH);
}
