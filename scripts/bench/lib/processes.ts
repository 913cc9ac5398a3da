/** Whole processes, timed. */
import { spawnSync } from "node:child_process";

/** Runs this Node with `args`; milliseconds from start to end. Throws unless it exits with 0. */
export function timeNode(args: readonly string[], env: NodeJS.ProcessEnv): number {
  const startedAt = performance.now();
  const { status, stderr } = spawnSync(process.execPath, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  const elapsed = performance.now() - startedAt;
  if (status !== 0) throw new Error(`node ${args.join(" ")} ended with ${status}: ${stderr}`);
  return elapsed;
}

/**
 * Times each task `runs` times, one after another in turn, so that whatever else the machine does meets them all.
 * @returns the median of each, in the order of the tasks
 */
export function medians(runs: number, warmUps: number, tasks: readonly (() => number)[]): number[] {
  const times: number[][] = tasks.map(() => []);
  for (let run = -warmUps; run < runs; run += 1) {
    for (const [index, task] of tasks.entries()) {
      const elapsed = task();
      if (run >= 0) times[index]!.push(elapsed);
    }
  }
  return times.map((list) => list.sort((a, b) => a - b)[Math.floor(list.length / 2)]!);
}
