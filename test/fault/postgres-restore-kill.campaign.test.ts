import { expect, it } from "vitest";
import { createRandom } from "../../scripts/bench/lib/random.ts";
import { killRestores } from "./postgres-restore-kill.ts";

it("50 restores of PostgreSQL that are killed leave the old data or the new ones, and nothing else", async () => {
  const { next } = createRandom(61);
  const { finished, old, swapped } = await killRestores(50, next);
  expect(finished + old + swapped).toBe(50);
  expect(old).toBeGreaterThan(0);
  expect(swapped).toBeGreaterThan(0);
}, 1_200_000);
