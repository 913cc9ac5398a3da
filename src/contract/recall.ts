import * as v from "valibot";
import { count, degraded, engine, milliseconds, nullableText, rate, text, time } from "./common.ts";

const share = v.pipe(v.number(), v.minValue(0), v.maxValue(1));

/** With `--explain`, else null. The shares of the signals and of the success add up to the score, to six digits. */
const explainedResult = v.strictObject({
  signals: v.array(
    v.strictObject({
      name: v.picklist(["bm25", "cosine", "trigram", "issue", "bigram", "complete", "shape"]),
      /** As computed; the score takes it as a part of the greatest in the pool (`complete` as it is). */
      raw: v.number(),
      weight: v.number(),
      share: v.number(),
    }),
  ),
  success: v.strictObject({
    /** Of the events whose outcome is known, 95 % interval (Wilson); null when none is. */
    rate,
    low: rate,
    high: rate,
    multiplier: v.number(),
    share: v.number(),
  }),
  /** Stems of the query that the record holds, strongest first. */
  terms: v.array(text),
});

const explainedQuery = v.strictObject({
  /** A log or a stack trace: values became placeholders, repeated lines were folded. */
  noisy: v.boolean(),
  folded_lines: count,
  skipped_bytes: count,
  documents: count,
  /** What the stores were asked for, strongest first. */
  searched: v.array(v.strictObject({ term: text, records: count, weight: v.number() })),
  /** Terms that occur but were too common, or too many, to be searched by themselves. */
  not_searched: v.array(v.strictObject({ term: text, records: count, weight: v.number() })),
  /** Terms that had to occur together, because each of them alone is in too many records. */
  together: v.array(v.array(text)),
  /** Shapes of lines that were searched. */
  shapes: count,
  /** Words that nothing matches, and what they were taken for. */
  replaced: v.array(
    v.strictObject({ word: text, by: v.array(v.strictObject({ term: text, similarity: share })) }),
  ),
  /** True when not every record was looked at that shares a word with the query: the work is bounded. */
  cut: v.boolean(),
  /** Most records that the searched terms may touch together. */
  row_budget: count,
  /** Engines whose full-text index is older than this opsctl. */
  outdated: v.array(engine),
});

const result = v.strictObject({
  id: text,
  key: text,
  issue: nullableText,
  content: text,
  details: nullableText,
  success: v.nullable(v.boolean()),
  score: v.number(),
  match: v.picklist(["key", "prefix", "text"]),
  occurrences: count,
  successes: count,
  failures: count,
  last_seen: time,
  last_seen_ms: milliseconds,
  agent: nullableText,
  server: nullableText,
  /** Words of the record that the query asked for, strongest first. */
  matched: v.array(text),
  explain: v.nullable(explainedResult),
});

export const recalled = v.strictObject({
  query: text,
  results: v.array(result),
  count,
  /** For --after; null at the end of the list. */
  next: nullableText,
  explain: v.nullable(explainedQuery),
  degraded,
});

export const bestFix = v.strictObject({
  query: text,
  /** Null (exit code 4) when nothing known is convincing. */
  best: v.nullable(result),
  why: v.picklist(["convincing", "nothing_known", "not_convincing", "only_failed"]),
  /** 0 to 1; null when nothing is known. */
  confidence: v.nullable(share),
  threshold: share,
  /** Fixes of the same issue that did not work last. */
  failed: v.array(result),
  explain: v.nullable(explainedQuery),
  degraded,
});
