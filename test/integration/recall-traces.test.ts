import { expect, test } from "vitest";
import { ask, fill, onFreshFile } from "../../scripts/bench/lib/opsctl-recall.ts";
import { traceBench } from "../../scripts/bench/lib/traces.ts";

test("the bench is the same for the same seed, and each query has its one fix", () => {
  const bench = traceBench(3, { perFamily: 5, distractors: 200 });
  expect(traceBench(3, { perFamily: 5, distractors: 200 })).toEqual(bench);
  expect(traceBench(4, { perFamily: 5, distractors: 200 })).not.toEqual(bench);
  expect(bench.queries).toHaveLength(100);
  expect(bench.fixes).toHaveLength(220);
  const ids = bench.fixes.map((line) => String((JSON.parse(line) as { id: string }).id));
  expect(new Set(ids).size).toBe(220);
  for (const { query, expected } of bench.queries) {
    expect(ids.filter((id) => id === expected)).toHaveLength(1);
    expect(query).not.toMatch(/\{(?:uuid|int|n|hex8|iso)\}/);
  }
});

/** The whole of it, 100 among 5,000, is in fault/recall-traces.campaign.test.ts. */
test("the fix of a stack trace comes first although all its values are others", async () => {
  const { fixes, queries } = traceBench(5, { perFamily: 1, distractors: 300 });
  await onFreshFile(async (memory) => {
    await fill(memory, fixes);
    const first: boolean[] = [];
    for (const { query, expected } of queries) first.push((await ask(memory, query))[0] === expected);
    expect(queries).toHaveLength(20);
    expect(first.filter(Boolean).length).toBeGreaterThanOrEqual(19);
  });
});
