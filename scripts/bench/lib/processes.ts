/** Whole processes, timed. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** A program as a user would start it. */
export interface Program {
  command: string;
  args: readonly string[];
  env: NodeJS.ProcessEnv;
  cwd?: string;
}

/** Milliseconds: from start to end, and of processor time (user and system, in steps of 10 ms; NaN outside Linux). */
export interface Timing {
  ms: number;
  cpuMs: number;
}

/** Runs a program to its end. Throws unless it exits with 0. */
export function timeProgram({ command, args, env, cwd }: Program): Timing {
  const cpuBefore = childrenCpuMs();
  const startedAt = performance.now();
  const { status, stderr, error } = spawnSync(command, args, { env, cwd, stdio: ["ignore", "pipe", "pipe"] });
  const ms = performance.now() - startedAt;
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${status ?? error}: ${stderr}`);
  return { ms, cpuMs: childrenCpuMs() - cpuBefore };
}

/** Runs this Node with `args`; milliseconds from start to end. Throws unless it exits with 0. */
export function timeNode(args: readonly string[], env: NodeJS.ProcessEnv): number {
  return timeProgram({ command: process.execPath, args, env }).ms;
}

/** What all ended children have used so far: `cutime` and `cstime` of proc(5), whose unit is 10 ms on every Linux that Node runs on. */
function childrenCpuMs(): number {
  if (process.platform !== "linux") return Number.NaN;
  const stat = readFileSync("/proc/self/stat", "utf8");
  // the program's name comes second and may hold spaces; what follows it begins with field 3
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[13]) + Number(fields[14])) * 10;
}

/** The middle of a list, of an even number the upper one. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
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
  return times.map(median);
}
