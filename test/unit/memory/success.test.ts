import { expect, test } from "vitest";
import { successOf } from "../../../src/memory/success.ts";
import { SUCCESS_REACH } from "../../../src/memory/tuning.ts";
import { wilson } from "../../../src/memory/wilson.ts";

test.each([
  // Newcombe 1998 (Statistics in Medicine 17, 857-872), table I, method 3
  [81, 263, 0.2553, 0.3662],
  [15, 148, 0.0624, 0.1605],
  [0, 20, 0, 0.1611],
  [1, 29, 0.0061, 0.1718],
])("the score interval of %i of %i", (successes, trials, low, high) => {
  const interval = wilson(successes, trials);
  expect(interval.low).toBeCloseTo(low, 4);
  expect(interval.high).toBeCloseTo(high, 4);
});

test("the outcomes move a score by a bounded part, more the more there are", () => {
  const of = (successes: number, failures: number) => successOf({ successes, failures }).multiplier;
  expect(of(0, 0)).toBe(1);
  expect(of(5, 5)).toBeCloseTo(1, 9);
  expect([of(0, 9), of(0, 1), of(0, 0), of(1, 0), of(3, 0), of(30, 0)]).toEqual(
    [of(0, 9), of(0, 1), of(0, 0), of(1, 0), of(3, 0), of(30, 0)].sort((a, b) => a - b),
  );
  expect(of(1_000_000, 0)).toBeLessThanOrEqual(1 + SUCCESS_REACH);
  expect(of(0, 1_000_000)).toBeGreaterThanOrEqual(1 - SUCCESS_REACH);
  expect(of(4, 1) - 1).toBeCloseTo(1 - of(1, 4), 9);
});
