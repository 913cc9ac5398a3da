import { expect, it } from "vitest";
import { createRandom } from "../../scripts/bench/lib/random.ts";
import { killRestores } from "./postgres-restore-kill.ts";

it("2 restores of PostgreSQL that are killed leave the old data or the new ones, and nothing else", async () => {
  const { next } = createRandom(7);
  const { finished, old, swapped } = await killRestores(2, next);
  expect(finished + old + swapped).toBe(2);
}, 60_000);
