import type { Call } from "../call.ts";
import type { StoreHandle } from "./breaker.ts";
import type { Journal } from "./journal.ts";
import type { MemoryStore } from "./port.ts";
import { prepareWrite } from "./prepare-write.ts";

/** Writes on their way to stores, as a store of their own that reads can ask. */
export interface Queued {
  store: MemoryStore;
  /** Ids of records that a queued write forgets and none remembers again. */
  forgotten: Set<string>;
}

/** Queued writes of one store that a read lays over it; more would make reads slow, and the read says so. */
const OVERLAY_LIMIT = 10_000;
const BATCH_SIZE = 500;

/** What is laid over reads now, by journal and stores: writes of one number never change, so equal numbers are equal contents. */
const laid = new WeakMap<Journal, Map<string, { numbers: string; queued: Queued }>>();

/** The writes that wait for any of the stores; undefined when none does. The same object while the same writes wait: only read it. */
export async function queuedWrites(
  call: Call,
  journal: Journal,
  scratch: () => Promise<MemoryStore>,
  handles: readonly StoreHandle[],
): Promise<Queued | undefined> {
  if (await journal.isEmpty()) return undefined;
  const waiting: number[] = [];
  await eachBatch(call, journal, handles, (batch) => {
    for (const { seq } of batch) waiting.push(seq);
  });
  if (waiting.length === 0) return undefined;
  const stores = handles.map(({ identity }) => identity).join(" ");
  const known = laid.get(journal) ?? new Map<string, { numbers: string; queued: Queued }>();
  laid.set(journal, known);
  const last = known.get(stores);
  if (last?.numbers === waiting.join()) return last.queued;
  const queued: Queued = { store: await scratch(), forgotten: new Set() };
  const applied: number[] = [];
  await eachBatch(call, journal, handles, async (batch) => {
    await queued.store.apply(
      call,
      batch.map(({ write }) => prepareWrite(write)),
    );
    for (const { seq, write } of batch) {
      applied.push(seq);
      if (write.kind === "forget") queued.forgotten.add(write.recordId);
      if (write.kind === "remember") queued.forgotten.delete(write.record.id);
    }
  });
  known.set(stores, { numbers: applied.join(), queued });
  return queued;
}

/** A batch at a time: all texts together may be more than fits the memory. */
async function eachBatch(
  call: Call,
  journal: Journal,
  handles: readonly StoreHandle[],
  take: (batch: Awaited<ReturnType<Journal["waiting"]>>) => void | Promise<void>,
): Promise<void> {
  for (const { identity, engine } of handles) {
    let after = 0;
    for (let count = 0; ; ) {
      const batch = await journal.waiting(call, identity, after, BATCH_SIZE);
      if (batch.length === 0) break;
      await take(batch);
      after = batch.at(-1)!.seq;
      count += batch.length;
      if (count < OVERLAY_LIMIT) continue;
      call.log("WARNING", `only the oldest ${count} queued writes are shown`, { engine });
      break;
    }
  }
}
