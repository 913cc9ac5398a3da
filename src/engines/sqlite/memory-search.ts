import type Database from "better-sqlite3";
import { idf } from "../../memory/plan.ts";
import type {
  Candidate,
  Candidates,
  Conjunction,
  RecordFilter,
  TermStatistics,
  VocabularyTerm,
} from "../../memory/port.ts";
import { TITLE_WEIGHT } from "../../memory/tuning.ts";
import { conditionOf, LATEST } from "./memory-sql.ts";

interface Statistics {
  documents: number;
  titleLength: number;
  bodyLength: number;
  indexVersion: number;
}

export function readTerms(database: Database.Database, terms: readonly string[]): TermStatistics {
  const rows = database
    .prepare<[string], { term: string; df: number }>(
      "SELECT t.term, t.df FROM json_each(?) wanted CROSS JOIN memori_terms t ON t.term = wanted.value",
    )
    .all(JSON.stringify(terms));
  const statistics = database
    .prepare<[], Statistics>(
      `SELECT documents, title_length AS titleLength, body_length AS bodyLength, index_version AS indexVersion
       FROM memori_statistics`,
    )
    .get()!;
  return { ...statistics, frequencies: new Map(rows.map(({ term, df }) => [term, df])) };
}

/** A row of the index and how well it fits, greater is better. */
type Match = [row: number, score: number];

/**
 * In two steps: the texts are read of those records only that are returned. `bm25()` reads all rows of every word it is asked for, so only
 * words that are wanted by themselves are ranked by it; of what is wanted together the rows are enough, each word counting as it does
 * once in a text of average length.
 */
export function readCandidates(
  database: Database.Database,
  wanted: readonly Conjunction[],
  filter: RecordFilter,
  limit: number,
  rows: number,
): Candidates {
  const single = wanted.filter((terms) => terms.length === 1).flat();
  const together = wanted.filter((terms) => terms.length > 1);
  const { scores, isCut } = rankSingle(database, single, rows);
  const isAlsoCut = addTogether(database, together, scores, rows);
  const passing = filtered(database, [...scores], filter);
  return { candidates: readTexts(database, bestRows(database, passing, limit)), isCut: isCut || isAlsoCut };
}

/** The best rows; of those that tie for the last places the ones with the smallest ids, as in every store. */
function bestRows(database: Database.Database, matching: readonly Match[], limit: number): number[] {
  const rounded = matching
    .map(([row, score]): Match => [row, Math.round(score * 1e6) / 1e6])
    .sort(([, one], [, other]) => other - one);
  if (rounded.length <= limit) return rounded.map(([row]) => row);
  const least = rounded[limit - 1]![1];
  const above = rounded.filter(([, score]) => score > least).map(([row]) => row);
  const tied = rounded.filter(([, score]) => score === least).map(([row]) => row);
  const first = database
    .prepare<[string, number], number>(
      `SELECT m.row_id FROM json_each(?) tied CROSS JOIN memori_metadata m ON m.row_id = tied.value
       ORDER BY m.id LIMIT ?`,
    )
    .pluck()
    .all(JSON.stringify(tied), limit - above.length);
  return [...above, ...first];
}

/** Newest first: in the order of the index, so that no more than the asked number is looked at. Words of the issue count as `TITLE_WEIGHT` says. */
function rankSingle(
  database: Database.Database,
  terms: readonly string[],
  rows: number,
): { scores: Map<number, number>; isCut: boolean } {
  if (terms.length === 0) return { scores: new Map(), isCut: false };
  const found = database
    .prepare<[string, number], Match>(
      `SELECT rowid, -bm25(memori_index, ${TITLE_WEIGHT}, 1, 1) FROM memori_index WHERE memori_index MATCH ?
       ORDER BY rowid DESC LIMIT ?`,
    )
    .raw()
    .all(terms.map(quoted).join(" OR "), rows + 1);
  return { scores: new Map(found.slice(0, rows)), isCut: found.length > rows };
}

/** Adds what conjunctions find to the scores, which hold `rows` rows at most then. @returns whether there were more */
function addTogether(
  database: Database.Database,
  wanted: readonly Conjunction[],
  scores: Map<number, number>,
  rows: number,
): boolean {
  if (wanted.length === 0) return false;
  const matching = database
    .prepare<[string, number], number>(
      "SELECT rowid FROM memori_index WHERE memori_index MATCH ? ORDER BY rowid DESC LIMIT ?",
    )
    .pluck();
  const { documents, frequencies } = readTerms(database, [...new Set(wanted.flat())]);
  /** Words of a row that count already: a word may be in several conjunctions. */
  const counted = new Map<number, Set<string>>();
  for (const terms of wanted) {
    for (const row of matching.all(terms.map(quoted).join(" AND "), rows + 1)) {
      const score = scores.get(row);
      if (score === undefined && scores.size >= rows) return true;
      const known = counted.get(row) ?? new Set();
      const fresh = terms.filter((term) => !known.has(term));
      counted.set(row, new Set([...known, ...fresh]));
      const gain = fresh.reduce((sum, term) => sum + idf(frequencies.get(term) ?? 0, documents), 0);
      scores.set(row, (score ?? 0) + gain);
    }
  }
  return false;
}

/** Terms are of [a-z0-9_]; quoted, none of them is an operator. */
const quoted = (term: string) => `"${term}"`;

function filtered(database: Database.Database, matching: Match[], filter: RecordFilter): Match[] {
  // the index holds visible records only
  if (Object.keys(filter).length === 0) return matching;
  const condition = conditionOf(filter, "l");
  const passing = new Set(
    database
      .prepare<unknown[], number>(
        `SELECT m.row_id FROM json_each(?) found CROSS JOIN memori_metadata m ON m.row_id = found.value ${LATEST}
         WHERE ${condition.sql}`,
      )
      .pluck()
      .all(JSON.stringify(matching.map(([row]) => row)), ...condition.params),
  );
  return matching.filter(([row]) => passing.has(row));
}

/** Texts as FTS5 keeps them (https://sqlite.org/fts5.html#fts5_data_structures): a third quicker than through the virtual table. */
function readTexts(database: Database.Database, rows: readonly number[]): Candidate[] {
  return database
    .prepare<[string], { id: string } & Candidate["prepared"]>(
      `SELECT m.id, i.c0 AS title, i.c1 AS body, i.c2 AS shape, m.folded_key AS foldedKey, m.title_length AS titleLength,
         m.body_length AS bodyLength
       FROM json_each(?) best CROSS JOIN memori_index_content i ON i.id = best.value
         CROSS JOIN memori_metadata m ON m.row_id = i.id
       ORDER BY best.key`,
    )
    .all(JSON.stringify(rows))
    .map(({ id, ...prepared }) => ({ id, prepared }));
}

/** Reads all terms: a few hundred milliseconds where there are a million. */
export function readVocabulary(
  database: Database.Database,
  pieces: readonly string[],
  lengths: { min: number; max: number },
  limit: number,
): VocabularyTerm[] {
  if (pieces.length === 0) return [];
  const contains = pieces.map(() => "instr(term, ?) > 0").join(" OR ");
  return database
    .prepare<unknown[], VocabularyTerm>(
      `SELECT term, df FROM memori_terms
       WHERE length(term) BETWEEN ? AND ? AND term NOT GLOB '__s_*' AND (${contains}) ORDER BY df DESC, term LIMIT ?`,
    )
    .all(lengths.min, lengths.max, ...pieces, limit);
}
