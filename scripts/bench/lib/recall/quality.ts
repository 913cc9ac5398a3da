/** How well known duplicates are found: opsctl on each store beside what a newcomer would write instead. */
import type { Target } from "../../../../src/config/targets.ts";
import { bareFts5, minisearch, weightedFts5 } from "../baselines.ts";
import type { Corpus } from "../dataset.ts";
import { quality, type Rankings, sameTopTen } from "../measures.ts";
import { rankOnServer, rankOnSqlite } from "../opsctl-recall.ts";
import { onEmptyNeo4j, onFreshPostgres } from "../servers.ts";
import { markdownTable } from "../table.ts";
import { labelledTsRank, tsRank } from "./ts-rank.ts";
import { askedAs, WAYS } from "./ways.ts";

export interface Servers {
  postgres?: Target;
  neo4j?: Target;
}

/** One row a store and a baseline, the queries asked by their titles. */
export async function qualityTable(
  corpora: readonly Corpus[],
  { postgres, neo4j }: Servers,
): Promise<string> {
  const queries = corpora.flatMap((corpus) => corpus.queries);
  const row = (name: string, rankings: Rankings, reference?: Rankings) => {
    const { recall, ndcg, mrr } = quality(queries, rankings);
    const same = reference ? `${sameTopTen(reference, rankings)} of ${queries.length}` : "";
    return [name, ...[recall, ndcg, mrr].map(figure), same];
  };
  const sqlite = await overStores(corpora, rankOnSqlite);
  const rows = [row("opsctl, SQLite", sqlite, sqlite)];
  if (postgres) {
    const own = await overStores(corpora, (corpus) =>
      onFreshPostgres(postgres, (fresh) => rankOnServer(corpus, fresh)),
    );
    rows.push(row("opsctl, PostgreSQL", own, sqlite));
  }
  if (neo4j) {
    const own = await overStores(corpora, (corpus) => onEmptyNeo4j(neo4j, () => rankOnServer(corpus, neo4j)));
    rows.push(row("opsctl, Neo4j", own, sqlite));
  }
  rows.push(row("one FTS5 statement (Porter, OR, stopwords dropped)", corpora.flatMap(bareFts5)));
  rows.push(row("the same, title × 3", corpora.flatMap(weightedFts5)));
  rows.push(row("minisearch, stopwords dropped", corpora.flatMap(minisearch)));
  if (postgres) {
    const even = await overStores(corpora, (corpus) => tsRank(corpus, postgres));
    const labelled = await overStores(corpora, (corpus) => labelledTsRank(corpus, postgres));
    rows.push(row("PostgreSQL `ts_rank`, OR, english", even));
    rows.push(row("the same, title labelled A, text B", labelled));
  }
  return markdownTable(["", "Recall@10", "nDCG@10", "MRR", "same top ten as SQLite"], rows);
}

/** nDCG@10 of five ways to ask the same questions. */
export async function waysTable(corpora: readonly Corpus[]): Promise<string> {
  const rows: string[][] = [];
  for (const way of WAYS) {
    const asked = askedAs(corpora, way);
    const queries = asked.flatMap((corpus) => corpus.queries);
    const ndcg = (rankings: Rankings) => quality(queries, rankings).ndcg;
    const own = ndcg(await overStores(asked, rankOnSqlite));
    const bare = ndcg(asked.flatMap(bareFts5));
    const weighted = ndcg(asked.flatMap(weightedFts5));
    rows.push([
      way.name,
      figure(own),
      figure(bare),
      figure(weighted),
      signed(own - Math.max(bare, weighted)),
    ]);
  }
  const header = [
    "nDCG@10, asked by",
    "opsctl, SQLite",
    "FTS5",
    "FTS5, title × 3",
    "ahead of the better one",
  ];
  return markdownTable(header, rows);
}

/** nDCG@10 of opsctl on SQLite, by way of asking. */
export async function ndcgByWay(corpora: readonly Corpus[]): Promise<number[]> {
  const figures: number[] = [];
  for (const way of WAYS) {
    const asked = askedAs(corpora, way);
    const rankings = await overStores(asked, rankOnSqlite);
    figures.push(
      quality(
        asked.flatMap(({ queries }) => queries),
        rankings,
      ).ndcg,
    );
  }
  return figures;
}

/** All queries, each asked in its store. */
async function overStores(
  corpora: readonly Corpus[],
  rankStore: (corpus: Corpus) => Promise<Rankings>,
): Promise<Rankings> {
  const rankings: (readonly string[])[] = [];
  for (const corpus of corpora) rankings.push(...(await rankStore(corpus)));
  return rankings;
}

export const figure = (value: number) => value.toFixed(3);
export const signed = (value: number) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(3)}`;
