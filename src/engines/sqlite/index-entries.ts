/** Entries of a full-text index, with the document frequencies and sums that belong to them. */
import type Database from "better-sqlite3";
import { INDEX_VERSION } from "../../memory/analyze.ts";
import type { Prepared } from "../../memory/model.ts";
import { refuseNewerIndex } from "./index-version.ts";

/** Names of the tables of an index. */
export interface IndexTables {
  /** FTS5 (title, body, shape). */
  entries: string;
  /** (term, df) */
  terms: string;
  /** One row with documents, title_length, body_length, index_version. */
  sums: string;
}

/** The index that recall searches. */
export const LIVE: IndexTables = {
  entries: "memori_index",
  terms: "memori_terms",
  sums: "memori_statistics",
};

/**
 * @param database has the tables of the memory
 * @throws OpsError `failed` when a newer opsctl made the index that recall searches
 */
export function requireKnownIndex(database: Database.Database): void {
  const version = database.prepare<[], number>(`SELECT index_version FROM ${LIVE.sums}`).pluck().get();
  if (version !== undefined) refuseNewerIndex(version, database.name);
}

type Tokens = Pick<Prepared, "title" | "body" | "shape">;

function prepareStatements(database: Database.Database, { entries, terms, sums }: IndexTables) {
  return {
    read: database.prepare<[number], Tokens>(`SELECT title, body, shape FROM ${entries} WHERE rowid = ?`),
    insert: database.prepare(`INSERT INTO ${entries} (rowid, title, body, shape) VALUES (?, ?, ?, ?)`),
    delete: database.prepare(`DELETE FROM ${entries} WHERE rowid = ?`),
    addTerm: database.prepare(
      `INSERT INTO ${terms} VALUES (?, ?) ON CONFLICT (term) DO UPDATE SET df = df + excluded.df`,
    ),
    dropTerm: database.prepare(`DELETE FROM ${terms} WHERE term = ? AND df <= 0`),
    // the first entry of an empty index says which version the index has
    addSums: database.prepare(
      `UPDATE ${sums} SET index_version = CASE WHEN documents = 0 THEN ${INDEX_VERSION} ELSE index_version END,
         documents = documents + ?, title_length = title_length + ?, body_length = body_length + ?`,
    ),
  };
}

/**
 * Adds and removes entries inside the caller's transaction. Document frequencies and sums are summed over the transaction and written once, by
 * `flush`, in the order of the terms.
 */
export class IndexEntries {
  readonly #statements: ReturnType<typeof prepareStatements>;
  /** What each term's frequency changes by, and the last entry that counted: a term counts once an entry. */
  readonly #frequencies = new Map<string, { change: number; entry: number }>();
  /** Number of the entry that is added or removed, within the transaction. */
  #entry = 0;
  #documents = 0;
  #titleLength = 0;
  #bodyLength = 0;

  constructor(database: Database.Database, tables: IndexTables) {
    this.#statements = prepareStatements(database, tables);
  }

  /** A transaction that was rolled back and tried again starts from nothing. */
  reset(): void {
    this.#frequencies.clear();
    this.#entry = this.#documents = this.#titleLength = this.#bodyLength = 0;
  }

  /** Of a record that has no entry. */
  add(row: number, { title, body, shape }: Tokens): void {
    this.#statements.insert.run(row, title, body, shape);
    this.#count({ title, body, shape }, 1);
  }

  /** @returns false when there is no entry */
  remove(row: number): boolean {
    const tokens = this.#statements.read.get(row);
    if (!tokens) return false;
    this.#statements.delete.run(row);
    this.#count(tokens, -1);
    return true;
  }

  flush(): void {
    const terms = [...this.#frequencies].sort(([a], [b]) => (a < b ? -1 : 1));
    for (const [term, { change }] of terms) {
      if (change === 0) continue;
      this.#statements.addTerm.run(term, change);
      if (change < 0) this.#statements.dropTerm.run(term);
    }
    if (this.#documents !== 0 || this.#titleLength !== 0 || this.#bodyLength !== 0) {
      this.#statements.addSums.run(this.#documents, this.#titleLength, this.#bodyLength);
    }
    this.reset();
  }

  #count({ title, body, shape }: Tokens, sign: 1 | -1): void {
    this.#entry += 1;
    this.#documents += sign;
    this.#titleLength += sign * this.#countTokens(title, sign);
    this.#bodyLength += sign * this.#countTokens(body, sign);
    this.#countTokens(shape, sign);
  }

  /** @returns how many there are */
  #countTokens(text: string, sign: 1 | -1): number {
    const tokens = tokensOf(text);
    for (const token of tokens) {
      const known = this.#frequencies.get(token);
      if (!known) this.#frequencies.set(token, { change: sign, entry: this.#entry });
      else if (known.entry !== this.#entry) {
        known.change += sign;
        known.entry = this.#entry;
      }
    }
    return tokens.length;
  }
}

function tokensOf(text: string): string[] {
  return text === "" ? [] : text.split(" ");
}
