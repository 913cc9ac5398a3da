/** What is counted over many events, with queued writes laid over it. */
import type { Call } from "../call.ts";
import { type EventView, issueOf, type MemoryRecord } from "./model.ts";
import { ALL, forgottenEvents, type Layers, visibleEvents } from "./overlay-layers.ts";
import { countOutcomes, foldedIssue, mostFirst, newestFirst } from "./overlay-merge.ts";
import type { MemoryStore, SimilarIssue, SimilarQuery, Window } from "./port.ts";

type Views = Pick<MemoryStore, "similar" | "histogram" | "successCounts" | "counts">;

/** No event is later, ms: the year 9999. */
const END_OF_TIME = 253_402_300_800_000;
/** Records of one key that are looked at. */
const SAME_KEY_LIMIT = 1000;

export function viewsOver(layers: Layers): Views {
  const { store, queued, forgotten } = layers;
  return {
    async similar(call, query) {
      const { after, limit, ...rest } = query;
      const waiting = await queued.similar(call, { ...rest, limit: ALL });
      const gone = await store.byIds(call, [...forgotten]);
      const goneKeys = gone.map(({ key }) => key).filter((key) => foldedIssue(key).includes(query.type));
      const affected = new Set([...waiting.map(({ key }) => key), ...goneKeys]);
      const stored = await store.similar(call, { ...query, limit: limit + affected.size });
      const issues = stored.filter(({ key }) => !affected.has(key));
      for (const issue of await affectedIssues(layers, call, query, affected, waiting))
        if (!after || mostFirst(after, issue) < 0) issues.push(issue);
      return issues.sort(mostFirst).slice(0, limit);
    },

    async histogram(call, keys, window) {
      const [stored, waiting, gone] = await Promise.all([
        store.histogram(call, keys, window),
        queued.histogram(call, keys, window),
        forgottenEvents(layers, call, { since: window.from }),
      ]);
      const sums = new Map([...stored].map(([key, counts]) => [key, [...counts]]));
      for (const [key, counts] of waiting) {
        const known = sums.get(key);
        sums.set(key, known ? known.map((count, part) => count + counts[part]!) : [...counts]);
      }
      for (const { at, record } of gone) {
        const counts = sums.get(record.key);
        if (counts && at < window.to) counts[partOf(at, window)]! -= 1;
      }
      for (const [key, counts] of sums) if (counts.every((count) => count === 0)) sums.delete(key);
      return sums;
    },

    async successCounts(call, type, since) {
      const filter = { issue: type ?? "", ...(since === undefined ? {} : { since }) };
      const [stored, waiting, gone] = await Promise.all([
        store.successCounts(call, type, since),
        queued.successCounts(call, type, since),
        forgottenEvents(layers, call, filter),
      ]);
      const counts = countOutcomes(gone);
      return {
        total: stored.total + waiting.total - counts.total,
        successes: stored.successes + waiting.successes - counts.successes,
        failures: stored.failures + waiting.failures - counts.failures,
      };
    },

    counts: (call) => countsOver(layers, call),
  };
}

function partOf(at: number, { from, to, parts }: Window): number {
  return Math.floor(((at - from) * parts) / (to - from));
}

/** Issues that the queue changes, from their events; those that only the queue knows as it has them. */
async function affectedIssues(
  layers: Layers,
  call: Call,
  { since }: SimilarQuery,
  keys: ReadonlySet<string>,
  waiting: readonly SimilarIssue[],
): Promise<SimilarIssue[]> {
  const { store, queued } = layers;
  if (keys.size === 0) return [];
  const window = { from: since ?? 0, to: END_OF_TIME, parts: 1 };
  const stored = await store.histogram(call, [...keys], window);
  const issues = waiting.filter(({ key }) => !stored.has(key));
  for (const key of stored.keys()) {
    const filter = { key: key.toLowerCase(), ...(since === undefined ? {} : { since }) };
    const events = new Map<string, EventView>();
    for (const event of await visibleEvents(layers, call, filter, undefined, ALL))
      events.set(event.id, event);
    for (const event of await queued.events(call, filter, { limit: ALL, offset: 0 }))
      events.set(event.id, event);
    const own = [...events.values()].filter(({ record }) => record.key === key).sort(newestFirst);
    const [newest] = own;
    if (!newest) continue;
    const { total: occurrences, successes, failures } = countOutcomes(own);
    const { content: solution } = newest.record;
    issues.push({
      issue: issueOf(key),
      key,
      solution,
      occurrences,
      successes,
      failures,
      lastSeen: newest.at,
    });
  }
  return issues;
}

async function countsOver({ store, queued, forgotten }: Layers, call: Call) {
  const [stored, waiting] = await Promise.all([store.counts(call), queued.counts(call)]);
  const records = await queued.records(call, {}, { limit: waiting.records, offset: 0 });
  const ids = records.map(({ id }) => id);
  const known = new Set((await store.byIds(call, ids)).map(({ id }) => id));
  const gone = await store.byIds(call, [...forgotten]);
  const added = records.filter(({ id }) => !known.has(id));
  const isIssue = ({ key }: MemoryRecord) => issueOf(key) !== null;
  /** Whether the store has a record of this very key, apart from these. */
  const hasKey = async (key: string, apart: ReadonlySet<string>) => {
    const matches = await store.keyMatches(call, key.toLowerCase(), {}, SAME_KEY_LIMIT);
    const same = matches.filter(({ id, exact }) => exact && !apart.has(id)).map(({ id }) => id);
    return (await store.byIds(call, same)).some((record) => record.key === key);
  };
  let issues = stored.issues;
  const addedKeys = new Set(added.filter(isIssue).map(({ key }) => key));
  for (const key of addedKeys) if (!(await hasKey(key, new Set()))) issues += 1;
  for (const key of new Set(gone.filter(isIssue).map((record) => record.key)))
    if (!addedKeys.has(key) && !(await hasKey(key, forgotten))) issues -= 1;
  const agents = [...(await store.agents(call)), ...(await queued.agents(call))];
  return {
    records: stored.records + added.length - gone.length,
    fixes: stored.fixes + added.filter(isIssue).length - gone.filter(isIssue).length,
    events: stored.events + waiting.events - gone.reduce((sum, { occurrences }) => sum + occurrences, 0),
    agents: new Set(agents.map(({ name }) => name)).size,
    issues,
  };
}
