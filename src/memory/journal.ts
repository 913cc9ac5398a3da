import type { Call } from "../call.ts";
import type { Write } from "./model.ts";

/** A write without its time: the journal gives it one. */
export type NewWrite = Write extends infer W ? (W extends Write ? Omit<W, "order"> : never) : never;

export interface JournalEntry {
  seq: number;
  /** The store that does not have it yet. */
  store: string;
  state: "waiting" | "rejected";
  attempts: number;
  lastError: string | null;
  write: Write;
}

/**
 * Writes on their way to servers, on this host's disk. A write is accepted when `append` returns; it leaves when every store has
 * it. Throws OpsError only.
 */
export interface Journal {
  /**
   * Commits the writes, one row per store each, in one transaction. Returns them with their number and the time of the append, which is later
   * than that of any append before it.
   */
  append(
    call: Call,
    writes: readonly NewWrite[],
    stores: readonly string[],
  ): Promise<{ seq: number; write: Write }[]>;
  /** What waits for a store, oldest first, after `afterSeq`: at most `limit` writes, fewer when they are large, none only at the end. */
  waiting(
    call: Call,
    store: string,
    afterSeq: number,
    limit: number,
  ): Promise<{ seq: number; write: Write }[]>;
  /**
   * The same without what another living process has just written and is about to deliver: two processes that deliver one write do
   * no harm, but the second would take its own write for a duplicate.
   */
  deliverable(
    call: Call,
    store: string,
    afterSeq: number,
    limit: number,
  ): Promise<{ seq: number; write: Write }[]>;
  /** Which of these writes a store does not have, and in what state they are. */
  remaining(call: Call, store: string, seqs: readonly number[]): Promise<Map<number, JournalEntry["state"]>>;
  /** The store has these: their rows go, and the write with the last of them. */
  delivered(call: Call, store: string, seqs: readonly number[]): Promise<void>;
  /** A delivery failed; `rejected` takes it out of the way of the others. */
  failed(
    call: Call,
    store: string,
    seqs: readonly number[],
    reason: string,
    rejected: boolean,
  ): Promise<void>;
  /** What waits for one store waits for another from now on: the server has moved. */
  readdress(call: Call, from: string, to: string): Promise<void>;
  /** Waiting and rejected entries of a store, or of all. */
  counts(call: Call): Promise<{ store: string; waiting: number; rejected: number }[]>;
  list(call: Call, limit: number): Promise<JournalEntry[]>;
  /** A write by its number, with the first store that lacks it. */
  entry(call: Call, seq: number): Promise<JournalEntry | undefined>;
  /** Deletes a write for all stores. Returns false when there is none of that number. */
  drop(call: Call, seq: number): Promise<boolean>;
  /** True while no journal file exists: nothing can wait. */
  isEmpty(): Promise<boolean>;
}
