/** The one fix to try now, or that nothing known is convincing. */
import { tokenize } from "./analyze.ts";
import { issueOf } from "./model.ts";
import { idf } from "./plan.ts";
import type { RecallResult, Search } from "./recall.ts";
import { BEST_THRESHOLD, CONFIDENCE, MAX_RANKED_TERMS } from "./tuning.ts";

export interface Best {
  /** Null: nothing convincing, or only what did not work. */
  result: RecallResult | null;
  /** Of the issue that comes first, 0 to 1; null when nothing is known at all. */
  confidence: number | null;
  /** What was tried for that issue and did not work last. */
  failed: RecallResult[];
}

/**
 * Of the first issue that is convincing, the first fix that did not fail last. Fixes of one key stand for one issue.
 * @param results as `recall` ranks them
 */
export function bestOf(search: Search, results: readonly RecallResult[]): Best {
  const issues = groupByKey(results);
  const judged = issues.map((fixes, index) => ({
    fixes,
    confidence: confidenceOf(
      search,
      fixes[0]!,
      issues.filter((_, other) => other !== index).map(([first]) => first!),
    ),
  }));
  const convincing = judged.find(({ confidence }) => confidence >= BEST_THRESHOLD) ?? judged[0];
  if (!convincing) return { result: null, confidence: null, failed: [] };
  const { fixes, confidence } = convincing;
  if (confidence < BEST_THRESHOLD) return { result: null, confidence, failed: [] };
  return {
    result: fixes.find(mayWork) ?? null,
    confidence,
    failed: fixes.filter((fix) => !mayWork(fix)),
  };
}

/** It worked surely more often than it failed; where that is open, its last outcome was no failure. */
function mayWork({ record, success }: RecallResult): boolean {
  return success.multiplier > 1 || (success.multiplier === 1 && record.success !== false);
}

function groupByKey(results: readonly RecallResult[]): RecallResult[][] {
  const groups = new Map<string, RecallResult[]>();
  for (const result of results) {
    const { key } = result.record;
    groups.set(key, [...(groups.get(key) ?? []), result]);
  }
  return [...groups.values()];
}

/**
 * How sure it is that a result is about what the query describes, 0 to 1. An exact key is sure, a key prefix as sure as it is long and the only one. Else three things:
 * how much of the query the record holds, how much of the record's issue the query holds (or how many of the query's shapes the record has), and how far the
 * score is ahead of other issues. The score itself is relative to the pool and says nothing of this.
 */
export function confidenceOf(
  { text: asked, query, statistics, replaced }: Search,
  result: RecallResult,
  others: readonly RecallResult[],
): number {
  if (result.match === "key") return 1;
  const { documents, frequencies } = statistics;
  const rarity = (term: string) => idf(frequencies.get(term) ?? 0, documents);
  const matched = new Set(result.matched);
  const words = [...query.weights]
    .filter(([term]) => !query.shapes.includes(term))
    .map(([term, weight]) => ({ term, strength: weight * rarity(term) }))
    .sort((a, b) => b.strength - a.strength || (a.term < b.term ? -1 : 1))
    .slice(0, MAX_RANKED_TERMS);
  const isMatched = (term: string) =>
    matched.has(term) || (replaced.get(term) ?? []).some((other) => matched.has(other.term));
  const covered = share(
    words,
    ({ term }) => isMatched(term),
    ({ strength }) => strength,
  );
  const { key } = result.record;
  const issue = [...new Set(tokenize(issueOf(key) ?? key))];
  const returned = share(issue, (term) => matched.has(term), rarity);
  const shapes = result.parts.find(({ signal }) => signal === "shape")?.raw ?? 0;
  const next = Math.max(0, ...others.map(({ score }) => score));
  const lead = Math.min(1, Math.max(0, result.score - next) * CONFIDENCE.leadScale);
  const text =
    CONFIDENCE.covered * covered + CONFIDENCE.returned * Math.max(returned, shapes) + CONFIDENCE.lead * lead;
  if (result.match !== "prefix") return text;
  const rivals = others.filter(({ match }) => match === "prefix").length;
  return Math.max(text, Math.min(1, asked.length / key.length) / (1 + rivals));
}

/** Part of the total weight that passes; 0 of nothing. */
function share<T>(items: readonly T[], passes: (item: T) => boolean, weightOf: (item: T) => number): number {
  let [part, total] = [0, 0];
  for (const item of items) {
    const weight = weightOf(item);
    total += weight;
    if (passes(item)) part += weight;
  }
  return total === 0 ? 0 : part / total;
}
