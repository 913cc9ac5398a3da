/**
 * One ranking for every store: stateless, over the prepared tokens of the candidates, so that stores which return the same
 * candidates give the same list. Recipe and figures: README, "How recall ranks".
 */
import type { Candidate, CorpusStatistics, TermStatistics } from "./port.ts";

/** Okapi BM25 (Robertson and Zaragoza 2009), the usual constants. */
const K1 = 1.2;
const B = 0.75;
/** A word of the issue counts as three of the text: .611 against .556 nDCG on bug titles, never worse elsewhere. */
export const TITLE_WEIGHT = 3;
/** Terms sent to a store: cutting a query to its 12 rarest lost no known fix. */
const MAX_SENT_TERMS = 12;
/** Rows that the sent terms may touch together; a count of terms alone does not bound a query of common words. */
const MAX_ROWS = 10_000;
/** Terms that are sent however common they are. */
const MIN_SENT_TERMS = 2;
/** Terms that order the result: a query cut to its 32 rarest terms loses nothing, cut to 16 it lost .007. */
const MAX_RANKED_TERMS = 32;
/** Candidates a store returns, by its own order. */
export const CANDIDATE_LIMIT = 500;
/** The canonical pool; a longer list needs a larger one. */
const POOL_SIZE = 50;

/** The terms to ask the stores for: those that occur, rarest first (ties by the term), within the row budget. */
export function chooseTerms(terms: Iterable<string>, statistics: TermStatistics): string[] {
  const { frequencies } = statistics;
  const known = rarestFirst(terms, statistics);
  const chosen: string[] = [];
  let rows = 0;
  for (const term of known.slice(0, MAX_SENT_TERMS)) {
    rows += frequencies.get(term)!;
    if (rows > MAX_ROWS && chosen.length >= MIN_SENT_TERMS) break;
    chosen.push(term);
  }
  return chosen;
}

export interface Ranked {
  id: string;
  score: number;
}

/**
 * Ranks in two steps. The pool is cut by exact BM25 over the sent terms alone: only of these every store has found all candidates (cut
 * over all terms, 56 of 75 lists were the same). Then all terms of the query order the pool. Scores rounded to 1e-6, ties by id.
 * @param weights what each term of the query counts
 */
export function rank(
  weights: ReadonlyMap<string, number>,
  sent: readonly string[],
  statistics: TermStatistics,
  candidates: readonly Candidate[],
  limit: number,
): Ranked[] {
  const ranked = rarestFirst(weights.keys(), statistics).slice(0, MAX_RANKED_TERMS);
  const pool = byScore(candidates, bm25(weights, sent, statistics)).slice(0, Math.max(POOL_SIZE, limit));
  return byScore(
    pool.map(({ item }) => item),
    bm25(weights, ranked, statistics),
  ).map(({ item, score }) => ({ id: item.id, score }));
}

function byScore(candidates: readonly Candidate[], scoreOf: (candidate: Candidate) => number) {
  return candidates
    .map((item) => ({ item, score: Math.round(scoreOf(item) * 1e6) / 1e6 }))
    .sort((a, b) => b.score - a.score || (a.item.id < b.item.id ? -1 : 1));
}

function bm25(
  weights: ReadonlyMap<string, number>,
  terms: readonly string[],
  statistics: TermStatistics,
): (candidate: Candidate) => number {
  const idfs = new Map(terms.map((term) => [term, weights.get(term)! * idf(term, statistics)]));
  const average = averageLength(statistics);
  return ({ prepared }) => {
    const length = TITLE_WEIGHT * prepared.titleLength + prepared.bodyLength;
    const frequencies = new Map<string, number>();
    countTerms(prepared.title, TITLE_WEIGHT, idfs, frequencies);
    countTerms(prepared.body, 1, idfs, frequencies);
    let score = 0;
    // in the order of the terms: floating-point sums depend on it
    for (const [term, weight] of idfs) {
      const tf = frequencies.get(term) ?? 0;
      score += (weight * tf * (K1 + 1)) / (tf + K1 * (1 - B + (B * length) / average));
    }
    return score;
  };
}

/** The terms that occur, rarest first, ties by the term. */
function rarestFirst(terms: Iterable<string>, { frequencies }: TermStatistics): string[] {
  return [...terms]
    .filter((term) => (frequencies.get(term) ?? 0) > 0)
    .sort((a, b) => frequencies.get(a)! - frequencies.get(b)! || (a < b ? -1 : 1));
}

function countTerms(
  text: string,
  weight: number,
  wanted: ReadonlyMap<string, number>,
  frequencies: Map<string, number>,
): void {
  for (const token of text.split(" ")) {
    if (wanted.has(token)) frequencies.set(token, (frequencies.get(token) ?? 0) + weight);
  }
}

function idf(term: string, { documents, frequencies }: TermStatistics): number {
  const df = Math.min(frequencies.get(term) ?? 0, documents);
  return Math.log(1 + (documents - df + 0.5) / (df + 0.5));
}

function averageLength({ documents, titleLength, bodyLength }: CorpusStatistics): number {
  return Math.max(1, (TITLE_WEIGHT * titleLength + bodyLength) / Math.max(1, documents));
}
