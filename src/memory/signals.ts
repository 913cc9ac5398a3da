/** The signals of the ranking, computed over the pool alone: nothing is fitted, nothing is kept. */
import { idf, strengthOf } from "./plan.ts";
import type { Candidate, TermStatistics } from "./port.ts";
import type { ReadQuery } from "./read-query.ts";
import { B, COMPLETE_POWER, K1, type Signal, TITLE_WEIGHT } from "./tuning.ts";

/** What a signal says of a candidate: higher is better, 0 is nothing in common. */
export type Score = (profile: Profile) => number;

/** A candidate as the signals see it. */
export interface Profile {
  id: string;
  title: readonly string[];
  body: readonly string[];
  shapes: ReadonlySet<string>;
  /** Times a term occurs, one in the title counted as three. */
  frequencies: ReadonlyMap<string, number>;
  titleFrequencies: ReadonlyMap<string, number>;
  /** Words, those of the title counted three times. */
  length: number;
}

export function profileOf({ id, prepared }: Candidate): Profile {
  const [title, body] = [tokensOf(prepared.title), tokensOf(prepared.body)];
  const titleFrequencies = count(title, 1, new Map());
  const frequencies = count(body, 1, count(title, TITLE_WEIGHT, new Map()));
  return {
    id,
    title,
    body,
    shapes: new Set(tokensOf(prepared.shape)),
    frequencies,
    titleFrequencies,
    length: TITLE_WEIGHT * title.length + body.length,
  };
}

const tokensOf = (text: string) => (text === "" ? [] : text.split(" "));

function count(
  items: Iterable<string>,
  weight: number,
  counts: Map<string, number>,
): ReadonlyMap<string, number> & Map<string, number> {
  for (const item of items) counts.set(item, (counts.get(item) ?? 0) + weight);
  return counts;
}

/** Saturation of a term's frequency, Okapi BM25. */
const saturate = (frequency: number, length: number, average: number) =>
  (frequency * (K1 + 1)) / (frequency + K1 * (1 - B + (B * length) / Math.max(1, average)));

/** What BM25 needs of a record: of a candidate, before it is in the pool, only the asked terms are counted. */
export type Counts = Pick<Profile, "frequencies" | "shapes" | "length">;

/** How often a candidate holds each of some terms. */
export function countsOf({ prepared }: Candidate, terms: ReadonlySet<string>): Counts {
  const [title, body] = [tokensOf(prepared.title), tokensOf(prepared.body)];
  const frequencies = new Map<string, number>();
  for (const token of title)
    if (terms.has(token)) frequencies.set(token, (frequencies.get(token) ?? 0) + TITLE_WEIGHT);
  for (const token of body) if (terms.has(token)) frequencies.set(token, (frequencies.get(token) ?? 0) + 1);
  return {
    frequencies,
    shapes: new Set(tokensOf(prepared.shape)),
    length: TITLE_WEIGHT * title.length + body.length,
  };
}

/** Exact BM25 of words over title and text. Sums run in the order of `terms`: floating-point sums depend on it. */
export function bm25(
  terms: readonly string[],
  weights: ReadonlyMap<string, number>,
  statistics: TermStatistics,
): (counts: Counts) => number {
  const { documents, titleLength, bodyLength, frequencies: df } = statistics;
  const average = (TITLE_WEIGHT * titleLength + bodyLength) / Math.max(1, documents);
  const weighted = terms.map(
    (term) => [term, (weights.get(term) ?? 0) * idf(df.get(term) ?? 0, documents)] as const,
  );
  return ({ frequencies, shapes, length }) => {
    let score = 0;
    for (const [term, weight] of weighted) {
      const frequency = frequencies.get(term) ?? (shapes.has(term) ? 1 : 0);
      if (frequency > 0) score += weight * saturate(frequency, length, average);
    }
    return score;
  };
}

/** BM25 of the issue's words alone. */
function issueBm25(
  terms: readonly string[],
  { weights }: ReadQuery,
  { documents, titleLength, frequencies: df }: TermStatistics,
): Score {
  const average = titleLength / Math.max(1, documents);
  const weighted = terms.map(
    (term) => [term, (weights.get(term) ?? 0) * idf(df.get(term) ?? 0, documents)] as const,
  );
  return ({ titleFrequencies, title }) => {
    let score = 0;
    for (const [term, weight] of weighted) {
      const frequency = titleFrequencies.get(term) ?? 0;
      if (frequency > 0) score += weight * saturate(frequency, title.length, average);
    }
    return score;
  };
}

/**
 * Cosine of tf-idf vectors, log tf (Salton and Buckley 1988). Of the words that the query does not have only the pool knows how rare they are:
 * their idf is taken from it, scaled to the store's. Asking the store for all of them gained .003 and cost a second round trip.
 */
function cosine(
  terms: readonly string[],
  { weights }: ReadQuery,
  { documents, frequencies: df }: TermStatistics,
  pool: readonly Profile[],
): Score {
  const inPool = countEach(pool.map(({ frequencies }) => frequencies.keys()));
  const scale = idf(1, documents) / idf(1, pool.length);
  const known = new Map(terms.map((term) => [term, idf(df.get(term) ?? 0, documents)]));
  const idfOf = (term: string) => known.get(term) ?? scale * idf(inPool.get(term)!, pool.length);
  let own = 0;
  for (const [term, weight] of known) own += ((weights.get(term) ?? 0) * weight) ** 2;
  return ({ frequencies }) => {
    let [product, norm] = [0, 0];
    for (const [term, frequency] of frequencies) {
      const weight = (1 + Math.log(frequency)) * idfOf(term);
      norm += weight * weight;
      const asked = known.get(term);
      if (asked !== undefined) product += weight * (weights.get(term) ?? 0) * asked;
    }
    return product === 0 ? 0 : product / Math.sqrt(norm * own);
  };
}

/** BM25 of character trigrams of the words, within words, their frequencies counted in the pool: what inflection, typos and compounds share. */
function trigram(terms: readonly string[], pool: readonly Profile[]): Score {
  const wanted = new Set(terms.flatMap(trigramsOf));
  /** Words repeat from record to record: those of their trigrams that count. */
  const shared = new Map<string, readonly string[]>();
  const sharedBy = (word: string) => {
    const known = shared.get(word);
    if (known) return known;
    const grams = trigramsOf(word).filter((gram) => wanted.has(gram));
    shared.set(word, grams);
    return grams;
  };
  const counted = new Map(
    pool.map((profile) => {
      const counts = new Map<string, number>();
      let length = 0;
      for (const [word, frequency] of profile.frequencies) {
        // a word has as many trigrams, its ends included, as characters
        length += frequency * word.length;
        count(sharedBy(word), frequency, counts);
      }
      return [profile, { counts, length }];
    }),
  );
  const found = countEach([...counted.values()].map(({ counts }) => counts.keys()));
  const average = mean([...counted.values()].map(({ length }) => length));
  return (profile) => {
    const { counts, length } = counted.get(profile)!;
    let score = 0;
    for (const gram of wanted) {
      const frequency = counts.get(gram);
      if (frequency !== undefined)
        score += idf(found.get(gram)!, pool.length) * saturate(frequency, length, average);
    }
    return score;
  };
}

/** `lock` → " lo", "loc", "ock", "ck ". */
export function trigramsOf(word: string): string[] {
  const padded = ` ${word} `;
  return Array.from({ length: word.length }, (_, start) => padded.slice(start, start + 3));
}

/** BM25 of pairs of words that stand side by side in the query and in the record; the idf of a pair is that of both words. */
function bigram({ runs }: ReadQuery, statistics: TermStatistics, pool: readonly Profile[]): Score {
  const { documents, titleLength, bodyLength, frequencies: df } = statistics;
  const average = (TITLE_WEIGHT * titleLength + bodyLength) / Math.max(1, documents);
  const idfOf = (term: string) => idf(df.get(term) ?? 0, documents);
  const wanted = new Map<string, number>();
  for (const run of runs) for (const [a, b] of pairsOf(run)) wanted.set(`${a} ${b}`, idfOf(a) + idfOf(b));
  const counted = new Map(
    pool.map((profile) => {
      const counts = new Map<string, number>();
      for (const [tokens, weight] of [
        [profile.title, TITLE_WEIGHT],
        [profile.body, 1],
      ] as const)
        for (const [a, b] of pairsOf(tokens)) {
          const pair = `${a} ${b}`;
          if (wanted.has(pair)) counts.set(pair, (counts.get(pair) ?? 0) + weight);
        }
      return [profile, counts];
    }),
  );
  return (profile) => {
    const counts = counted.get(profile)!;
    let score = 0;
    for (const [pair, weight] of wanted) {
      const frequency = counts.get(pair);
      if (frequency !== undefined) score += weight * saturate(frequency, profile.length, average);
    }
    return score;
  };
}

function* pairsOf(tokens: readonly string[]): Generator<[string, string]> {
  for (let index = 0; index + 1 < tokens.length; index += 1) yield [tokens[index]!, tokens[index + 1]!];
}

/**
 * How completely a record holds the query: the share of its words' weight, steeply. Not relative to the pool: where nothing holds nearly all of a
 * query, as of a long one, it says nothing.
 */
function complete(terms: readonly string[], { weights }: ReadQuery, statistics: TermStatistics): Score {
  const weighted = terms.map((term) => [term, strengthOf(term, weights, statistics)] as const);
  const total = weighted.reduce((sum, [, strength]) => sum + strength, 0);
  return ({ frequencies }) => {
    let held = 0;
    for (const [term, strength] of weighted) if (frequencies.has(term)) held += strength;
    return total === 0 ? 0 : (held / total) ** COMPLETE_POWER;
  };
}

/** The idf of the query's shapes that the record has, as a share of all that are known. */
function shape({ shapes }: ReadQuery, { documents, frequencies: df }: TermStatistics): Score {
  const known = shapes
    .filter((token) => df.has(token))
    .map((token) => [token, idf(df.get(token)!, documents)] as const);
  const total = known.reduce((sum, [, weight]) => sum + weight, 0);
  return (profile) =>
    known.reduce((sum, [token, weight]) => sum + (profile.shapes.has(token) ? weight / total : 0), 0);
}

/** All signals over a pool. @param terms the query's words that rank, strongest first */
export function signalsOf(
  query: ReadQuery,
  terms: readonly string[],
  statistics: TermStatistics,
  pool: readonly Profile[],
): Record<Signal, Score> {
  return {
    bm25: bm25(terms, query.weights, statistics),
    cosine: cosine(terms, query, statistics, pool),
    trigram: trigram(terms, pool),
    issue: issueBm25(terms, query, statistics),
    bigram: bigram(query, statistics, pool),
    complete: complete(terms, query, statistics),
    shape: shape(query, statistics),
  };
}

/** In how many of the lists each item occurs. */
function countEach(lists: readonly Iterable<string>[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const list of lists) count(list, 1, counts);
  return counts;
}

const mean = (values: readonly number[]) =>
  values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
