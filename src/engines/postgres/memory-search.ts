import type { Call } from "../../call.ts";
import type { Candidate, CorpusStatistics, RecordFilter, TermStatistics } from "../../memory/port.ts";
import type { PostgresConnection } from "./connect.ts";
import { conditionOf, LATEST, Parameters } from "./memory-sql.ts";

/** Greatest character: `key < prefix + LAST` ends a prefix range. */
const LAST = "\u{10FFFF}";

export async function readKeyMatches(
  connection: PostgresConnection,
  call: Call,
  key: string,
  filter: RecordFilter,
  limit: number,
): Promise<{ id: string; exact: boolean }[]> {
  const parameters = new Parameters();
  const folded = key.toLowerCase();
  const from = `${parameters.add(folded)}::text`;
  const to = `${parameters.add(folded + LAST)}::text`;
  const condition = conditionOf(filter, "l", parameters);
  return connection.query(
    call,
    `SELECT m.id, m.folded_key = ${from} AS exact FROM memori_metadata m ${LATEST}
     WHERE m.folded_key >= ${from} AND m.folded_key < ${to} AND ${condition}
     ORDER BY exact DESC, l.at DESC, l.id DESC LIMIT ${parameters.add(limit)}`,
    parameters.values,
  );
}

export async function readTerms(
  connection: PostgresConnection,
  call: Call,
  terms: readonly string[],
): Promise<TermStatistics> {
  // one statement: frequencies and statistics of the same moment
  const rows = await connection.query<CorpusStatistics & { found: Record<string, number> }>(
    call,
    `SELECT documents, title_length AS "titleLength", body_length AS "bodyLength",
       (SELECT coalesce(json_object_agg(term, df), '{}') FROM memori_terms
        WHERE term = ANY ($1::text[])) AS found
     FROM memori_statistics`,
    [terms],
  );
  const { found, ...statistics } = rows[0] ?? { found: {}, documents: 0, titleLength: 0, bodyLength: 0 };
  return { ...statistics, frequencies: new Map(Object.entries(found)) };
}

type CandidateRow = { id: string } & Candidate["prepared"];

/**
 * Records that hold a term, in the order of exact BM25 over these terms (k1 = 1.2, b = .75, title counted
 * three times), rounded to six digits, then by id. `ts_rank` knows no idf and was the worst of the orders
 * tried.
 */
export async function readCandidates(
  connection: PostgresConnection,
  call: Call,
  terms: readonly string[],
  filter: RecordFilter,
  limit: number,
): Promise<Candidate[]> {
  if (terms.length === 0) return [];
  const parameters = new Parameters();
  const sent = parameters.add(terms);
  // a cast, not to_tsquery: nothing is parsed into other words
  const wanted = parameters.add(terms.map((term) => `'${term}'`).join(" | "));
  const needsLatest = filter.since !== undefined || filter.success !== undefined;
  const condition = conditionOf(filter, "l", parameters);
  const rows = await connection.query<CandidateRow>(
    call,
    `WITH sent AS MATERIALIZED (
       SELECT t.term, ln(1 + (s.documents - t.df + 0.5::float8) / (t.df + 0.5::float8)) * 2.2 AS weight,
         greatest(3 * s.title_length + s.body_length, 1)::float8 / greatest(s.documents, 1) AS average
       FROM memori_terms t CROSS JOIN memori_statistics s WHERE t.term = ANY (${sent}::text[])
     ), best AS MATERIALIZED (
       SELECT m.id, round(score.bm25::numeric, 6) AS bm25
       FROM memori_metadata m ${needsLatest ? LATEST : ""} CROSS JOIN LATERAL (
         SELECT sum(sent.weight * w.positions[1]::float8 / (w.positions[1] + 0.3::float8
           + 0.9::float8 * (3 * m.title_length + m.body_length) / sent.average)) AS bm25
         FROM unnest(m.search) w JOIN sent ON sent.term = w.lexeme
       ) score
       WHERE m.search @@ ${wanted}::tsquery AND ${condition}
       ORDER BY 2 DESC, 1 LIMIT ${parameters.add(limit)}
     )
     SELECT m.id, m.title_tokens AS title, m.body_tokens AS body, m.title_length AS "titleLength",
       m.body_length AS "bodyLength", m.folded_key AS "foldedKey"
     FROM best JOIN memori_metadata m ON m.id = best.id ORDER BY best.bm25 DESC, best.id`,
    parameters.values,
  );
  return rows.map(({ id, ...prepared }) => ({ id, prepared }));
}
