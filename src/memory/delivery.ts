import { type Call, throwIfAborted } from "../call.ts";
import { type Degraded, type EngineName, type OpsError, toDegraded } from "../errors.ts";
import type { Breaker, StoreHandle } from "./breaker.ts";
import type { Journal } from "./journal.ts";
import type { Outcome, Write } from "./model.ts";
import { prepareWrite } from "./prepare-write.ts";

/** What one delivery to one store did. */
export interface Delivery {
  engine: EngineName;
  /** By journal number; of own writes also what another process delivered meanwhile. */
  outcomes: Map<number, Outcome>;
  /** Writes that were set aside: their ids are taken by other content. */
  rejected: number;
  /** Why it ended before everything was delivered. */
  failure: Degraded | null;
}

export interface DeliveryOptions {
  journal: Journal;
  breaker: Breaker;
  handle: StoreHandle;
  /** Journal numbers of the caller's own writes: it is told of their conflicts, so they need not be set aside. */
  own: readonly number[];
  /** Time after which the rest is left to a later delivery, ms. */
  budgetMs: number;
}

interface Entry {
  seq: number;
  write: Write;
}

const BATCH_SIZE = 500;

/** Sends a store what waits for it, oldest first. Replaying is harmless, so a delivery that broke off is simply repeated. */
export async function deliver(call: Call, options: DeliveryOptions): Promise<Delivery> {
  const { journal, handle, own, budgetMs } = options;
  const { engine, identity } = handle;
  const delivery: Delivery = { engine, outcomes: new Map(), rejected: 0, failure: null };
  const startedAt = performance.now();
  let after = 0;
  for (;;) {
    throwIfAborted(call);
    const batch = await journal.deliverable(call, identity, after, BATCH_SIZE);
    if (batch.length === 0) break;
    if (performance.now() - startedAt > budgetMs) {
      const message = `${engine}: older queued writes are still on their way`;
      delivery.failure = { engine, code: "partial", message };
      break;
    }
    after = batch.at(-1)!.seq;
    const failure = await deliverBatch(call, options, batch, delivery);
    if (!failure) continue;
    delivery.failure = toDegraded(engine, failure);
    break;
  }
  await settleOwn(
    call,
    options,
    own.filter((seq) => !delivery.outcomes.has(seq)),
    delivery,
  );
  if (delivery.outcomes.size > 0) call.log("INFO", "delivered", { engine, writes: delivery.outcomes.size });
  return delivery;
}

/**
 * One batch in one transaction. When the store refuses it as a whole, its writes go one by one, so that one that cannot be stored does
 * not keep the others; two refusals in a row are the store's fault and end the delivery.
 */
async function deliverBatch(
  call: Call,
  options: DeliveryOptions,
  batch: readonly Entry[],
  delivery: Delivery,
): Promise<OpsError | null> {
  const { journal, breaker, handle } = options;
  const writes = batch.map(({ write }) => prepareWrite(write));
  const answer = await breaker.try(call, handle, (store) => store.apply(call, writes), batch.length > 1);
  if ("value" in answer) {
    await record(call, options, batch, answer.value, delivery);
    return null;
  }
  if (batch.length === 1 || answer.error.code !== "failed") {
    await journal.failed(call, handle.identity, numbers(batch), answer.error.message, false);
    return answer.error;
  }
  let refusals = 0;
  for (const entry of batch) {
    const failure = await deliverBatch(call, options, [entry], delivery);
    refusals = failure ? refusals + 1 : 0;
    if (failure && (failure.code !== "failed" || refusals === 2)) return failure;
    breaker.close(handle.identity);
  }
  return null;
}

/** The store has the batch: its journal rows go, but for writes of others that it cannot take. */
async function record(
  call: Call,
  { journal, handle, own }: DeliveryOptions,
  batch: readonly Entry[],
  outcomes: readonly Outcome[],
  delivery: Delivery,
): Promise<void> {
  const ownSeqs = new Set(own);
  const rejected = batch.filter(({ seq }, index) => outcomes[index] === "conflict" && !ownSeqs.has(seq));
  const stored = batch.filter((entry) => !rejected.includes(entry));
  await journal.delivered(call, handle.identity, numbers(stored));
  if (rejected.length > 0) {
    await journal.failed(call, handle.identity, numbers(rejected), "its id is taken by other content", true);
    delivery.rejected += rejected.length;
  }
  for (const [index, { seq }] of batch.entries()) delivery.outcomes.set(seq, outcomes[index]!);
}

/** Own writes that this delivery did not meet: another process delivered them, or they still wait. */
async function settleOwn(
  call: Call,
  { journal, handle }: DeliveryOptions,
  missing: readonly number[],
  delivery: Delivery,
): Promise<void> {
  if (missing.length === 0) return;
  const remaining = await journal.remaining(call, handle.identity, missing);
  for (const seq of missing) {
    const state = remaining.get(seq);
    if (state === "waiting") continue;
    delivery.outcomes.set(seq, state === "rejected" ? "conflict" : "new");
    if (state === "rejected") await journal.delivered(call, handle.identity, [seq]);
  }
}

const numbers = (entries: readonly Entry[]) => entries.map(({ seq }) => seq);
