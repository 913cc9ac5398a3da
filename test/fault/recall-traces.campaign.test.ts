import { expect, test } from "vitest";
import { ask, fill, onFreshFile } from "../../scripts/bench/lib/opsctl-recall.ts";
import { traceBench } from "../../scripts/bench/lib/traces.ts";

test.each([1, 2, 3])(
  "100 stack traces among 5,000 distractors, seed %i: the right fix first in at least 95",
  async (seed) => {
    const { fixes, queries } = traceBench(seed);
    await onFreshFile(async (memory) => {
      await fill(memory, fixes);
      const wrong: string[] = [];
      for (const { query, expected } of queries)
        if ((await ask(memory, query))[0] !== expected) wrong.push(expected);
      expect(queries).toHaveLength(100);
      expect(wrong.length, wrong.join(" ")).toBeLessThanOrEqual(5);
    });
  },
);
