/**
 * One ranking for every store: stateless, over the prepared tokens of the candidates, so that stores which return the same
 * candidates give the same list. Recipe and figures: README, "How recall finds".
 */
import { type SearchPlan, strongestFirst } from "./plan.ts";
import type { Candidate, TermStatistics } from "./port.ts";
import type { ReadQuery } from "./read-query.ts";
import { bm25, countsOf, type Profile, profileOf, signalsOf } from "./signals.ts";
import { MAX_RANKED_TERMS, NOISY_SHAPE, type Signal, WEIGHTS } from "./tuning.ts";

/** A signal of one result: as computed, its weight, and what it adds to the score. */
export interface Part {
  signal: Signal;
  raw: number;
  weight: number;
  share: number;
}

export interface Ranked {
  id: string;
  /** Sum of the shares, rounded to 1e-6. */
  score: number;
  parts: Part[];
  /** Terms of the query that it holds, strongest first; no shapes. */
  matched: string[];
}

export interface RankOptions {
  /** Size of the canonical pool. */
  pool: number;
  /** In place of those in WEIGHTS, to look at one signal alone. */
  weights?: Partial<Record<Signal, number>> | undefined;
}

/**
 * Ranks in two steps. The pool is cut by exact BM25 over the sent terms alone: only of these every store has found all candidates (cut
 * over all terms, 56 of 75 lists were the same). Then the signals order the pool, each scaled by its greatest value: what has nothing of a signal
 * gets nothing for it. Scores rounded to 1e-6, ties by id.
 */
export function rank(
  query: ReadQuery,
  { sent }: Pick<SearchPlan, "sent">,
  statistics: TermStatistics,
  candidates: readonly Candidate[],
  options: RankOptions,
): Ranked[] {
  const pool = canonicalPool(query, sent, statistics, candidates, options.pool);
  const terms = strongestFirst(query.weights, statistics)
    .filter((term) => !query.shapes.includes(term))
    .slice(0, MAX_RANKED_TERMS);
  const weights = { ...WEIGHTS, ...(query.isNoisy ? { shape: NOISY_SHAPE } : {}), ...options.weights };
  const columns = Object.entries(signalsOf(query, terms, statistics, pool)).flatMap(([name, score]) => {
    const signal = name as Signal;
    const weight = weights[signal];
    const raws = weight > 0 ? pool.map(score) : [];
    // a share of the query, not of the pool
    const greatest = signal === "complete" ? 1 : Math.max(0, ...raws);
    return raws.some((raw) => raw > 0) ? [{ signal, weight, raws, greatest }] : [];
  });
  return pool
    .map((profile, index) => {
      const parts = columns.map(({ signal, weight, raws, greatest }) => {
        const raw = raws[index]!;
        return { signal, raw: round(raw), weight, share: round((weight * raw) / greatest) };
      });
      const score = round(parts.reduce((sum, { share }) => sum + share, 0));
      return { id: profile.id, score, parts, matched: terms.filter((term) => profile.frequencies.has(term)) };
    })
    .sort(byScore);
}

function canonicalPool(
  { weights }: ReadQuery,
  sent: readonly string[],
  statistics: TermStatistics,
  candidates: readonly Candidate[],
  size: number,
): Profile[] {
  const scoreOf = bm25(sent, weights, statistics);
  const terms = new Set(sent);
  return candidates
    .map((candidate) => ({
      id: candidate.id,
      candidate,
      score: round(scoreOf(countsOf(candidate, terms))),
    }))
    .sort(byScore)
    .slice(0, size)
    .map(({ candidate }) => profileOf(candidate));
}

/** To the six digits that count. */
export const round = (value: number) => Math.round(value * 1e6) / 1e6;

function byScore(a: { id: string; score: number }, b: { id: string; score: number }): number {
  return b.score - a.score || (a.id < b.id ? -1 : 1);
}
