import type { Call } from "../call.ts";
import { type EventView, issueOf, type MemoryRecord, type RecordView } from "./model.ts";
import {
  countOutcomes,
  foldedIssue,
  mergeAgents,
  mergeRecords,
  mergeSimilar,
  newestFirst,
  passes,
} from "./overlay-merge.ts";
import type { MemoryStore, SimilarIssue } from "./port.ts";

/** Events of one forgotten record that are looked at. */
const FORGOTTEN_EVENTS = 10_000;
/** Records of one key that are looked at. */
const SAME_KEY_LIMIT = 1000;

/**
 * A store with the writes that are still on their way to it laid over: what was remembered is seen at once, and what was forgotten is
 * not seen any more, before the store itself knows.
 * @param queued a store that holds just the queued writes
 * @param forgotten ids of records that a queued write forgets
 */
export function overlay(
  store: MemoryStore,
  queued: MemoryStore,
  forgotten: ReadonlySet<string>,
): MemoryStore {
  const visible = <T extends { id: string }>(rows: readonly T[]) =>
    rows.filter(({ id }) => !forgotten.has(id));

  /** Records of the store among the queued ones: their events add up. */
  async function merged(
    call: Parameters<MemoryStore["byIds"]>[0],
    ids: readonly string[],
  ): Promise<RecordView[]> {
    const [stored, waiting] = await Promise.all([store.byIds(call, ids), queued.byIds(call, ids)]);
    return mergeRecords(visible(stored), waiting);
  }

  /** Events that the store still counts although their record is forgotten. */
  async function forgottenEvents(call: Call, type: string, since: number | undefined): Promise<EventView[]> {
    const events: EventView[] = [];
    for (const record of forgotten) {
      const filter = { record, issue: type, ...(since === undefined ? {} : { since }) };
      events.push(...(await store.events(call, filter, { limit: FORGOTTEN_EVENTS, offset: 0 })));
    }
    return events;
  }

  /** Whether the store has a record of this very key that is not forgotten. */
  async function hasKey(call: Call, key: string): Promise<boolean> {
    const matches = await store.keyMatches(call, key.toLowerCase(), {}, SAME_KEY_LIMIT);
    const records = await store.byIds(
      call,
      visible(matches.filter(({ exact }) => exact)).map(({ id }) => id),
    );
    return records.some((record) => record.key === key);
  }

  return {
    engine: store.engine,

    apply: (call, writes) => store.apply(call, writes),

    async agents(call, status) {
      const [stored, waiting] = await Promise.all([store.agents(call), queued.agents(call)]);
      const agents = new Map(stored.map((agent) => [agent.name, agent]));
      for (const agent of waiting) agents.set(agent.name, mergeAgents(agents.get(agent.name), agent));
      return [...agents.values()]
        .filter((agent) => status === undefined || agent.status === status)
        .sort((a, b) => (a.name < b.name ? -1 : 1));
    },

    async records(call, filter, page) {
      const waiting = await queued.records(call, {}, { limit: page.offset + page.limit, offset: 0 });
      const touched = await merged(
        call,
        waiting.map(({ id }) => id),
      );
      const touchedIds = new Set(touched.map(({ id }) => id));
      const wanted = page.offset + page.limit + touchedIds.size + forgotten.size;
      const stored = visible(await store.records(call, filter, { limit: wanted, offset: 0 }));
      return [
        ...touched.filter((record) => passes(record, filter)),
        ...stored.filter(({ id }) => !touchedIds.has(id)),
      ]
        .sort((a, b) => b.lastSeen - a.lastSeen || (a.id < b.id ? 1 : -1))
        .slice(page.offset, page.offset + page.limit);
    },

    async events(call, filter, page) {
      const all = { limit: page.offset + page.limit + forgotten.size, offset: 0 };
      const [stored, waiting] = await Promise.all([
        store.events(call, filter, all),
        queued.events(call, filter, all),
      ]);
      const known = new Set(waiting.map(({ id }) => id));
      const kept = stored.filter((event) => !known.has(event.id) && !forgotten.has(event.recordId));
      return [...waiting, ...kept].sort(newestFirst).slice(page.offset, page.offset + page.limit);
    },

    byIds: merged,

    async *export(call) {
      const waiting = new Map<string, EventView>();
      for await (const event of queued.export(call)) waiting.set(event.id, event);
      for await (const event of store.export(call)) {
        if (!forgotten.has(event.recordId) && !waiting.has(event.id)) yield event;
      }
      yield* waiting.values();
    },

    async keyMatches(call, foldedKey, filter, limit) {
      const [stored, waiting] = await Promise.all([
        store.keyMatches(call, foldedKey, filter, limit + forgotten.size),
        queued.keyMatches(call, foldedKey, filter, limit),
      ]);
      const found = new Map([...visible(stored), ...waiting].map((match) => [match.id, match]));
      return [...found.values()].sort((a, b) => Number(b.exact) - Number(a.exact)).slice(0, limit);
    },

    async terms(call, terms) {
      const [stored, waiting] = await Promise.all([store.terms(call, terms), queued.terms(call, terms)]);
      const frequencies = new Map(stored.frequencies);
      for (const [term, df] of waiting.frequencies) frequencies.set(term, (frequencies.get(term) ?? 0) + df);
      return {
        documents: stored.documents + waiting.documents,
        titleLength: stored.titleLength + waiting.titleLength,
        bodyLength: stored.bodyLength + waiting.bodyLength,
        frequencies,
      };
    },

    async candidates(call, terms, filter, limit) {
      const [stored, waiting] = await Promise.all([
        store.candidates(call, terms, filter, limit),
        queued.candidates(call, terms, filter, limit),
      ]);
      const known = new Set(waiting.map(({ id }) => id));
      return [...waiting, ...visible(stored).filter(({ id }) => !known.has(id))].slice(0, limit);
    },

    async similar(call, type, since, limit) {
      const [stored, waiting, gone] = await Promise.all([
        store.similar(call, type, since, limit + forgotten.size),
        queued.similar(call, type, since, limit),
        forgottenEvents(call, type, since),
      ]);
      const kept: SimilarIssue[] = [];
      for (const issue of stored) {
        const events = gone.filter(({ record }) => record.key === issue.key);
        if (events.length === 0) kept.push(issue);
        if (events.length === 0 || events.length >= issue.occurrences) continue;
        const counts = countOutcomes(events);
        const rest = await store.records(
          call,
          { issue: foldedIssue(issue.key) },
          { limit: 1 + forgotten.size, offset: 0 },
        );
        const newest = visible(rest).find(({ key }) => key === issue.key);
        kept.push({
          ...issue,
          solution: newest?.content ?? issue.solution,
          lastSeen: newest?.lastSeen ?? issue.lastSeen,
          occurrences: issue.occurrences - counts.total,
          successes: issue.successes - counts.successes,
          failures: issue.failures - counts.failures,
        });
      }
      return mergeSimilar(kept, waiting).slice(0, limit);
    },

    async successCounts(call, type, since) {
      const [stored, waiting, gone] = await Promise.all([
        store.successCounts(call, type, since),
        queued.successCounts(call, type, since),
        forgottenEvents(call, type ?? "", since),
      ]);
      const counts = countOutcomes(gone);
      return {
        total: stored.total + waiting.total - counts.total,
        successes: stored.successes + waiting.successes - counts.successes,
        failures: stored.failures + waiting.failures - counts.failures,
      };
    },

    // what waits is younger than anything that is pruned
    tombstones: (call, beforeMs) => store.tombstones(call, beforeMs),
    pruneTombstones: (call, beforeMs) => store.pruneTombstones(call, beforeMs),

    async counts(call) {
      const [stored, waiting] = await Promise.all([store.counts(call), queued.counts(call)]);
      const records = await queued.records(call, {}, { limit: waiting.records, offset: 0 });
      const known = new Set(
        (
          await store.byIds(
            call,
            records.map(({ id }) => id),
          )
        ).map(({ id }) => id),
      );
      const gone = await store.byIds(call, [...forgotten]);
      const added = records.filter(({ id }) => !known.has(id));
      const isIssue = ({ key }: MemoryRecord) => issueOf(key) !== null;
      let issues = stored.issues;
      const addedKeys = new Set(added.filter(isIssue).map(({ key }) => key));
      for (const key of addedKeys) if (!(await hasKey(call, key))) issues += 1;
      for (const key of new Set(gone.filter(isIssue).map((record) => record.key))) {
        if (!addedKeys.has(key) && !(await hasKey(call, key))) issues -= 1;
      }
      const agents = new Set(
        [...(await store.agents(call)), ...(await queued.agents(call))].map(({ name }) => name),
      );
      return {
        records: stored.records + added.length - gone.length,
        fixes: stored.fixes + added.filter(isIssue).length - gone.filter(isIssue).length,
        events: stored.events + waiting.events - gone.reduce((sum, { occurrences }) => sum + occurrences, 0),
        agents: agents.size,
        issues,
      };
    },
  };
}
