import { beforeAll, describe, expect, it } from "vitest";
import { bareFts5, weightedFts5 } from "../../scripts/bench/lib/baselines.ts";
import { recallDev } from "../../scripts/bench/lib/dataset.ts";
import { type Quality, quality, sameTopTen } from "../../scripts/bench/lib/measures.ts";
import { rankOnSqlite } from "../../scripts/bench/lib/opsctl-recall.ts";

/** What opsctl is ahead of one FTS5 statement, in nDCG@10, on the queries that it was tuned on. */
const LEAD = 0.04;

describe("recall on the tuning split, embedded file", () => {
  const corpora = recallDev();
  const queries = corpora.flatMap((corpus) => corpus.queries);
  let own: Quality;
  let bare: Quality;
  let weighted: Quality;

  beforeAll(async () => {
    const rankings: (readonly string[])[] = [];
    for (const corpus of corpora) rankings.push(...(await rankOnSqlite(corpus)));
    own = quality(queries, rankings);
    bare = quality(queries, corpora.flatMap(bareFts5));
    weighted = quality(queries, corpora.flatMap(weightedFts5));
  });

  it("has all of the data", () => {
    expect(queries).toHaveLength(75);
    const ids = corpora.map(({ reports }) => new Set(reports.map(({ id }) => id)));
    expect(new Set(ids.flatMap((store) => [...store])).size).toBe(1076);
    for (const { id, store, relevant } of queries) {
      expect(ids[store]!.has(id), `report ${id} asks store ${store}, which must not hold it`).toBe(false);
      for (const other of relevant) expect(ids[store]!.has(other)).toBe(true);
    }
  });

  it("is ahead of one FTS5 statement", () => {
    expect(own.recall).toBeGreaterThanOrEqual(bare.recall);
    expect(own.ndcg).toBeGreaterThanOrEqual(bare.ndcg + LEAD);
  });

  it("is no worse than one that weighs the issue's words as opsctl does", () => {
    expect(own.recall).toBeGreaterThanOrEqual(weighted.recall);
    expect(own.ndcg).toBeGreaterThanOrEqual(weighted.ndcg);
  });

  it("keeps the quality that it was released with", () => {
    expect(own.recall).toBeGreaterThanOrEqual(0.83);
    expect(own.ndcg).toBeGreaterThanOrEqual(0.69);
  });
});

describe("the measures", () => {
  const query = { id: "q", query: "", store: 0, relevant: ["a", "b"] };

  it("are 1 when everything relevant comes first", () => {
    expect(quality([query], [["b", "a", "x"]])).toEqual({ recall: 1, ndcg: 1, mrr: 1 });
  });

  it("discount by rank, and ignore what comes after the tenth", () => {
    const ranking = [..."123456789", "a", "b"];
    const ideal = 1 + 1 / Math.log2(3);
    expect(quality([query], [ranking])).toEqual({
      recall: 0.5,
      ndcg: 1 / Math.log2(11) / ideal,
      mrr: 1 / 10,
    });
  });

  it("count lists as the same only in the same order", () => {
    expect(sameTopTen([["a", "b"], ["c"]], [["b", "a"], ["c"]])).toBe(1);
  });
});
