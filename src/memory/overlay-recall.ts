/** What recall asks of a store, with queued writes laid over it. */
import { prepare } from "./analyze.ts";
import { compareBytes } from "./cursor.ts";
import { ALL, countedTwice, type Layers, merged, passing, visibleOf } from "./overlay-layers.ts";
import { newestRecordFirst } from "./overlay-merge.ts";
import type { MemoryStore, VocabularyTerm } from "./port.ts";

type Recall = Pick<MemoryStore, "byIds" | "keyMatches" | "terms" | "candidates" | "vocabulary">;

export function recallOver(layers: Layers): Recall {
  const { store, queued, forgotten } = layers;
  return {
    byIds: (call, ids) => merged(layers, call, ids),

    async keyMatches(call, key, filter, limit) {
      const waiting = await queued.keyMatches(call, key, {}, ALL);
      const ids = waiting.map(({ id }) => id);
      const known = new Set(ids);
      const touched = await passing(layers, call, ids, filter);
      const stored = await store.keyMatches(call, key, filter, limit + ids.length + forgotten.size);
      const isExact = new Map([...waiting, ...stored].map(({ id, exact }) => [id, exact]));
      const others = visibleOf(layers, stored).filter(({ id }) => !known.has(id));
      const records = await store.byIds(
        call,
        others.map(({ id }) => id),
      );
      return [...touched, ...records]
        .map((record) => ({ record, id: record.id, exact: isExact.get(record.id)! }))
        .sort((a, b) => Number(b.exact) - Number(a.exact) || newestRecordFirst(a.record, b.record))
        .slice(0, limit)
        .map(({ id, exact }) => ({ id, exact }));
    },

    async terms(call, terms) {
      const [stored, waiting, twice] = await Promise.all([
        store.terms(call, terms),
        queued.terms(call, terms),
        countedTwice(layers, call),
      ]);
      const sum = { ...stored, frequencies: new Map(stored.frequencies) };
      const add = (sign: 1 | -1, titleLength: number, bodyLength: number, documents = 1) => {
        sum.documents += sign * documents;
        sum.titleLength += sign * titleLength;
        sum.bodyLength += sign * bodyLength;
      };
      const count = (term: string, df: number) => {
        const total = (sum.frequencies.get(term) ?? 0) + df;
        if (total > 0) sum.frequencies.set(term, total);
        else sum.frequencies.delete(term);
      };
      add(1, waiting.titleLength, waiting.bodyLength, waiting.documents);
      for (const [term, df] of waiting.frequencies) count(term, df);
      for (const record of twice) {
        const prepared = prepare(record);
        add(-1, prepared.titleLength, prepared.bodyLength);
        const held = new Set(`${prepared.title} ${prepared.body} ${prepared.shape}`.split(" "));
        for (const term of terms) if (held.has(term)) count(term, -1);
      }
      return sum;
    },

    async candidates(call, wanted, filter, limit, rows) {
      const waiting = (await queued.candidates(call, wanted, {}, ALL, ALL)).candidates;
      const waitingIds = waiting.map(({ id }) => id);
      const kept = new Set((await passing(layers, call, waitingIds, filter)).map(({ id }) => id));
      const known = new Set(waitingIds);
      const more = limit + known.size + forgotten.size;
      const stored = await store.candidates(call, wanted, filter, more, rows);
      const others = visibleOf(layers, stored.candidates).filter(({ id }) => !known.has(id));
      // of both: their orders cannot be compared, and the ranking makes its own
      const best = [...waiting.filter(({ id }) => kept.has(id)).slice(0, limit), ...others.slice(0, limit)];
      return { candidates: best, isCut: stored.isCut };
    },

    async vocabulary(call, pieces, lengths, limit) {
      const [waiting, twice] = await Promise.all([
        queued.vocabulary(call, pieces, lengths, ALL),
        countedTwice(layers, call),
      ]);
      const minus = new Map<string, number>();
      for (const record of twice) {
        const { title, body } = prepare(record);
        for (const term of new Set(`${title} ${body}`.split(" ")))
          minus.set(term, 1 + (minus.get(term) ?? 0));
      }
      const stored = await store.vocabulary(call, pieces, lengths, limit + minus.size);
      const sums = new Map(stored.map(({ term, df }) => [term, df]));
      // words of the queue that were not frequent enough to be among the stored ones
      const unseen = waiting.filter(({ term }) => !sums.has(term)).map(({ term }) => term);
      if (unseen.length > 0)
        for (const [term, df] of (await store.terms(call, unseen)).frequencies) sums.set(term, df);
      for (const { term, df } of waiting) sums.set(term, df + (sums.get(term) ?? 0));
      const found: VocabularyTerm[] = [];
      for (const [term, sum] of sums) {
        const df = sum - (minus.get(term) ?? 0);
        if (df > 0) found.push({ term, df });
      }
      return found.sort((a, b) => b.df - a.df || compareBytes(a.term, b.term)).slice(0, limit);
    },
  };
}
