/**
 * Every constant of the ranking that was tuned, with the figures that justify it. All figures are nDCG@10 on the tuning split (75 queries,
 * test/data/recall-dev), asked in five ways: the title of a report, the whole report, its text alone, every other word of the title, and the title
 * where every fix has the same key. `npm run bench:recall -- --ablate` leaves out one constant after the other; the grids were run beside it.
 */
import type { LineKind } from "./noise-lines.ts";

/** A word of the issue counts as three of the text: .611 against .556 on bug titles, never worse elsewhere. */
export const TITLE_WEIGHT = 3;

/**
 * Terms sent to a store, strongest first. Whole reports as queries: 8 terms .629, 12 .648, 16 .674, 24 .676; titles have fewer words than that.
 */
export const MAX_SENT_TERMS = 16;

/**
 * Rows that the sent terms may match together: what bounds the work in a large store. Of 200 known fixes among 100,000, 198 were in the first ten
 * with 10,000 and with 5,000, 199 with 3,000 (plain FTS5: 198).
 */
export const ROW_BUDGET = 5_000;

/** Words too common for the budget that are searched together: four make six pairs, six found no more. */
export const MAX_CONJUNCTION_TERMS = 4;

/** Terms that rank: cutting a query to its 32 strongest lost nothing, to 16 .007. */
export const MAX_RANKED_TERMS = 32;

/** Records that a store returns, by its own order: with 200 the three stores gave the same list for 73 of 75 queries, with 300 and 500 for all. */
export const CANDIDATE_LIMIT = 400;

/** The canonical pool that the signals order: 50 gave .669 in the mean of the first four ways, 100 .673, 200 .670. */
export const POOL_SIZE = 100;

/** Okapi BM25 (Robertson and Zaragoza 2009), the usual constants: k1 .9 to 1.5 and b .5 to .9 changed less than .005. */
export const K1 = 1.2;
export const B = 0.75;

/** What a shape counts among the terms to send: as one word. */
export const SHAPE_WEIGHT = 1;

/**
 * What the shape signal counts in a log or a stack trace (in place of its share below): of 100 traces among 5,000 distractors the right fix was first
 * in 88 without it, in 99 with .3, in 100 with 1. In prose a line's shape is one line among many: there .3 lost .023 on whole reports, .1 nothing.
 */
export const NOISY_SHAPE = 1;

/** How steeply a query that is held in part falls behind one that is held whole. 8 instead of 20 cost titles .003, 50 is the same. */
export const COMPLETE_POWER = 20;

/** What a result's score is made of. */
export type Signal = "bm25" | "cosine" | "trigram" | "issue" | "bigram" | "complete" | "shape";

/**
 * Shares of the signals, each but `complete` scaled by its greatest value in the pool. The first five from a grid in steps of .05 over the first four
 * ways; the best twentieth of it has, in the mean, .09, .38, .08, .26, .19. BM25 over all words earns nothing where the issue is a title (it
 * cuts the pool already) and .005 where all fixes have one key, so it keeps a small share. `complete` is for words that were picked from one
 * record, in any order: of 200 such queries nDCG is .839 without it, .899 with .15, .931 with .3, .936 with .4; titles lose .001.
 */
export const WEIGHTS: Readonly<Record<Signal, number>> = {
  bm25: 0.05,
  cosine: 0.3,
  trigram: 0.15,
  issue: 0.25,
  bigram: 0.25,
  complete: 0.3,
  shape: 0.1,
};

/**
 * How far a fix's record of success moves its score, either way. Bounded, so that the right fix for something else never passes the fix of this
 * issue; a choice, not a measurement: the tuning split has no outcomes.
 */
export const SUCCESS_REACH = 0.15;

/**
 * What `recall --best` believes. On the tuning split, each query asked as it is and once more where its duplicates are absent (150 questions, 44 with the right
 * report on top): the area under the ROC curve is .82 for this sum, .75 for the covered part alone, .73 for the issue's part, .71 for the lead.
 */
export const CONFIDENCE = { covered: 0.35, returned: 0.35, lead: 0.3, leadScale: 2 } as const;

/** `npm run bench:recall -- --calibrate` prints the table. At this value 34 of the 150 were answered, 25 of them right. */
export const BEST_THRESHOLD = 0.6;

/**
 * What a word of a log counts by the best line it stands on. Choices, not measurements: with shapes, the right fix of a stack trace is first as often with
 * all of them at 1.
 */
export const LINE_WEIGHTS: Readonly<Record<LineKind, number>> = {
  head: 1,
  plain: 0.5,
  own: 0.5,
  quiet: 0.1,
  framework: 0.1,
};

/** Sørensen-Dice of trigrams (ends included): `redsi` and `redi` have .44, `timout` and `timeout` .62, words of other things mostly below .35. */
export const MIN_SIMILARITY = 0.4;
