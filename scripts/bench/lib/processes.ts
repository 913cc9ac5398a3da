/** Whole processes, timed. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
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

/** How often a process is asked for its peak. */
const PEAK_EVERY_MS = 20;

/**
 * Runs this Node with `args`.
 * @returns ms from start to end, and the most memory it had, MiB (VmHWM of proc(5), asked until it ended; NaN outside Linux)
 */
export async function peakOfNode(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<{ ms: number; peakMib: number }> {
  const startedAt = performance.now();
  const child = spawn(process.execPath, args, { env, stdio: ["ignore", "ignore", "pipe"] });
  let stderr = "";
  child.stderr.on("data", (text) => {
    stderr += text;
  });
  let peakMib = Number.NaN;
  const timer = setInterval(() => {
    peakMib = peakOf(child.pid) ?? peakMib;
  }, PEAK_EVERY_MS);
  const [status] = await once(child, "close");
  clearInterval(timer);
  if (status !== 0) throw new Error(`node ${args.join(" ")} ended with ${status}: ${stderr}`);
  return { ms: performance.now() - startedAt, peakMib };
}

/** Undefined when the process has ended. */
function peakOf(pid: number | undefined): number | undefined {
  try {
    const [, kib] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
    return kib === undefined ? undefined : Number(kib) / 1024;
  } catch {
    return undefined;
  }
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

/** The value that `share` of a list does not pass (nearest rank). */
export function percentile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(values.length * share) - 1)]!;
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
