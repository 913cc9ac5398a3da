/**
 * Errors that come back with other values: 20 fixes, each remembered once with one instance of its trace, 100 queries that paste other instances between
 * other log lines, and 5,000 fixes that look alike. The same for the same seed.
 */
import { importLine, recallDev } from "./dataset.ts";
import { createRandom, type Random } from "./random.ts";
import { PROGRAMS } from "./trace-families-programs.ts";
import { SYSTEMS } from "./trace-families-systems.ts";
import type { TraceFamily } from "./trace-family.ts";
import { filled } from "./trace-values.ts";

export interface TraceBench {
  /** Lines of `opsctl fixes import`. */
  fixes: string[];
  queries: { query: string; expected: string; family: string }[];
}

export interface TraceOptions {
  /** Queries of each family. */
  perFamily?: number;
  distractors?: number;
  /** Log lines around the error in a query: at least and at most. */
  around?: readonly [number, number];
  /** What is remembered: the trace between log lines, or the line of the message alone. By default half of the families each. */
  remembered?: "trace" | "message";
  /** Every fourth distractor differs from one of the 20 in one word. */
  twins?: boolean;
}

const TRACE_FAMILIES = [...PROGRAMS, ...SYSTEMS];

const SOLUTIONS = [
  "restarted the service and watched it for an hour",
  "raised the limit and deployed again",
  "rolled back to the release before",
  "cleared the cache, then warmed it up",
  "fixed the configuration and restarted",
  "asked the owners of the network to open the port",
  "upgraded the library, the defect is known there",
  "moved the job to the night",
];

/** The bench of a seed. */
export function traceBench(seed: number, options: TraceOptions = {}): TraceBench {
  const random = createRandom(seed);
  const { perFamily = 5, distractors = 5000, around = [0, 40], twins = false } = options;
  const known = TRACE_FAMILIES.map((family, index) => {
    const remembered = options.remembered ?? (index % 2 === 0 ? "trace" : "message");
    return fix(random, `known-${family.name}`, family, family.errors[0]!, remembered);
  });
  const others = TRACE_FAMILIES.flatMap((family) => [
    ...family.errors.slice(1).map((error) => ({ family, error })),
    ...(twins ? twinsOf(family) : []),
  ]);
  const reports = recallDev()[0]!.reports.slice(0, distractors / 5);
  const alike = Array.from({ length: distractors - reports.length }, (_, index) => {
    const { family, error } = others[index % others.length]!;
    return fix(random, `other-${index}`, family, error, random.next() < 0.5 ? "trace" : "message");
  });
  const queries = TRACE_FAMILIES.flatMap((family) =>
    Array.from({ length: perFamily }, () => ({
      query: paste(random, family, family.errors[0]!, around),
      expected: `known-${family.name}`,
      family: family.name,
    })),
  );
  return { fixes: random.shuffled([...known, ...alike, ...reports.map(importLine)]), queries };
}

function twinsOf(family: TraceFamily): { family: TraceFamily; error: string[] }[] {
  const [word, ...others] = family.twin;
  return others.map((other) => ({
    family,
    error: family.errors[0]!.map((line) => line.replaceAll(word, other)),
  }));
}

function fix(
  random: Random,
  id: string,
  family: TraceFamily,
  error: readonly string[],
  remembered: "trace" | "message",
): string {
  const details =
    remembered === "trace" ? paste(random, family, error, [0, 6]) : filled(random, messageOf(family, error));
  return JSON.stringify({
    id,
    issue: filled(random, `${family.name} incident {int}`),
    solution: random.pick(SOLUTIONS),
    details,
    success: true,
    ts: 1_700_000_000_000 + random.below(10_000_000),
  });
}

/** The line that tells: of the family's first error that with the word which makes it this error, else the last. */
const messageOf = ({ twin: [word] }: TraceFamily, error: readonly string[]): string =>
  error.find((line) => line.includes(word)) ?? error.findLast((line) => line !== "@" && line.length > 2)!;

/** The error with its frames, log lines before and after it. */
function paste(
  random: Random,
  family: TraceFamily,
  error: readonly string[],
  [least, most]: readonly [number, number],
): string {
  const logged = () =>
    Array.from({ length: least + random.below(most - least + 1) }, () => random.pick(family.log));
  const lines = [...logged(), ...error.flatMap((line) => (line === "@" ? family.frames : line)), ...logged()];
  return lines.map((line) => filled(random, line)).join("\n");
}
