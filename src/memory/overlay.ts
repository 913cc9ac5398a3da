import { compareBytes } from "./cursor.ts";
import type { EventView } from "./model.ts";
import { type Layers, passing, visibleEvents, visibleOf, waitingRecords } from "./overlay-layers.ts";
import { mergeAgents, newestFirst, newestRecordFirst, placeOfRecord } from "./overlay-merge.ts";
import { recallOver } from "./overlay-recall.ts";
import { viewsOver } from "./overlay-views.ts";
import type { MemoryStore } from "./port.ts";

/**
 * A store with the writes that are still on their way to it laid over: what was remembered is seen at once, and what was forgotten is
 * not seen any more, before the store itself knows. Its answers are those that the store will give once it has the writes,
 * but for the older events of a record that the store has forgotten and the queue remembers again: no read shows them before.
 * @param queued a store that holds just the queued writes
 * @param forgotten ids of records that a queued write forgets
 */
export function overlay(
  store: MemoryStore,
  queued: MemoryStore,
  forgotten: ReadonlySet<string>,
): MemoryStore {
  const layers: Layers = { store, queued, forgotten };
  return {
    engine: store.engine,

    apply: (call, writes) => store.apply(call, writes),

    async agents(call, status) {
      const [stored, waiting] = await Promise.all([store.agents(call), queued.agents(call)]);
      const agents = new Map(stored.map((agent) => [agent.name, agent]));
      for (const agent of waiting) agents.set(agent.name, mergeAgents(agents.get(agent.name), agent));
      return [...agents.values()]
        .filter((agent) => status === undefined || agent.status === status)
        .sort((a, b) => compareBytes(a.name, b.name));
    },

    async records(call, filter, { limit, offset, after }) {
      const waitingIds = (await waitingRecords(layers, call)).map(({ id }) => id);
      const touched = (await passing(layers, call, waitingIds, filter)).filter(
        (record) => !after || newestFirst(after, placeOfRecord(record)) < 0,
      );
      const known = new Set(waitingIds);
      const wanted = { limit: offset + limit + known.size + forgotten.size, offset: 0 };
      const stored = await store.records(call, filter, { ...wanted, ...(after ? { after } : {}) });
      return [...touched, ...visibleOf(layers, stored).filter(({ id }) => !known.has(id))]
        .sort(newestRecordFirst)
        .slice(offset, offset + limit);
    },

    async events(call, filter, { limit, offset, after }) {
      const page = { limit: offset + limit, offset: 0, ...(after ? { after } : {}) };
      const waiting = await queued.events(call, filter, page);
      const stored = await visibleEvents(layers, call, filter, after, offset + limit);
      const events = new Map([...stored, ...waiting].map((event) => [event.id, event]));
      return [...events.values()].sort(newestFirst).slice(offset, offset + limit);
    },

    async *export(call) {
      const waiting = new Map<string, EventView>();
      for await (const event of queued.export(call)) waiting.set(event.id, event);
      for await (const event of store.export(call)) {
        if (!forgotten.has(event.recordId) && !waiting.has(event.id)) yield event;
      }
      yield* waiting.values();
    },

    // what waits is younger than anything that is pruned
    tombstones: (call, beforeMs) => store.tombstones(call, beforeMs),
    pruneTombstones: (call, beforeMs) => store.pruneTombstones(call, beforeMs),

    ...recallOver(layers),
    ...viewsOver(layers),
  };
}
