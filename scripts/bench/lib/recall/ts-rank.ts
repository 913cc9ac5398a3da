/** PostgreSQL's own full-text search: english configuration, OR of the query's words, `ts_rank`. */
import pg from "pg";
import type { Target } from "../../../../src/config/targets.ts";
import { wordsOf } from "../baselines.ts";
import type { Corpus } from "../dataset.ts";
import { CUT, type Rankings } from "../measures.ts";
import { onFreshPostgres } from "../servers.ts";

/** Divides by 1 + log(length): of its normalizations the best one on the tuning split. */
const NORMALIZATION = 1;

/** Title and text are one. */
export const tsRank = (corpus: Corpus, server: Target) =>
  rank(corpus, server, "to_tsvector('english', title || ' ' || body)");

/** Title labelled A (1.0), text B (.4): of the labels the best ones on the tuning split. */
export const labelledTsRank = (corpus: Corpus, server: Target) =>
  rank(
    corpus,
    server,
    "setweight(to_tsvector('english', title), 'A') || setweight(to_tsvector('english', body), 'B')",
  );

function rank({ reports, queries }: Corpus, server: Target, words: string): Promise<Rankings> {
  return onFreshPostgres(server, async ({ url }) => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      await client.query("CREATE TABLE report (id text PRIMARY KEY, words tsvector NOT NULL)");
      await client.query(
        `INSERT INTO report SELECT id, ${words}
         FROM unnest($1::text[], $2::text[], $3::text[]) AS given (id, title, body)`,
        [reports.map(({ id }) => id), reports.map(({ title }) => title), reports.map(({ text }) => text)],
      );
      const rankings: string[][] = [];
      for (const { query } of queries) {
        const { rows } = await client.query<{ id: string }>(
          `SELECT id FROM report, to_tsquery('english', $1) AS asked WHERE words @@ asked
           ORDER BY ts_rank(words, asked, ${NORMALIZATION}) DESC, id LIMIT $2`,
          [wordsOf(query).join(" | "), CUT],
        );
        rankings.push(rows.map(({ id }) => id));
      }
      return rankings;
    } finally {
      await client.end();
    }
  });
}
