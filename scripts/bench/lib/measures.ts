/** Measures of ranked lists against known relevant ids: binary gains, cut at ten. */
import type { Query } from "./dataset.ts";

export const CUT = 10;

/** Ids by rank, best first, for each query in its order. */
export type Rankings = readonly (readonly string[])[];

export interface Quality {
  recall: number;
  ndcg: number;
  mrr: number;
}

/** Means over the queries. */
export function quality(queries: readonly Query[], rankings: Rankings): Quality {
  const each = queries.map(({ relevant }, index) =>
    measure(new Set(relevant), rankings[index]!.slice(0, CUT)),
  );
  const mean = (of: (measured: Quality) => number) =>
    each.reduce((sum, measured) => sum + of(measured), 0) / each.length;
  return {
    recall: mean(({ recall }) => recall),
    ndcg: mean(({ ndcg }) => ndcg),
    mrr: mean(({ mrr }) => mrr),
  };
}

function measure(relevant: ReadonlySet<string>, ranking: readonly string[]): Quality {
  const ranks = ranking.flatMap((id, index) => (relevant.has(id) ? [index] : []));
  const ideal = Array.from({ length: Math.min(CUT, relevant.size) }, (_, index) => index);
  return {
    recall: ranks.length / relevant.size,
    ndcg: gain(ranks) / gain(ideal),
    mrr: ranks.length > 0 ? 1 / (ranks[0]! + 1) : 0,
  };
}

const gain = (ranks: readonly number[]) => ranks.reduce((sum, rank) => sum + 1 / Math.log2(rank + 2), 0);

/** How many queries got the same ids in the same order. */
export function sameTopTen(one: Rankings, other: Rankings): number {
  const top = (ids: readonly string[] | undefined) => (ids ?? []).slice(0, CUT).join(" ");
  return one.filter((ids, index) => top(ids) === top(other[index])).length;
}
