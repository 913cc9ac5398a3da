import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { prepare } from "../../../src/memory/analyze.ts";
import { chooseTerms, rank as rankWeighted } from "../../../src/memory/rank.ts";

const statistics = (frequencies: Record<string, number>, documents = 100) => ({
  documents,
  titleLength: documents * 2,
  bodyLength: documents * 10,
  frequencies: new Map(Object.entries(frequencies)),
});
/** Every term counts once. */
const rank = (
  sent: string[],
  known: ReturnType<typeof statistics>,
  found: ReturnType<typeof candidate>[],
  limit: number,
) => rankWeighted(new Map(sent.map((term) => [term, 1])), sent, known, found, limit);
const candidate = (id: string, issue: string, content: string) => ({
  id,
  prepared: prepare({ key: `issue:${issue}`, content, details: null }),
});

describe("the order of candidates", () => {
  test("a word of the issue counts more than one of the text, a rare one more than a common one", () => {
    const known = statistics({ deadlock: 2, server: 90 });
    const found = rank(
      ["deadlock", "server"],
      known,
      [
        candidate("common", "web", "server server"),
        candidate("body", "web", "deadlock here"),
        candidate("title", "deadlock", "restart it"),
        candidate("none", "web", "nothing"),
      ],
      10,
    );
    expect(found.map(({ id }) => id)).toEqual(["title", "body", "common", "none"]);
    expect(found.at(-1)!.score).toBe(0);
  });

  test("exact BM25, rounded to 1e-6", () => {
    const [found] = rank(
      ["deadlock"],
      statistics({ deadlock: 1 }, 1),
      [candidate("a", "x1", "deadlock")],
      10,
    );
    // idf ln(1 + .5/1.5); tf 1; title x1 has 3 tokens, three times, and the text one: length 10; average 16
    const weight = Math.log(1 + 0.5 / 1.5);
    const expected = (weight * 2.2) / (1 + 1.2 * (0.25 + (0.75 * 10) / 16));
    expect(found!.score).toBeCloseTo(expected, 6);
    expect(found!.score).toBe(Math.round(found!.score * 1e6) / 1e6);
  });

  test("ties by id, whatever the order of the candidates; nothing but the candidates decides", () => {
    const ids = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 4 }), { minLength: 2, maxLength: 12 });
    fc.assert(
      fc.property(ids, fc.nat(), (all, turn) => {
        const same = all.map((id) => candidate(id, "pool", "timeout again"));
        const turned = [...same.slice(turn % same.length), ...same.slice(0, turn % same.length)];
        const known = statistics({ timeout: 4 });
        const list = rank(["timeout"], known, same, 10);
        expect(rank(["timeout"], known, turned, 10)).toEqual(list);
        expect(list.map(({ id }) => id)).toEqual([...all].sort((a, b) => (a < b ? -1 : 1)));
      }),
    );
  });

  test("a pool of 50, or of the limit when that is more", () => {
    const many = Array.from({ length: 80 }, (_, index) => candidate(`id-${index}`, "pool", "timeout"));
    expect(rank(["timeout"], statistics({ timeout: 80 }), many, 10)).toHaveLength(50);
    expect(rank(["timeout"], statistics({ timeout: 80 }), many, 60)).toHaveLength(60);
  });

  test("an empty corpus and impossible frequencies give finite scores", () => {
    const empty = { documents: 0, titleLength: 0, bodyLength: 0, frequencies: new Map([["timeout", 5]]) };
    const [found] = rank(["timeout"], empty, [candidate("a", "pool", "timeout")], 10);
    expect(Number.isFinite(found!.score)).toBe(true);
  });
});

test("terms that were not sent order the pool, but do not make it; a term counts by its weight", () => {
  const known = statistics({ deadlock: 2, storm: 3 });
  const weights = new Map([
    ["deadlock", 1],
    ["storm", 1],
  ]);
  const two = [candidate("a", "web", "deadlock calm"), candidate("b", "web", "deadlock storm")];
  const order = (found: typeof two, sent: string[], all = weights) =>
    rankWeighted(all, sent, known, found, 10).map(({ id }) => id);
  expect(order(two, ["deadlock"])).toEqual(["b", "a"]);
  const crowd = Array.from({ length: 50 }, (_, index) => candidate(`c${index}`, "web", "deadlock"));
  expect(order([...crowd, candidate("z", "web", "storm")], ["deadlock"])).not.toContain("z");
  const either = [candidate("a", "web", "deadlock"), candidate("b", "web", "storm")];
  expect(order(either, ["deadlock", "storm"])).toEqual(["a", "b"]);
  expect(order(either, ["deadlock", "storm"], new Map([...weights, ["storm", 3]]))).toEqual(["b", "a"]);
});

describe("the terms that are sent", () => {
  test("the rarest first, ties by the term, unknown ones left out, at most twelve", () => {
    const terms = Array.from({ length: 20 }, (_, index) => `t${String(index).padStart(2, "0")}`);
    const frequencies = Object.fromEntries(terms.map((term, index) => [term, index < 3 ? 7 : 20 - index]));
    const chosen = chooseTerms(["unknown", ...terms], statistics(frequencies));
    expect(chosen).toHaveLength(12);
    expect(chosen.slice(0, 3)).toEqual(["t19", "t18", "t17"]);
    expect(chosen).not.toContain("unknown");
    expect(chooseTerms(["b", "a"], statistics({ a: 1, b: 1 }))).toEqual(["a", "b"]);
  });

  test("within 10,000 rows, but two terms always", () => {
    const known = statistics({ a: 6000, b: 6000, c: 6000 }, 20_000);
    expect(chooseTerms(["c", "b", "a"], known)).toEqual(["a", "b"]);
    expect(chooseTerms(["c", "a"], statistics({ a: 90_000, c: 90_000 }, 100_000))).toEqual(["a", "c"]);
    expect(chooseTerms(["a", "b", "c"], statistics({ a: 10, b: 20, c: 9_970 }, 20_000))).toEqual([
      "a",
      "b",
      "c",
    ]);
    expect(chooseTerms(["a", "b", "c"], statistics({ a: 10, b: 20, c: 9_971 }, 20_000))).toEqual(["a", "b"]);
  });
});
