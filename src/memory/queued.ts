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

/** The writes that wait for any of the stores; undefined when none does. */
export async function queuedWrites(
  call: Call,
  journal: Journal,
  scratch: () => Promise<MemoryStore>,
  handles: readonly StoreHandle[],
): Promise<Queued | undefined> {
  if (await journal.isEmpty()) return undefined;
  let queued: Queued | undefined;
  for (const { identity, engine } of handles) {
    let after = 0;
    for (let count = 0; ; ) {
      const batch = await journal.waiting(call, identity, after, BATCH_SIZE);
      if (batch.length === 0) break;
      queued ??= { store: await scratch(), forgotten: new Set() };
      await queued.store.apply(
        call,
        batch.map(({ write }) => prepareWrite(write)),
      );
      for (const { write } of batch) {
        if (write.kind === "forget") queued.forgotten.add(write.recordId);
        if (write.kind === "remember") queued.forgotten.delete(write.record.id);
      }
      after = batch.at(-1)!.seq;
      count += batch.length;
      if (count < OVERLAY_LIMIT) continue;
      call.log("WARNING", `only the oldest ${count} queued writes are shown`, { engine });
      break;
    }
  }
  return queued;
}
