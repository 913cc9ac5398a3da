/** Queries, statistics and candidates for tests of the ranking. */
import { prepare } from "../../src/memory/analyze.ts";
import type { ReadQuery } from "../../src/memory/read-query.ts";
import { readQuery } from "../../src/memory/read-query.ts";

export const statistics = (frequencies: Record<string, number>, documents = 100) => ({
  documents,
  titleLength: documents * 2,
  bodyLength: documents * 10,
  frequencies: new Map(Object.entries(frequencies)),
  indexVersion: 2,
});

export const candidate = (id: string, issue: string, content: string, details: string | null = null) => ({
  id,
  prepared: prepare({ key: `issue:${issue}`, content, details }),
});

/** A plain query whose terms count as given, or once. */
export function queryOf(terms: readonly string[], weights: Record<string, number> = {}): ReadQuery {
  return {
    ...readQuery(""),
    weights: new Map(terms.map((term) => [term, weights[term] ?? 1])),
    runs: [[...terms]],
  };
}
