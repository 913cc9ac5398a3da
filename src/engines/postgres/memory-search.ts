import type { Call } from "../../call.ts";
import { INDEX_VERSION } from "../../memory/analyze.ts";
import type {
  Candidate,
  Candidates,
  Conjunction,
  RecordFilter,
  TermStatistics,
  VocabularyTerm,
} from "../../memory/port.ts";
import type { PostgresConnection } from "./connect.ts";
import { refuseNewer } from "./index-version.ts";
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
  const rows = await connection.query<
    Omit<TermStatistics, "frequencies"> & { found: Record<string, number> }
  >(
    call,
    `SELECT documents, title_length AS "titleLength", body_length AS "bodyLength",
       index_version AS "indexVersion",
       (SELECT coalesce(json_object_agg(term, df), '{}') FROM memori_terms
        WHERE term = ANY ($1::text[])) AS found
     FROM memori_statistics`,
    [terms],
  );
  const { found, ...statistics } = rows[0] ?? { ...NOTHING, found: {} };
  refuseNewer(statistics.indexVersion, connection.where);
  // the last record that was forgotten leaves the version of an index that is empty now
  const indexVersion = statistics.documents === 0 ? INDEX_VERSION : statistics.indexVersion;
  return { ...statistics, indexVersion, frequencies: new Map(Object.entries(found)) };
}

const NOTHING = { documents: 0, titleLength: 0, bodyLength: 0, indexVersion: INDEX_VERSION };

/**
 * Records that hold all terms of a conjunction, in the order of exact BM25 over all these terms (k1 = 1.2, b = .75, title counted three
 * times), rounded to six digits, then by id. `ts_rank` knows no idf and was the worst of the orders tried. No more than `rows` matching
 * records are looked at, in the order in which they lie in the table.
 */
export async function readCandidates(
  connection: PostgresConnection,
  call: Call,
  wanted: readonly Conjunction[],
  filter: RecordFilter,
  limit: number,
  rows: number,
): Promise<Candidates> {
  const asked = wanted.filter((terms) => terms.length > 0);
  if (asked.length === 0) return { candidates: [], isCut: false };
  const parameters = new Parameters();
  const sent = parameters.add([...new Set(asked.flat())]);
  // a cast, not to_tsquery: nothing is parsed into other words
  const query = parameters.add(asked.map(conjunctionOf).join(" | "));
  const needsLatest = filter.since !== undefined || filter.success !== undefined;
  const condition = conditionOf(filter, "l", parameters);
  const rowLimit = parameters.add(rows);
  const found = await connection.query<{ isCut: boolean; id: string | null } & Candidate["prepared"]>(
    call,
    `WITH sent AS MATERIALIZED (
       SELECT t.term, ln(1 + (s.documents - t.df + 0.5::float8) / (t.df + 0.5::float8)) * 2.2 AS weight,
         greatest(3 * s.title_length + s.body_length, 1)::float8 / greatest(s.documents, 1) AS average
       FROM memori_terms t CROSS JOIN memori_statistics s WHERE t.term = ANY (${sent}::text[])
     ), matching AS MATERIALIZED (
       SELECT m.id, m.deleted_at, m.folded_key, 3 * m.title_length + m.body_length AS length,
         ts_filter(setweight(m.search, 'A', ${sent}::text[]), '{a}') AS hits
       FROM memori_metadata m WHERE m.search @@ ${query}::tsquery LIMIT ${rowLimit}::bigint + 1
     ), best AS MATERIALIZED (
       SELECT m.id, round(1000000 * score.bm25) AS bm25
       FROM (SELECT * FROM matching LIMIT ${rowLimit}::bigint) m ${needsLatest ? LATEST : ""} CROSS JOIN LATERAL (
         SELECT sum(sent.weight * w.positions[1]::float8 / (w.positions[1] + 0.3::float8
           + 0.9::float8 * m.length / sent.average)) AS bm25
         FROM unnest(m.hits) w JOIN sent ON sent.term = w.lexeme
       ) score
       WHERE ${condition}
       ORDER BY 2 DESC, 1 LIMIT ${parameters.add(limit)}
     )
     SELECT cut.*, m.id, m.title_tokens AS title, m.body_tokens AS body, m.shape_tokens AS shape,
       m.title_length AS "titleLength", m.body_length AS "bodyLength", m.folded_key AS "foldedKey"
     FROM (SELECT count(*) > ${rowLimit}::bigint AS "isCut" FROM matching) cut
     LEFT JOIN (best JOIN memori_metadata m ON m.id = best.id) ON true ORDER BY best.bm25 DESC, best.id`,
    parameters.values,
  );
  const candidates = found.flatMap(({ isCut, id, ...prepared }) => (id === null ? [] : [{ id, prepared }]));
  return { candidates, isCut: found[0]!.isCut };
}

/** `('a' & 'b')`: tokens hold no quotes. */
const conjunctionOf = (terms: Conjunction) => `(${terms.map((term) => `'${term}'`).join(" & ")})`;

/** Of all words: those that contain a piece, the most frequent first. Reads the whole table of words, once for all pieces. */
export async function readVocabulary(
  connection: PostgresConnection,
  call: Call,
  pieces: readonly string[],
  { min, max }: { min: number; max: number },
  limit: number,
): Promise<VocabularyTerm[]> {
  if (pieces.length === 0) return [];
  return connection.query<VocabularyTerm>(
    call,
    `SELECT term, df FROM memori_terms
     WHERE length(term) BETWEEN $1 AND $2 AND term ~ $3 AND NOT starts_with(term, '__s_')
     ORDER BY df DESC, term LIMIT $4`,
    [min, max, pieces.join("|"), limit],
  );
}
