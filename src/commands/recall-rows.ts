/** What recall found, as the contract writes it. */
import type * as v from "valibot";
import type { recalled } from "../contract/recall.ts";
import { matchedWords } from "../memory/highlight.ts";
import { issueOf } from "../memory/model.ts";
import type { RecallResult, Search } from "../memory/recall.ts";
import { ROW_BUDGET } from "../memory/tuning.ts";
import { isoTime } from "../output/human.ts";

export type Recalled = v.InferOutput<typeof recalled>;
export type Row = Recalled["results"][number];
export type Explanation = NonNullable<Recalled["explain"]>;

/** Words of a record that are named as the reason why it is in the list. */
const SHOWN_WORDS = 8;

export function resultRow(result: RecallResult, isExplained: boolean): Row {
  const { record, score, match, matched } = result;
  return {
    id: record.id,
    key: record.key,
    issue: issueOf(record.key),
    content: record.content,
    details: record.details,
    success: record.success,
    score,
    match,
    occurrences: record.occurrences,
    successes: record.successes,
    failures: record.failures,
    last_seen: isoTime(record.lastSeen),
    last_seen_ms: record.lastSeen,
    agent: record.agent,
    server: record.server,
    matched: matchedWords([record.key, record.content, record.details ?? ""], matched, SHOWN_WORDS),
    explain: isExplained ? explainResult(result) : null,
  };
}

function explainResult({
  parts,
  record,
  success,
  successShare,
  matched,
}: RecallResult): NonNullable<Row["explain"]> {
  const { interval, known, multiplier } = success;
  const none = known === 0;
  return {
    signals: parts.map(({ signal, ...part }) => ({ name: signal, ...part })),
    success: {
      rate: none ? null : record.successes / known,
      low: none ? null : interval.low,
      high: none ? null : interval.high,
      multiplier,
      share: successShare,
    },
    terms: matched,
  };
}

export function explainSearch({ query, plan, statistics, replaced, isCut, outdated }: Search): Explanation {
  const shapes = new Set(query.shapes);
  const row = (term: string) => ({
    term,
    records: statistics.frequencies.get(term) ?? 0,
    weight: query.weights.get(term) ?? 0,
  });
  const rows = (terms: readonly string[]) => terms.filter((term) => !shapes.has(term)).map(row);
  return {
    noisy: query.isNoisy,
    folded_lines: query.foldedLines,
    skipped_bytes: query.skippedBytes,
    documents: statistics.documents,
    searched: rows(plan.wanted.filter(({ length }) => length === 1).flat()),
    not_searched: rows(plan.left),
    together: plan.wanted.filter(({ length }) => length > 1).map((terms) => [...terms]),
    shapes: plan.sent.filter((term) => shapes.has(term)).length,
    replaced: [...replaced].map(([word, by]) => ({ word, by })),
    cut: isCut || plan.left.length > 0 || plan.wanted.some(({ length }) => length > 1),
    row_budget: ROW_BUDGET,
    outdated,
  };
}
