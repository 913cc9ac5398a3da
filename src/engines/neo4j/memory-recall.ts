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
import type { Neo4jConnection } from "./connect.ts";
import { conditionOf, IS_LATEST } from "./memory-rows.ts";
import { refuseNewerIndex } from "./memory-write.ts";

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
  const query = `MATCH (m:Memory) WHERE m.folded_key STARTS WITH $start WITH m
MATCH (m)<-[:OF]-(e:Event) WHERE ${cypher} AND ${IS_LATEST}
RETURN m.id AS id, m.folded_key = $start AS exact
ORDER BY exact DESC, e.ts DESC, e.id DESC LIMIT $limit`;
  return connection.read(call, query, { ...params, start: foldedKey, limit: BigInt(limit) });
}

/**
 * Statistics and the asked frequencies in one query; zeros where nothing was ever stored.
 * @throws OpsError `failed` when a newer program made the index
 */
export async function readTerms(
  call: Call,
  connection: Neo4jConnection,
  terms: readonly string[],
): Promise<TermStatistics> {
  // a database of the schema v1.0.0 says no version: its entries are of version 1
  const query = `MATCH (s:Stat {id: 'memory'})
RETURN s.documents AS documents, s.title_length AS titleLength, s.body_length AS bodyLength,
  coalesce(s.index_version, 1) AS version,
  COLLECT { UNWIND $terms AS w MATCH (t:Term {w: w}) WHERE t.df > 0 RETURN [t.w, t.df] } AS frequencies`;
  const [row] = await connection.read<{
    documents: number;
    titleLength: number;
    bodyLength: number;
    version: number;
    frequencies: [string, number][];
  }>(call, query, { terms: [...new Set(terms)] });
  const empty = {
    documents: 0,
    titleLength: 0,
    bodyLength: 0,
    frequencies: new Map(),
    indexVersion: INDEX_VERSION,
  };
  if (!row) return empty;
  const { version, frequencies, ...sums } = row;
  refuseNewerIndex(connection, version);
  const indexVersion = sums.documents === 0 ? INDEX_VERSION : version;
  return { ...sums, frequencies: new Map(frequencies), indexVersion };
}

/** A prepared token: nothing in it is syntax of Lucene, which throws on `foo/bar`, `AND` and `"x`. */
const TOKEN = /^[a-z0-9_]{1,64}$/;
/** Lucene refuses a query of more. */
const MAX_CLAUSES = 1_024;

/** The conjunctions as a query of Lucene: `a OR (b AND c)`; "" when none is left. Those with something that is no token match nothing. */
export function luceneQuery(wanted: readonly Conjunction[]): string {
  const parts: string[] = [];
  let clauses = 0;
  for (const terms of wanted) {
    if (terms.length === 0 || !terms.every((term) => TOKEN.test(term))) continue;
    clauses += terms.length;
    if (clauses > MAX_CLAUSES) break;
    parts.push(terms.length === 1 ? terms[0]! : `(${terms.join(" AND ")})`);
  }
  return parts.join(" OR ");
}

/**
 * The best records by Lucene's score. The procedure gives the best `rows` of all that match, the filter chooses among them; a second
 * question, for the one after these, tells whether there are more. The score itself means nothing outside this store and stays here.
 */
export async function readCandidates(
  call: Call,
  connection: Neo4jConnection,
  wanted: readonly Conjunction[],
  filter: RecordFilter,
  limit: number,
  rows: number,
): Promise<Candidates> {
  const query = luceneQuery(wanted);
  if (query === "") return { candidates: [], isCut: false };
  const filtered = Object.values(filter).some((value) => value !== undefined);
  const { cypher, params } = conditionOf(filter);
  const condition = filtered
    ? `EXISTS { MATCH (m)<-[:OF]-(e:Event) WHERE ${cypher} AND ${IS_LATEST} }`
    : "m.deleted_at IS NULL";
  const search = `CALL { CALL db.index.fulltext.queryNodes('memory_text', $query, {skip: $rows, limit: 1})
  YIELD node RETURN count(node) > 0 AS isCut }
RETURN isCut, COLLECT {
  CALL db.index.fulltext.queryNodes('memory_text', $query, {limit: $rows}) YIELD node AS m, score
  WITH m, score WHERE ${condition}
  WITH m, score ORDER BY score DESC, m.id LIMIT $limit
  RETURN m {.id, title: m.title_tokens, body: m.body_tokens, shape: coalesce(m.shape_tokens, ''),
    titleLength: m.title_length, bodyLength: m.body_length, foldedKey: m.folded_key}
} AS found`;
  const [answer] = await connection.read<{
    isCut: boolean;
    found: (Candidate["prepared"] & { id: string })[];
  }>(call, search, { ...params, query, limit: BigInt(limit), rows: BigInt(rows) });
  const { isCut, found } = answer!;
  return { candidates: found.map(({ id, ...prepared }) => ({ id, prepared })), isCut };
}

/** Each piece is found by the TEXT index `term_text` (where the schema is v1.0.0: by reading every word). */
export async function readVocabulary(
  call: Call,
  connection: Neo4jConnection,
  pieces: readonly string[],
  { min, max }: { min: number; max: number },
  limit: number,
): Promise<VocabularyTerm[]> {
  if (pieces.length === 0) return [];
  const query = `UNWIND $pieces AS piece MATCH (t:Term) WHERE t.w CONTAINS piece
  AND size(t.w) >= $min AND size(t.w) <= $max AND NOT t.w STARTS WITH '__s_' AND t.df > 0
WITH DISTINCT t
RETURN t.w AS term, t.df AS df ORDER BY df DESC, term LIMIT $limit`;
  const params = { pieces: [...new Set(pieces)], min: BigInt(min), max: BigInt(max), limit: BigInt(limit) };
  return connection.read<VocabularyTerm>(call, query, params);
}
