/** What tests of the memory in PostgreSQL share. */
import { expect } from "vitest";
import type { PostgresConnection } from "../../src/engines/postgres/connect.ts";
import { testCall } from "../support/calls.ts";

/** Frequencies and sums as the entries themselves give them, compared with those that are kept. */
export async function expectExactCorpus(connection: PostgresConnection): Promise<void> {
  const differences = await connection.query(
    testCall(),
    `WITH counted AS (
       SELECT w.lexeme AS term, count(*) AS df FROM memori_metadata m, unnest(m.search) w
       WHERE m.deleted_at IS NULL GROUP BY 1
     )
     SELECT coalesce(c.term, t.term) FROM counted c FULL JOIN memori_terms t ON t.term = c.term
     WHERE c.df IS DISTINCT FROM t.df`,
  );
  expect(differences).toEqual([]);
  const tokens = await connection.query(
    testCall(),
    `SELECT id FROM memori_metadata WHERE deleted_at IS NULL AND tsvector_to_array(search) IS DISTINCT FROM (
       SELECT array_agg(DISTINCT token ORDER BY token) FROM unnest(string_to_array(
         concat_ws(' ', nullif(title_tokens, ''), nullif(body_tokens, ''), nullif(shape_tokens, '')), ' ')) token)`,
  );
  expect(tokens).toEqual([]);
  const statistics = await connection.query(
    testCall(),
    `SELECT s.documents = count(m.id) AND s.title_length = coalesce(sum(m.title_length), 0)
       AND s.body_length = coalesce(sum(m.body_length), 0) AS same
     FROM memori_statistics s LEFT JOIN memori_metadata m ON m.deleted_at IS NULL
     GROUP BY s.documents, s.title_length, s.body_length`,
  );
  expect(statistics).toEqual([{ same: true }]);
}
