/** A store, and what is laid over it. */
import type { Call } from "../call.ts";
import type { EventView, RecordView } from "./model.ts";
import { mergeRecords, passes } from "./overlay-merge.ts";
import type { EventCursor, MemoryStore, RecordFilter } from "./port.ts";

export interface Layers {
  store: MemoryStore;
  /** Holds just the queued writes. */
  queued: MemoryStore;
  /** Ids of records that a queued write forgets. */
  forgotten: ReadonlySet<string>;
}

/** More than the queue holds for one read (see `queuedWrites`). */
export const ALL = 1_000_000;
/** Events that are read in one step. */
const STEP = 1000;

/** Without the forgotten ones. */
export function visibleOf<T extends { id: string }>({ forgotten }: Layers, rows: readonly T[]): T[] {
  return rows.filter(({ id }) => !forgotten.has(id));
}

/** Visible records by id; events of both layers add up. */
export async function merged(layers: Layers, call: Call, ids: readonly string[]): Promise<RecordView[]> {
  const [stored, waiting] = await Promise.all([
    layers.store.byIds(call, ids),
    layers.queued.byIds(call, ids),
  ]);
  return mergeRecords(visibleOf(layers, stored), waiting);
}

/** All records of the queue. */
export function waitingRecords({ queued }: Layers, call: Call): Promise<RecordView[]> {
  return queued.records(call, {}, { limit: ALL, offset: 0 });
}

/** Those of these queued records that pass as they will be once they are delivered: neither layer alone knows. */
export async function passing(
  layers: Layers,
  call: Call,
  ids: readonly string[],
  filter: RecordFilter,
): Promise<RecordView[]> {
  const { agent, ...rest } = filter;
  const records = (await merged(layers, call, ids)).filter((record) => passes(record, rest));
  if (agent === undefined) return records;
  const one = { limit: 1, offset: 0 };
  const kept: RecordView[] = [];
  for (const record of records) {
    const ofAgent = { agent, record: record.id };
    const events = [layers.queued, layers.store].map((store) => store.events(call, ofAgent, one));
    if ((await Promise.all(events)).some((found) => found.length > 0)) kept.push(record);
  }
  return kept;
}

/**
 * Records that the store counts, and that count otherwise once the queue is delivered: forgotten ones not at all, those that are remembered
 * again only once.
 */
export async function countedTwice(layers: Layers, call: Call): Promise<RecordView[]> {
  const waiting = await waitingRecords(layers, call);
  return layers.store.byIds(call, [...waiting.map(({ id }) => id), ...layers.forgotten]);
}

/** Events of the store, newest first, without those of forgotten records, until `enough` of them were taken. */
export async function visibleEvents(
  { store, forgotten }: Layers,
  call: Call,
  filter: RecordFilter,
  after: EventCursor | undefined,
  enough: number,
): Promise<EventView[]> {
  const found: EventView[] = [];
  let place = after;
  while (found.length < enough) {
    const limit = Math.min(STEP, enough - found.length + forgotten.size);
    const events = await store.events(call, filter, { limit, offset: 0, ...(place ? { after: place } : {}) });
    found.push(...events.filter(({ recordId }) => !forgotten.has(recordId)));
    const last = events.at(-1);
    if (events.length < limit || !last) break;
    place = { at: last.at, id: last.id };
  }
  return found;
}

/** Events that the store still counts although their record is forgotten. */
export async function forgottenEvents(
  { store, forgotten }: Layers,
  call: Call,
  filter: RecordFilter,
): Promise<EventView[]> {
  const none = { store, queued: store, forgotten: new Set<string>() };
  const events: EventView[] = [];
  for (const record of forgotten)
    events.push(...(await visibleEvents(none, call, { ...filter, record }, undefined, ALL)));
  return events;
}
