/** What a newcomer would write instead of opsctl: one FTS5 statement, or minisearch. */
import Database from "better-sqlite3";
import MiniSearch from "minisearch";
import { STOPWORDS } from "../../../src/memory/stopwords.ts";
import type { Corpus } from "./dataset.ts";
import { CUT, type Rankings } from "./measures.ts";

/** One FTS5 statement: Porter stemmer, OR of the query's words without stopwords, all columns the same. */
export const bareFts5 = (corpus: Corpus): Rankings => fts5(corpus, 1);

/** The same with a title's word counted as three of the text, as in opsctl. */
export const weightedFts5 = (corpus: Corpus): Rankings => fts5(corpus, 3);

function fts5({ reports, queries }: Corpus, titleWeight: number): Rankings {
  const database = new Database(":memory:");
  try {
    database.exec("CREATE VIRTUAL TABLE report USING fts5 (id UNINDEXED, title, text, tokenize = 'porter')");
    const insert = database.prepare("INSERT INTO report VALUES (?, ?, ?)");
    database.transaction(() => {
      for (const { id, title, text } of reports) insert.run(id, title, text);
    })();
    const ask = database
      .prepare<[string, number], string>(
        `SELECT id FROM report WHERE report MATCH ? ORDER BY bm25(report, 0, ${titleWeight}, 1), rowid LIMIT ?`,
      )
      .pluck();
    return queries.map(({ query }) => {
      const match = matchAny(query);
      return match === "" ? [] : ask.all(match, CUT);
    });
  } finally {
    database.close();
  }
}

/** An FTS5 expression: any of the words, stopwords dropped; "" when nothing is left. */
export function matchAny(query: string): string {
  return wordsOf(query)
    .map((word) => `"${word}"`)
    .join(" OR ");
}

/** The words of a query in lower case, stopwords dropped. */
export function wordsOf(query: string): string[] {
  const words = query.toLowerCase().match(/[\p{L}\p{N}_]+/gu) ?? [];
  return words.filter((word) => !STOPWORDS.has(word));
}

/** Ranks with minisearch as it comes, stopwords dropped. */
export function minisearch({ reports, queries }: Corpus): Rankings {
  const index = emptyMinisearch();
  index.addAll(reports);
  return queries.map(({ query }) => askMinisearch(index, query));
}

export interface Text {
  id: string;
  title: string;
  text: string;
}

/** An index of titles and texts; its own default is OR. */
export function emptyMinisearch(): MiniSearch<Text> {
  return new MiniSearch<Text>({
    fields: ["title", "text"],
    processTerm: (term) => (STOPWORDS.has(term.toLowerCase()) ? null : term.toLowerCase()),
  });
}

export function askMinisearch(index: MiniSearch<Text>, query: string): string[] {
  return index
    .search(query)
    .slice(0, CUT)
    .map(({ id }) => String(id));
}
