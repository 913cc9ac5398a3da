import { type Counts, common, differences } from "../backup/counts.ts";
import type { EngineName } from "../errors.ts";
import type { Drilled, RestoreTask } from "./port.ts";

/**
 * All that is wrong with what a drill found: what the engine says, amounts that differ, and what the metadata promises and is not there (a table
 * that is missing has no amount that could differ). Redis alone judges by itself: keys that have expired since are no damage.
 */
export function problemsOf(engine: EngineName, found: Drilled, expected: RestoreTask["expected"]): string[] {
  if (engine === "redis") return found.problems;
  // an engine that found out otherwise that the files are damaged counts nothing, and neither do some that only read
  const isCounted = Object.keys(found.counts).length > 0 || (found.loaded && found.problems.length === 0);
  // which table it is says more than a total
  const compared = (["breakdown", "counts"] as const).flatMap((kind) => [
    ...(isCounted ? missing(found[kind], expected[kind], found.problems) : []),
    ...differences(found[kind], expected[kind]),
  ]);
  // the engine compares, too, in the same words
  return [...found.problems.filter((problem) => !compared.includes(problem)), ...compared];
}

/** @param said what the engine says: it may name them itself, in its own words */
function missing(found: Counts, expected: Counts, said: readonly string[]): string[] {
  return Object.entries(expected)
    .filter(([name]) => !Object.hasOwn(found, name) && !said.some((problem) => problem.includes(name)))
    .map(([name, count]) => `${name}: it is missing, and the metadata says ${count}`);
}

/** How many amounts were found as the metadata says. */
export function agreeing(found: Drilled, { counts, breakdown }: RestoreTask["expected"]): number {
  return same(found.counts, counts) + same(found.breakdown, breakdown);
}

function same(found: Counts, expected: Counts): number {
  return common(found, expected) - differences(found, expected).length;
}
