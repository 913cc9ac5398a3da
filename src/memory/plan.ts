/** Which rows of a store a query looks at: the telling ones, within a budget. */
import type { Conjunction, TermStatistics } from "./port.ts";
import { MAX_CONJUNCTION_TERMS, MAX_SENT_TERMS, ROW_BUDGET } from "./tuning.ts";

export interface SearchPlan {
  wanted: Conjunction[];
  /** All terms of `wanted`, strongest first. */
  sent: string[];
  /** Terms that occur but are not searched by themselves, because too many rows hold them or stronger ones were enough. */
  left: string[];
}

/** How much a term tells: what the query gives it, times how rare it is. */
export function strengthOf(
  term: string,
  weights: ReadonlyMap<string, number>,
  statistics: TermStatistics,
): number {
  return (weights.get(term) ?? 0) * idf(statistics.frequencies.get(term) ?? 0, statistics.documents);
}

/** Inverse document frequency as in BM25, never negative (Lucene's form). */
export function idf(df: number, documents: number): number {
  const bounded = Math.min(df, documents);
  return Math.log(1 + (documents - bounded + 0.5) / (bounded + 0.5));
}

/** The terms that occur, strongest first, ties by the term. */
export function strongestFirst(weights: ReadonlyMap<string, number>, statistics: TermStatistics): string[] {
  return [...weights.keys()]
    .filter((term) => (statistics.frequencies.get(term) ?? 0) > 0)
    .map((term) => ({ term, strength: strengthOf(term, weights, statistics) }))
    .sort((a, b) => b.strength - a.strength || (a.term < b.term ? -1 : 1))
    .map(({ term }) => term);
}

/**
 * Terms by themselves while their rows fit into the budget; what is too common for that in pairs, else in threes and so on, with what is left
 * of the budget. So the work does not grow with the store, and a query of common words still finds the records that hold several of them.
 * Rows of a conjunction are estimated as if its terms were independent; the store bounds what is more.
 */
export function planSearch(weights: ReadonlyMap<string, number>, statistics: TermStatistics): SearchPlan {
  const single: string[] = [];
  const left: string[] = [];
  let budget = ROW_BUDGET;
  for (const term of strongestFirst(weights, statistics)) {
    const rows = statistics.frequencies.get(term)!;
    const isTaken = rows <= budget && single.length < MAX_SENT_TERMS;
    (isTaken ? single : left).push(term);
    if (isTaken) budget -= rows;
  }
  const tooCommon = single.length < MAX_SENT_TERMS ? left.slice(0, MAX_CONJUNCTION_TERMS) : [];
  const together = conjunctions(tooCommon, budget, statistics, single.length === 0);
  const wanted = [...single.map((term) => [term]), ...together];
  const sent = [...new Set(wanted.flat())];
  return { wanted, sent, left: left.filter((term) => !sent.includes(term)) };
}

/** @param isNeeded nothing else is searched: at least the conjunction of all terms */
function conjunctions(
  terms: readonly string[],
  budget: number,
  { documents, frequencies }: TermStatistics,
  isNeeded: boolean,
): Conjunction[] {
  const rowsOf = (group: Conjunction) =>
    group.reduce((rows, term) => (rows * frequencies.get(term)!) / Math.max(1, documents), documents);
  for (let size = 2; size <= terms.length; size += 1) {
    const found: Conjunction[] = [];
    let rest = budget;
    for (const group of combinations(terms, size)) {
      const rows = rowsOf(group);
      if (rows > rest) continue;
      found.push(group);
      rest -= rows;
    }
    if (found.length > 0) return found;
  }
  return isNeeded && terms.length > 0 ? [terms] : [];
}

/** All groups of `size` terms, those of earlier terms first. */
function combinations(terms: readonly string[], size: number): string[][] {
  if (size === 0) return [[]];
  return terms.flatMap((term, index) =>
    combinations(terms.slice(index + 1), size - 1).map((rest) => [term, ...rest]),
  );
}
