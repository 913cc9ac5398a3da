/** Which words of a text a query asked for. */
import { tokenize } from "./analyze.ts";

const WORD = /[\p{L}\p{N}\p{M}_]+/gu;

/** Replaces each word of a text that holds one of the terms, whatever its inflection or case. */
export function markWords(text: string, terms: readonly string[], mark: (word: string) => string): string {
  const wanted = new Set(terms);
  return text.replace(WORD, (word) =>
    tokenize(word).some((token) => wanted.has(token)) ? mark(word) : word,
  );
}

/** Characters of a text that are looked through for words to show. */
const MAX_CHARACTERS = 20_000;

/** One word as it stands in the texts for each of the terms, in the order of the terms; lower-case. */
export function matchedWords(texts: readonly string[], terms: readonly string[], limit: number): string[] {
  const wanted = new Set(terms);
  const words = new Map<string, string>();
  for (const text of texts) {
    for (const [word] of text.slice(0, MAX_CHARACTERS).matchAll(WORD)) {
      if (words.size === wanted.size) break;
      for (const token of tokenize(word)) {
        if (wanted.has(token) && !words.has(token)) words.set(token, word.toLowerCase());
      }
    }
  }
  return [...new Set(terms.flatMap((term) => words.get(term) ?? []))].slice(0, limit);
}
