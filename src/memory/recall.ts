import { type Call, throwIfAborted } from "../call.ts";
import { type Degraded, type EngineName, toDegraded } from "../errors.ts";
import { queryTerms } from "./analyze.ts";
import type { RecordView } from "./model.ts";
import type { Candidate, MemoryStore, RecordFilter, TermStatistics } from "./port.ts";
import { CANDIDATE_LIMIT, chooseTerms, rank } from "./rank.ts";
import type { Stores } from "./stores.ts";

/** Why a record is in the list: its key is the query, starts with it, or its text shares words with it. */
export type Match = "key" | "prefix" | "text";

export interface RecallResult {
  record: RecordView;
  score: number;
  match: Match;
}

export interface RecallQuery {
  text: string;
  limit: number;
  filter: RecordFilter;
}

/** Characters of a query that are read; the rest of a pasted log adds time, not meaning. */
const MAX_QUERY_CHARACTERS = 100_000;

/**
 * The records that fit a query: exact key, key prefix, then text by score; ties by success, last seen, id. Stores are asked together and
 * their answers merged by id, so that the list is the same whichever of them is up.
 */
export async function recall(
  call: Call,
  stores: Stores,
  query: RecallQuery,
): Promise<{ results: RecallResult[]; degraded: Degraded[] }> {
  const lost: Degraded[] = [];
  for (;;) {
    const { value: readable, degraded } = await stores.readable(call);
    try {
      const results = await recallFrom(
        call,
        readable.map(({ identity, store }) => guarded(identity, store)),
        query,
      );
      return { results, degraded: lost.length > 0 ? [...lost] : degraded };
    } catch (error) {
      throwIfAborted(call);
      // a store went away under the query: once more without it; the embedded file has no substitute
      if (!(error instanceof StoreFailure) || !stores.usesServers) throw unwrap(error);
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
  { text, limit, filter }: RecallQuery,
): Promise<RecallResult[]> {
  const query = text.slice(0, MAX_QUERY_CHARACTERS);
  const weights = queryTerms(query);
  const terms = [...weights.keys()];
  const statistics = mergeStatistics(await Promise.all(stores.map((store) => store.terms(call, terms))));
  const sent = chooseTerms(terms, statistics);
  const foldedKey = query.trim().toLowerCase();
  const answers = await Promise.all(
    stores.map(async (store) => {
      const [candidates, keys] = await Promise.all([
        store.candidates(call, sent, filter, CANDIDATE_LIMIT),
        foldedKey === "" || foldedKey.includes("\n") ? [] : store.keyMatches(call, foldedKey, filter, limit),
      ]);
      return { candidates, keys };
    }),
  );
  const candidates = new Map<string, Candidate>();
  const matches = new Map<string, Match>();
  for (const answer of answers) {
    for (const candidate of answer.candidates) candidates.set(candidate.id, candidate);
    for (const { id, exact } of answer.keys) matches.set(id, exact ? "key" : "prefix");
  }
  const ranked = rank(weights, sent, statistics, [...candidates.values()], limit);
  const scores = new Map(ranked.map(({ id, score }) => [id, score]));
  const records = await fetchRecords(call, stores, [...new Set([...matches.keys(), ...scores.keys()])]);
  return records
    .map((record) => ({
      record,
      score: scores.get(record.id) ?? 0,
      match: matches.get(record.id) ?? ("text" as const),
    }))
    .sort(bestFirst)
    .slice(0, limit);
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
    keyMatches: guard(store.keyMatches),
    byIds: guard(store.byIds),
  };
}
