import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { planSearch } from "../../../src/memory/plan.ts";
import type { Candidate } from "../../../src/memory/port.ts";
import { rank, round } from "../../../src/memory/rank.ts";
import { POOL_SIZE, ROW_BUDGET, type Signal, WEIGHTS } from "../../../src/memory/tuning.ts";
import { candidate, queryOf, statistics } from "../../support/ranking.ts";

const ONLY = (signal: Signal) =>
  Object.fromEntries(Object.keys(WEIGHTS).map((name) => [name, name === signal ? 1 : 0])) as typeof WEIGHTS;

const ranked = (
  terms: string[],
  known: ReturnType<typeof statistics>,
  found: Candidate[],
  weights?: typeof WEIGHTS,
) => rank(queryOf(terms), { sent: terms }, known, found, { pool: POOL_SIZE, weights });

const ids = (list: readonly { id: string }[]) => list.map(({ id }) => id);

describe("the order of candidates", () => {
  test("a word of the issue counts more than one of the text, a rare one more than a common one", () => {
    const found = ranked(["deadlock", "server"], statistics({ deadlock: 2, server: 90 }), [
      candidate("common", "web", "server server"),
      candidate("body", "web", "deadlock here"),
      candidate("title", "deadlock", "restart it"),
      candidate("none", "web", "nothing"),
    ]);
    expect(ids(found)).toEqual(["title", "body", "common", "none"]);
    expect(found.at(-1)!.score).toBe(0);
  });

  test("exact BM25, by hand", () => {
    const [found] = ranked(
      ["deadlock"],
      statistics({ deadlock: 1 }, 1),
      [candidate("a", "x1", "deadlock")],
      ONLY("bm25"),
    );
    // idf ln(1 + .5/1.5); tf 1; title x1 has 3 tokens, three times, and the text one: length 10; average 16
    const expected = (Math.log(1 + 0.5 / 1.5) * 2.2) / (1 + 1.2 * (0.25 + (0.75 * 10) / 16));
    expect(found!.parts).toEqual([{ signal: "bm25", raw: round(expected), weight: 1, share: 1 }]);
  });

  test("words side by side in the query and in the record are worth more than the same words apart", () => {
    const found = ranked(
      ["connect", "refus"],
      statistics({ connect: 2, refus: 2 }),
      [
        candidate("apart", "web", "refused by the pool, then the connection went"),
        candidate("together", "web", "by the pool connection refused, then it went"),
      ],
      ONLY("bigram"),
    );
    expect(found.map(({ id, score }) => [id, score])).toEqual([
      ["together", 1],
      ["apart", 0],
    ]);
  });

  test("ties by id, whatever the order of the candidates; nothing but the candidates decides", () => {
    const names = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 4 }), { minLength: 2, maxLength: 12 });
    fc.assert(
      fc.property(names, fc.nat(), (all, turn) => {
        const same = all.map((id) => candidate(id, "pool", "timeout again"));
        const turned = [...same.slice(turn % same.length), ...same.slice(0, turn % same.length)];
        const known = statistics({ timeout: 4 });
        const list = ranked(["timeout"], known, same);
        expect(ranked(["timeout"], known, turned)).toEqual(list);
        expect(ids(list)).toEqual([...all].sort((a, b) => (a < b ? -1 : 1)));
      }),
    );
  });

  test("the shares of all signals add up to the score", () => {
    const words = fc.array(
      fc.constantFrom(..."deadlock server pool timeout connection refused retry".split(" ")),
      {
        minLength: 1,
        maxLength: 8,
      },
    );
    fc.assert(
      fc.property(
        words,
        fc.array(fc.tuple(words, words), { minLength: 1, maxLength: 20 }),
        (query, records) => {
          const all = records.map(([issue, text], index) =>
            candidate(`r${index}`, issue.join(" "), text.join(" ")),
          );
          const terms = [...new Set(query)];
          const known = statistics(Object.fromEntries(terms.map((term, index) => [term, index + 1])));
          for (const { score, parts } of ranked(terms, known, all)) {
            expect(parts.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(score, 9);
            for (const { share, weight } of parts) expect(share).toBeLessThanOrEqual(weight);
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  test("an empty corpus and impossible frequencies give finite scores", () => {
    const empty = { ...statistics({ timeout: 5 }), documents: 0, titleLength: 0, bodyLength: 0 };
    const [found] = ranked(["timeout"], empty, [candidate("a", "pool", "timeout")]);
    expect(Number.isFinite(found!.score)).toBe(true);
  });
});

test("terms that were not sent order the pool, but do not make it; a term counts by its weight", () => {
  const known = statistics({ deadlock: 2, storm: 3 });
  const order = (found: Candidate[], sent: string[], weights = {}) =>
    ids(rank(queryOf(["deadlock", "storm"], weights), { sent }, known, found, { pool: POOL_SIZE }));
  expect(
    order([candidate("a", "web", "deadlock calm"), candidate("b", "web", "deadlock storm")], ["deadlock"]),
  ).toEqual(["b", "a"]);
  const crowd = Array.from({ length: POOL_SIZE }, (_, index) => candidate(`c${index}`, "web", "deadlock"));
  expect(order([...crowd, candidate("z", "web", "storm")], ["deadlock"])).not.toContain("z");
  const either = [candidate("a", "web", "deadlock"), candidate("b", "web", "storm")];
  expect(order(either, ["deadlock", "storm"])).toEqual(["a", "b"]);
  expect(order(either, ["deadlock", "storm"], { storm: 3 })).toEqual(["b", "a"]);
});

describe("what is searched", () => {
  const plan = (terms: string[], known: ReturnType<typeof statistics>, weights = {}) =>
    planSearch(queryOf(terms, weights).weights, known);

  test("the strongest terms first, ties by the term, unknown ones left out, at most sixteen", () => {
    const terms = Array.from({ length: 30 }, (_, index) => `t${String(index).padStart(2, "0")}`);
    const frequencies = Object.fromEntries(terms.map((term, index) => [term, index < 3 ? 7 : 30 - index]));
    const { sent, wanted, left } = plan(["unknown", ...terms], statistics(frequencies));
    expect(sent).toHaveLength(16);
    expect(sent.slice(0, 3)).toEqual(["t29", "t28", "t27"]);
    expect(left).toHaveLength(14);
    expect(wanted.every(({ length }) => length === 1)).toBe(true);
    expect(plan(["b", "a"], statistics({ a: 1, b: 1 })).sent).toEqual(["a", "b"]);
    expect(plan(["a", "b"], statistics({ a: 1, b: 2 }), { b: 9 }).sent).toEqual(["b", "a"]);
  });

  test("rows stay within the budget: what is too common is asked for together with another", () => {
    const known = statistics(
      { rare: 10, a: ROW_BUDGET, b: 2 * ROW_BUDGET, c: 3 * ROW_BUDGET },
      100 * ROW_BUDGET,
    );
    expect(plan(["c", "b", "a", "rare"], known)).toEqual({
      wanted: [["rare"], ["a", "b"], ["a", "c"], ["b", "c"]],
      sent: ["rare", "a", "b", "c"],
      left: [],
    });
  });

  test("when pairs are too common they become threes; at the end all of the words must be there", () => {
    const half = (terms: string[], documents: number) =>
      statistics(Object.fromEntries(terms.map((term) => [term, documents / 2])), documents);
    expect(plan(["a", "b", "c"], half(["a", "b", "c"], 6 * ROW_BUDGET)).wanted).toEqual([["a", "b", "c"]]);
    expect(plan(["a", "b"], half(["a", "b"], 1000 * ROW_BUDGET)).wanted).toEqual([["a", "b"]]);
    expect(plan(["a"], half(["a"], 1000 * ROW_BUDGET)).wanted).toEqual([["a"]]);
    expect(plan([], statistics({}))).toEqual({ wanted: [], sent: [], left: [] });
  });

  test("the estimated rows never pass the budget, unless nothing else would be searched", () => {
    const corpora = fc.array(fc.integer({ min: 1, max: 1_000_000 }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(corpora, (dfs) => {
        const terms = dfs.map((_, index) => `t${index}`);
        const known = statistics(Object.fromEntries(dfs.map((df, index) => [`t${index}`, df])), 1_000_000);
        const { wanted, sent, left } = plan(terms, known);
        const rows = (group: readonly string[]) =>
          group.reduce((product, term) => (product * known.frequencies.get(term)!) / 1_000_000, 1_000_000);
        const total = wanted.reduce((sum, group) => sum + rows(group), 0);
        expect(wanted.length === 1 || total <= ROW_BUDGET * 1.000001).toBe(true);
        expect(new Set([...sent, ...left])).toEqual(new Set(terms));
      }),
    );
  });
});
