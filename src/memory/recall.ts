import { type Call, throwIfAborted } from "../call.ts";
import { type Degraded, type EngineName, toDegraded } from "../errors.ts";
import { INDEX_VERSION } from "./analyze.ts";
import { ISSUE_PREFIX, type RecordView } from "./model.ts";
import { planSearch, type SearchPlan } from "./plan.ts";
import type { Candidate, MemoryStore, RecordFilter, TermStatistics } from "./port.ts";
import { type Part, type Ranked, rank, round } from "./rank.ts";
import { type ReadQuery, readQuery } from "./read-query.ts";
import { lookFor, MAX_VOCABULARY, type Replacement, replacementsOf, unknownWords } from "./spelling.ts";
import type { Stores } from "./stores.ts";
import { type Success, successOf } from "./success.ts";
import { CANDIDATE_LIMIT, POOL_SIZE, ROW_BUDGET, SHAPE_WEIGHT, SUCCESS_REACH } from "./tuning.ts";

/** Why a record is in the list: its key is the query, starts with it, or its text shares words with it. */
export type Match = "key" | "prefix" | "text";

export interface RecallResult {
  record: RecordView;
  match: Match;
  /** Sum of the shares of `parts` and of `successShare`; 0 for a key match without a word in common. */
  score: number;
  /** By signal; empty for a key match without a word in common. */
  parts: Part[];
  success: Success;
  successShare: number;
  /** Terms of the query that it holds, strongest first. */
  matched: string[];
}

/** A page must come from the same pool as the first, or the list would shift. */
export interface RecallPage {
  /** Results of the pages before. */
  offset: number;
  pool: number;
}

export interface RecallQuery {
  text: string;
  limit: number;
  filter: RecordFilter;
  /** A later page of the same list. */
  page?: RecallPage | undefined;
}

/** How the answer came about. */
export interface Search {
  /** The query without spaces around it. */
  text: string;
  query: ReadQuery;
  plan: SearchPlan;
  statistics: TermStatistics;
  /** By unknown word of the query. */
  replaced: Map<string, Replacement[]>;
  /** More rows matched than a store was allowed to look at. */
  isCut: boolean;
  /** Engines whose index lacks what this opsctl writes. */
  outdated: EngineName[];
}

export interface Recalled {
  results: RecallResult[];
  /** Where the list goes on; null at its end. */
  next: RecallPage | null;
  search: Search;
  degraded: Degraded[];
}

/**
 * The records that fit a query: exact key, key prefix, then text by score; ties by success, last seen, id. Stores are asked together and
 * their answers merged by id, so that the list is the same whichever of them is up.
 */
export async function recall(call: Call, stores: Stores, query: RecallQuery): Promise<Recalled> {
  const lost: Degraded[] = [];
  const failed = new Set<string>();
  for (;;) {
    const { value: readable, degraded } = await stores.readable(call);
    try {
      const answer = await recallFrom(
        call,
        readable.map(({ identity, store }) => guarded(identity, store)),
        query,
      );
      return { ...answer, degraded: lost.length > 0 ? [...lost] : degraded };
    } catch (error) {
      throwIfAborted(call);
      // a store went away under the query: once more without it; the embedded file has no substitute
      if (!(error instanceof StoreFailure) || !stores.usesServers) throw unwrap(error);
      // one that is asked again although it failed, as the queue alone, has no substitute either: each round has one store less
      if (failed.has(error.identity)) throw error.reason;
      failed.add(error.identity);
      stores.markDown(error.identity, error.reason);
      lost.push(toDegraded(error.engine, error.reason));
      const others = degraded.filter(({ engine }) => lost.every((known) => known.engine !== engine));
      lost.push(...others);
    }
  }
}

async function recallFrom(
  call: Call,
  stores: readonly MemoryStore[],
  { text, limit, filter, page }: RecallQuery,
): Promise<Omit<Recalled, "degraded">> {
  const { offset, pool } = page ?? { offset: 0, pool: limit <= POOL_SIZE ? POOL_SIZE : CANDIDATE_LIMIT };
  const wanted = offset + limit;
  const [keys, first] = await Promise.all([
    keyMatches(call, stores, text, filter, wanted + 1),
    search(call, stores, withShapes(readQuery(text)), filter),
  ]);
  const found = await withReplacements(call, stores, filter, first, keys.size, wanted);
  const ranked = rank(found.query, found.plan, found.statistics, found.candidates, {
    pool,
  });
  const byId = new Map(within(ranked, wanted).map((result) => [result.id, result]));
  const records = await fetchRecords(call, stores, [...new Set([...keys.keys(), ...byId.keys()])]);
  const all = records
    .map((record) => resultOf(record, keys.get(record.id) ?? "text", byId.get(record.id)))
    .sort(bestFirst);
  const { candidates: _, ...how } = found;
  const next = all.length > wanted ? { offset: wanted, pool } : null;
  return { results: all.slice(offset, wanted), next, search: { ...how, text: text.trim() } };
}

/** Of a ranked list those that can still be among the first `wanted` and the one after, however well or badly they worked. */
function within(ranked: readonly Ranked[], wanted: number): Ranked[] {
  const last = ranked[wanted]?.score ?? 0;
  const least = (last * (1 - SUCCESS_REACH)) / (1 + SUCCESS_REACH);
  return ranked.filter(({ score }) => score >= least);
}

function resultOf(record: RecordView, match: Match, ranked: Ranked | undefined): RecallResult {
  const success = successOf(record);
  const text = ranked?.score ?? 0;
  const successShare = round(text * (success.multiplier - 1));
  const score = round(text + successShare);
  const { parts, matched } = ranked ?? { parts: [], matched: [] };
  return { record, match, score, parts, success, successShare, matched };
}

/** Shapes are searched like words. */
function withShapes(query: ReadQuery): ReadQuery {
  const shapes = query.shapes.map((shape) => [shape, SHAPE_WEIGHT] as const);
  return { ...query, weights: new Map([...query.weights, ...shapes]) };
}

type Found = Omit<Search, "text"> & { candidates: Candidate[] };

async function search(
  call: Call,
  stores: readonly MemoryStore[],
  query: ReadQuery,
  filter: RecordFilter,
): Promise<Found> {
  const terms = [...query.weights.keys()];
  const all = await Promise.all(stores.map((store) => store.terms(call, terms)));
  const statistics = mergeStatistics(all);
  const plan = planSearch(query.weights, statistics);
  const answers = await Promise.all(
    stores.map((store) => store.candidates(call, plan.wanted, filter, CANDIDATE_LIMIT, ROW_BUDGET)),
  );
  const candidates = new Map(
    answers.flatMap((answer) => answer.candidates).map((candidate) => [candidate.id, candidate]),
  );
  return {
    query,
    plan,
    statistics,
    candidates: [...candidates.values()],
    isCut: answers.some(({ isCut }) => isCut),
    replaced: new Map(),
    outdated: stores
      .filter((_, index) => all[index]!.indexVersion < INDEX_VERSION)
      .map(({ engine }) => engine),
  };
}

/** Where the words found too little, words that nothing matches are replaced by those of the index that are like them. */
async function withReplacements(
  call: Call,
  stores: readonly MemoryStore[],
  filter: RecordFilter,
  first: Found,
  keyMatchCount: number,
  wanted: number,
): Promise<Found> {
  const { query, statistics, candidates } = first;
  // in a log many words are unknown, and none of them is a typo
  if (query.isNoisy || candidates.length + keyMatchCount >= wanted) return first;
  const weights = new Map(query.weights);
  const replaced = new Map<string, Replacement[]>();
  for (const word of unknownWords(query.weights, statistics.frequencies)) {
    const { pieces, lengths } = lookFor(word);
    const answers = await Promise.all(
      stores.map((store) => store.vocabulary(call, pieces, lengths, MAX_VOCABULARY)),
    );
    const vocabulary = new Map(answers.flat().map((entry) => [entry.term, entry]));
    const replacements = replacementsOf(word, [...vocabulary.values()]);
    if (replacements.length > 0) replaced.set(word, replacements);
    for (const { term, similarity } of replacements) {
      weights.set(term, Math.max(weights.get(term) ?? 0, similarity * query.weights.get(word)!));
    }
  }
  if (replaced.size === 0) return first;
  const second = await search(call, stores, { ...query, weights }, filter);
  return { ...second, replaced };
}

/** Records whose key is the query (with or without `issue:`) or starts with it. */
async function keyMatches(
  call: Call,
  stores: readonly MemoryStore[],
  text: string,
  filter: RecordFilter,
  limit: number,
): Promise<Map<string, Match>> {
  const folded = text.trim().toLowerCase();
  const matches = new Map<string, Match>();
  // a key has at most 512 bytes and one line
  if (folded === "" || folded.length > 512 || folded.includes("\n")) return matches;
  const asked = stores.flatMap((store) => [
    store.keyMatches(call, folded, filter, limit),
    folded.startsWith(ISSUE_PREFIX)
      ? []
      : store
          .keyMatches(call, ISSUE_PREFIX + folded, filter, limit)
          .then((found) => found.filter(({ exact }) => exact)),
  ]);
  for (const { id, exact } of (await Promise.all(asked)).flat()) {
    if (exact || !matches.has(id)) matches.set(id, exact ? "key" : "prefix");
  }
  return matches;
}

/** The greatest corpus speaks for the lengths, and of each frequency the greatest is the least outdated. */
function mergeStatistics(all: readonly TermStatistics[]): TermStatistics {
  const largest = all.reduce((best, next) => (next.documents > best.documents ? next : best));
  const frequencies = new Map<string, number>();
  for (const statistics of all) {
    for (const [term, df] of statistics.frequencies)
      frequencies.set(term, Math.max(df, frequencies.get(term) ?? 0));
  }
  return { ...largest, frequencies };
}

/** Each record from the first store that has it. */
async function fetchRecords(
  call: Call,
  stores: readonly MemoryStore[],
  ids: readonly string[],
): Promise<RecordView[]> {
  const found = new Map<string, RecordView>();
  for (const store of stores) {
    const missing = ids.filter((id) => !found.has(id));
    if (missing.length === 0) break;
    for (const record of await store.byIds(call, missing)) found.set(record.id, record);
  }
  return [...found.values()];
}

const MATCH_ORDER: Readonly<Record<Match, number>> = { key: 0, prefix: 1, text: 2 };
const successOrder = (success: boolean | null) => (success === true ? 0 : success === null ? 1 : 2);

function bestFirst(a: RecallResult, b: RecallResult): number {
  return (
    MATCH_ORDER[a.match] - MATCH_ORDER[b.match] ||
    // fixes of the very key that is asked for are all about it: the one that works comes first, however long its text is
    (a.match === "key" ? b.success.multiplier - a.success.multiplier : 0) ||
    b.score - a.score ||
    successOrder(a.record.success) - successOrder(b.record.success) ||
    b.record.lastSeen - a.record.lastSeen ||
    (a.record.id < b.record.id ? -1 : 1)
  );
}

/** Says which store failed, so that the query can go on without it. */
class StoreFailure extends Error {
  readonly identity: string;
  readonly engine: EngineName;
  readonly reason: unknown;

  constructor(identity: string, engine: EngineName, reason: unknown) {
    super("a store failed");
    this.identity = identity;
    this.engine = engine;
    this.reason = reason;
  }
}

const unwrap = (error: unknown) => (error instanceof StoreFailure ? error.reason : error);

function guarded(identity: string, store: MemoryStore): MemoryStore {
  const guard =
    <A extends unknown[], R>(method: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      try {
        return await method(...args);
      } catch (error) {
        throw new StoreFailure(identity, store.engine, error);
      }
    };
  return {
    ...store,
    terms: guard(store.terms),
    candidates: guard(store.candidates),
    vocabulary: guard(store.vocabulary),
    keyMatches: guard(store.keyMatches),
    byIds: guard(store.byIds),
  };
}
