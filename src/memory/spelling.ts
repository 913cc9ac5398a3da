/** Words that the index does not know, and words of the index that they may stand for: typos and fragments. */
import type { VocabularyTerm } from "./port.ts";
import { trigramsOf } from "./signals.ts";
import { MIN_SIMILARITY } from "./tuning.ts";

/** Shorter words share their trigrams with too much. */
const MIN_LENGTH = 4;
/** Words of one query that are looked up, words of the index for each, and words of the index that are looked at. */
const MAX_WORDS = 8;
const MAX_REPLACEMENTS = 3;
export const MAX_VOCABULARY = 2000;

export interface Replacement {
  term: string;
  /** 0 to 1: what it counts, as a share of the word it replaces. */
  similarity: number;
}

/** The words that nothing in the index matches, longest first. */
export function unknownWords(
  weights: ReadonlyMap<string, number>,
  frequencies: ReadonlyMap<string, number>,
): string[] {
  return [...weights.keys()]
    .filter((word) => word.length >= MIN_LENGTH && !frequencies.has(word))
    .sort((a, b) => b.length - a.length || (a < b ? -1 : 1))
    .slice(0, MAX_WORDS);
}

/** What a word of the index must have to be looked at: one of the word's trigrams, and about its length (a fragment has half of it). */
export function lookFor(word: string): { pieces: string[]; lengths: { min: number; max: number } } {
  const pieces = trigramsOf(word).slice(1, -1);
  return {
    pieces: [...new Set(pieces)].slice(0, 20),
    lengths: { min: Math.max(3, Math.floor(word.length * 0.6)), max: word.length * 2 + 2 },
  };
}

/** The words of the index that are most like it: by similarity, then the more frequent, then the word. */
export function replacementsOf(word: string, vocabulary: readonly VocabularyTerm[]): Replacement[] {
  const own = new Set(trigramsOf(word));
  return vocabulary
    .map(({ term, df }) => ({ term, df, similarity: dice(own, new Set(trigramsOf(term))) }))
    .filter(({ similarity }) => similarity >= MIN_SIMILARITY)
    .sort((a, b) => b.similarity - a.similarity || b.df - a.df || (a.term < b.term ? -1 : 1))
    .slice(0, MAX_REPLACEMENTS)
    .map(({ term, similarity }) => ({ term, similarity }));
}

function dice(a: ReadonlySet<string>, b: ReadonlySet<string>): number {
  let shared = 0;
  for (const gram of a) if (b.has(gram)) shared += 1;
  return (2 * shared) / (a.size + b.size);
}
