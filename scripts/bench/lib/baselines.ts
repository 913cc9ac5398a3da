/** What a newcomer would write instead of opsctl: one FTS5 statement, or minisearch. */
import Database from "better-sqlite3";
import MiniSearch from "minisearch";
import { STOPWORDS } from "../../../src/memory/stopwords.ts";
import type { Corpus } from "./dataset.ts";
import { CUT, type Rankings } from "./measures.ts";

/** A title's word counts as three of the text, as in opsctl. */
const TITLE_WEIGHT = 3;

/** Ranks with one FTS5 statement: Porter stemmer, OR of the query's words without stopwords. */
export function bareFts5({ reports, queries }: Corpus): Rankings {
  const database = new Database(":memory:");
  try {
    database.exec("CREATE VIRTUAL TABLE report USING fts5 (id UNINDEXED, title, text, tokenize = 'porter')");
    const insert = database.prepare("INSERT INTO report VALUES (?, ?, ?)");
    database.transaction(() => {
      for (const { id, title, text } of reports) insert.run(id, title, text);
    })();
    const ask = database
      .prepare<[string, number], string>(
        `SELECT id FROM report WHERE report MATCH ? ORDER BY bm25(report, 0, ${TITLE_WEIGHT}, 1), rowid LIMIT ?`,
      )
      .pluck();
    return queries.map(({ query }) => {
      const words = wordsOf(query);
      return words.length === 0 ? [] : ask.all(words.map((word) => `"${word}"`).join(" OR "), CUT);
    });
  } finally {
    database.close();
  }
}

/** Ranks with minisearch as it comes, stopwords dropped. */
export function minisearch({ reports, queries }: Corpus): Rankings {
  const index = new MiniSearch({
    fields: ["title", "text"],
    processTerm: (term) => (STOPWORDS.has(term.toLowerCase()) ? null : term.toLowerCase()),
  });
  index.addAll(reports);
  return queries.map(({ query }) =>
    index
      .search(query)
      .slice(0, CUT)
      .map(({ id }) => String(id)),
  );
}

function wordsOf(query: string): string[] {
  const words = query.toLowerCase().match(/[\p{L}\p{N}_]+/gu) ?? [];
  return words.filter((word) => !STOPWORDS.has(word));
}
