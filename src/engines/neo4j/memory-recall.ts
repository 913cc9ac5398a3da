import type { Call } from "../../call.ts";
import type { Candidate, RecordFilter, TermStatistics } from "../../memory/port.ts";
import type { Neo4jConnection } from "./connect.ts";
import { conditionOf, IS_LATEST } from "./memory-rows.ts";

/** Records by the start of their key: exact ones first, then newest first. */
export async function readKeyMatches(
  call: Call,
  connection: Neo4jConnection,
  foldedKey: string,
  filter: RecordFilter,
  limit: number,
): Promise<{ id: string; exact: boolean }[]> {
  const { cypher, params } = conditionOf(filter);
  // WITH keeps the planner from starting at the events, of which every one has a time
  const query = `MATCH (m:Memory) WHERE m.folded_key STARTS WITH $key WITH m
MATCH (m)<-[:OF]-(e:Event) WHERE ${cypher} AND ${IS_LATEST}
RETURN m.id AS id, m.folded_key = $key AS exact
ORDER BY exact DESC, e.ts DESC, e.id DESC LIMIT $limit`;
  return connection.read(call, query, { ...params, key: foldedKey, limit: BigInt(limit) });
}

/** Statistics and the asked frequencies in one query; zeros where nothing was ever stored. */
export async function readTerms(
  call: Call,
  connection: Neo4jConnection,
  terms: readonly string[],
): Promise<TermStatistics> {
  const query = `MATCH (s:Stat {id: 'memory'})
RETURN s.documents AS documents, s.title_length AS titleLength, s.body_length AS bodyLength,
  COLLECT { UNWIND $terms AS w MATCH (t:Term {w: w}) WHERE t.df > 0 RETURN [t.w, t.df] } AS frequencies`;
  const [row] = await connection.read<{
    documents: number;
    titleLength: number;
    bodyLength: number;
    frequencies: [string, number][];
  }>(call, query, { terms: [...new Set(terms)] });
  if (!row) return { documents: 0, titleLength: 0, bodyLength: 0, frequencies: new Map() };
  return { ...row, frequencies: new Map(row.frequencies) };
}

/** A prepared token: nothing in it is syntax of Lucene, which throws on `foo/bar`, `AND` and `"x`. */
const TOKEN = /^[a-z0-9_]{1,64}$/;

/**
 * The best records by Lucene's score, the filter applied before the limit. The score itself means nothing
 * outside this store and stays here.
 */
export async function readCandidates(
  call: Call,
  connection: Neo4jConnection,
  terms: readonly string[],
  filter: RecordFilter,
  limit: number,
): Promise<Candidate[]> {
  const tokens = terms.filter((term) => TOKEN.test(term));
  if (tokens.length === 0) return [];
  const filtered = Object.values(filter).some((value) => value !== undefined);
  const { cypher, params } = conditionOf(filter);
  const condition = filtered
    ? `EXISTS { MATCH (m)<-[:OF]-(e:Event) WHERE ${cypher} AND ${IS_LATEST} }`
    : "m.deleted_at IS NULL";
  const query = `CALL db.index.fulltext.queryNodes('memory_text', $query) YIELD node AS m, score
WITH m, score WHERE ${condition}
WITH m, score ORDER BY score DESC, m.id LIMIT $limit
RETURN m.id AS id, m.title_tokens AS title, m.body_tokens AS body, m.title_length AS titleLength,
  m.body_length AS bodyLength, m.folded_key AS foldedKey ORDER BY score DESC, m.id`;
  const rows = await connection.read<Candidate["prepared"] & { id: string }>(call, query, {
    ...params,
    query: tokens.join(" OR "),
    limit: BigInt(limit),
  });
  return rows.map(({ id, ...prepared }) => ({ id, prepared }));
}
