import type { Call } from "../call.ts";
import type { EngineName } from "../errors.ts";
import type { Agent, EventView, Outcome, Prepared, RecordView, Write } from "./model.ts";

/** Which records (or events) a listing or a recall may return. Every condition must hold. */
export interface RecordFilter {
  /** Latest event at or after this time, ms. */
  since?: number;
  /** Success of the latest event; `false` does not match null. */
  success?: boolean;
  /** Lower-case substring of the folded issue: the folded key without `issue:` (a key that is no issue is taken whole). */
  issue?: string;
  /** The record has an event of this agent. */
  agent?: string;
  /** Id of the record. */
  record?: string;
  /** The whole folded key of the record. */
  key?: string;
}

/** Place of a row in a list that is ordered by (at, id) of its (latest) event, newest first. */
export interface EventCursor {
  /** ms */
  at: number;
  /** Id of the event. */
  id: string;
}

export interface Page {
  limit: number;
  offset: number;
  /** Only rows that come after this place; `offset` counts from there. */
  after?: EventCursor;
}

/** How often a term occurs and how long the texts are: what BM25 needs to know of a corpus. */
export interface CorpusStatistics {
  documents: number;
  /** Sums of token counts over all visible records. */
  titleLength: number;
  bodyLength: number;
}

export interface TermStatistics extends CorpusStatistics {
  /** Document frequency of each asked term that occurs. */
  frequencies: Map<string, number>;
  /** Version of the analyzer that made the oldest entry of the index (see INDEX_VERSION). */
  indexVersion: number;
}

/** Terms that a record must hold all of. */
export type Conjunction = readonly string[];

export interface Candidates {
  candidates: Candidate[];
  /** The rows that match were more than the store was allowed to look at. */
  isCut: boolean;
}

/** A word of the index. */
export interface VocabularyTerm {
  term: string;
  /** Records that hold it. */
  df: number;
}

/** A record that shares a term with the query, with the tokens that were indexed for it. */
export interface Candidate {
  id: string;
  prepared: Prepared;
}

export interface SimilarIssue {
  /** Null when the key is no issue. */
  issue: string | null;
  key: string;
  /** Content of the record whose latest event is the newest of the group. */
  solution: string;
  occurrences: number;
  successes: number;
  failures: number;
  lastSeen: number;
}

/** Place of an issue in the order of `similar`. */
export type IssueCursor = Pick<SimilarIssue, "occurrences" | "lastSeen" | "key">;

export interface SimilarQuery {
  /** Lower-case part of the folded issue; "" for all. */
  type: string;
  /** Only events at or after this time, ms. */
  since?: number;
  /** Only issues that come after this place. */
  after?: IssueCursor;
  limit: number;
}

/** `parts` equal parts of the time from `from` to `to` (ms, `to` excluded). */
export interface Window {
  from: number;
  to: number;
  parts: number;
}

export interface SuccessCounts {
  total: number;
  successes: number;
  failures: number;
}

export interface StoreCounts {
  /** Visible records. */
  records: number;
  /** Visible records whose key is an issue. */
  fixes: number;
  /** Events of visible records. */
  events: number;
  agents: number;
  /** Distinct issues of visible records. */
  issues: number;
}

/**
 * What the memory needs of a store. Three stores implement it and one contract suite runs against each; whatever a method
 * returns is the same in all of them, order included. Forgotten records (tombstones) are invisible to every read.
 * Strings compare byte by byte. All methods throw OpsError only.
 */
export interface MemoryStore {
  readonly engine: EngineName;

  /**
   * Applies writes in the order given, in one transaction: all or none (a `conflict` is an outcome, not a failure).
   * Replaying any of them is harmless. Rules:
   * - remember: insert the record unless its id is known (known with other key, content or details: `conflict`); insert
   *   the event unless its id is known (other digest or record: `conflict`; same: `duplicate`, nothing else changes). A new event
   *   brings a forgotten record back when its `order` is later than the tombstone. Its agent, when not null, is
   *   created if unknown (server of the event, status `active`, last_seen = the event's `at`; any later `agent` write sets server and status), else its last_seen moves up
   *   to `at`. Index tokens, document frequencies and statistics change with the visibility of the record, in the same transaction.
   * - agent: unknown: created (`new`; a null status becomes `active`). Known: server and status, where not null, are taken when
   *   `at` is not before that of the last write which set them; last_seen never goes back.
   * - forget: `new` when the record was visible and no event of it is later (by `order`) than the tombstone; else `duplicate`.
   * A store that one host writes directly (SQLite) may take the order of the calls for `order`: a clock may step back.
   */
  apply(call: Call, writes: readonly PreparedWrite[]): Promise<Outcome[]>;

  /** All agents by name, or those of one status. */
  agents(call: Call, status?: string): Promise<Agent[]>;

  /** Records, the one with the newest latest event first (ties: greater event id first). */
  records(call: Call, filter: RecordFilter, page: Page): Promise<RecordView[]>;

  /** Single events (filter conditions apply to the event itself: since, success, agent, record), newest first. */
  events(call: Call, filter: RecordFilter, page: Page): Promise<EventView[]>;

  /** Visible records by id, in any order; unknown ids are left out. */
  byIds(call: Call, ids: readonly string[]): Promise<RecordView[]>;

  /** All visible events, in the order (at, id), in constant memory. */
  export(call: Call): AsyncIterable<EventView>;

  /**
   * Ids of records whose key is `key` (exact first), then those whose key starts with it; both groups newest latest event
   * first, at most `limit` together.
   */
  keyMatches(
    call: Call,
    key: string,
    filter: RecordFilter,
    limit: number,
  ): Promise<{ id: string; exact: boolean }[]>;

  terms(call: Call, terms: readonly string[]): Promise<TermStatistics>;

  /**
   * Records that hold all terms of at least one of the conjunctions and pass the filter, the best `limit` by the store's own BM25 order over
   * all these terms.
   * @param rows the store looks at no more matching rows than this (at the newest, where it can choose), and says when there were more
   */
  candidates(
    call: Call,
    wanted: readonly Conjunction[],
    filter: RecordFilter,
    limit: number,
    rows: number,
  ): Promise<Candidates>;

  /**
   * Words of the index (no shapes) that contain at least one of the pieces, of `lengths.min` to `lengths.max` characters: the most frequent
   * `limit` of them, ties by the word.
   * @param pieces 2 to 20 characters of [a-z0-9_] each
   */
  vocabulary(
    call: Call,
    pieces: readonly string[],
    lengths: { min: number; max: number },
    limit: number,
  ): Promise<VocabularyTerm[]>;

  /**
   * Issues (visible records grouped by key) whose folded issue contains `type`; most occurrences first, then newest, then key.
   */
  similar(call: Call, query: SimilarQuery): Promise<SimilarIssue[]>;

  /** Events of the visible records with exactly these keys, by part of the window, oldest first. Keys without any event in it are left out. */
  histogram(call: Call, keys: readonly string[], window: Window): Promise<Map<string, number[]>>;

  /** Events of visible records, optionally of those whose folded issue contains `type` and at or after `since`. */
  successCounts(call: Call, type: string | undefined, since: number | undefined): Promise<SuccessCounts>;

  counts(call: Call): Promise<StoreCounts>;

  /** How many tombstones are older (by `order`, ms). */
  tombstones(call: Call, beforeMs: number): Promise<number>;

  /**
   * Deletes the older tombstones with the events of their records, in bounded steps. From then on an older copy of such a record would come back:
   * what is still on its way must be younger. @returns how many went
   */
  pruneTombstones(call: Call, beforeMs: number): Promise<number>;
}

/** A write together with the analyzer's output for its record, so that stores never tokenize. */
export type PreparedWrite =
  | (Extract<Write, { kind: "remember" }> & { prepared: Prepared })
  | Exclude<Write, { kind: "remember" }>;
