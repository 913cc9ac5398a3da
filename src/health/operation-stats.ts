/** The log of operations, read: what this host's opsctl did, and how it went. */
import { readFile } from "node:fs/promises";
import type { OperationStats } from "../contract/stats.ts";
import { EXIT_CODES } from "../errors.ts";
import { type Operation, operationFiles } from "./operations.ts";

/** These codes are answers, not failures. */
const ANSWERS: readonly number[] = [EXIT_CODES.ok, EXIT_CODES.partial, EXIT_CODES.no];

/** The operations since a time, by command, most frequent first. Does not throw: without a log nothing is counted. */
export async function readOperations(stateFile: string, sinceMs: number): Promise<OperationStats> {
  const { current, older } = operationFiles(stateFile);
  const byCommand = new Map<
    string,
    { count: number; errors: number; total: number; max: number; last: number }
  >();
  let first = Number.POSITIVE_INFINITY;
  for (const file of [older, current]) {
    for (const { at, command, duration_ms: took, exit_code: code } of await linesOf(file)) {
      if (at < sinceMs) continue;
      first = Math.min(first, at);
      const known = byCommand.get(command) ?? { count: 0, errors: 0, total: 0, max: 0, last: 0 };
      known.count += 1;
      known.errors += ANSWERS.includes(code) ? 0 : 1;
      known.total += took;
      known.max = Math.max(known.max, took);
      known.last = Math.max(known.last, at);
      byCommand.set(command, known);
    }
  }
  const commands = [...byCommand].sort(([a, x], [b, y]) => y.count - x.count || (a < b ? -1 : 1));
  return {
    since: commands.length === 0 ? null : new Date(first).toISOString(),
    count: commands.reduce((sum, [, { count }]) => sum + count, 0),
    errors: commands.reduce((sum, [, { errors }]) => sum + errors, 0),
    commands: commands.map(([command, { count, errors, total, max, last }]) => ({
      command,
      count,
      errors,
      mean_ms: total / count,
      max_ms: max,
      last_at: new Date(last).toISOString(),
    })),
  };
}

/** A line that a crash or a full disk cut off is left out. */
async function linesOf(file: string): Promise<Operation[]> {
  const text = await readFile(file, "utf8").catch(() => "");
  return text.split("\n").flatMap((line) => {
    try {
      const { at, command, duration_ms, exit_code } = JSON.parse(line) as Partial<Operation>;
      const isWhole = [at, duration_ms, exit_code].every(Number.isFinite) && typeof command === "string";
      return isWhole ? [{ at, command, duration_ms, exit_code } as Operation] : [];
    } catch {
      return [];
    }
  });
}
