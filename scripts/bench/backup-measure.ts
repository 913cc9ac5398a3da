/** Whole programs with all that they start: wall time, processor time and resident memory. Linux only: it reads proc(5). */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { Program } from "./lib/processes.ts";

const SAMPLE_MS = 20;
/** Of `utime` and `stime` on every Linux that Node runs on. */
const TICK_MS = 10;

export interface Usage {
  ms: number;
  /** Of the program and of the children that it waited for, user and system. What it does in its last 20 ms may be missing. */
  cpuMs: number;
  /** Peak of the program itself, bytes: VmHWM as last seen. */
  ownBytes: number;
  /** Peak of the sum over the program and everything below it, bytes; pages that two of them share count twice. */
  allBytes: number;
  stdout: string;
}

/** Runs a program to its end. Throws unless it exits with 0; aborting ends it with SIGTERM. */
export async function measure(program: Program, signal: AbortSignal): Promise<Usage> {
  const { command, args, env, cwd } = program;
  const startedAt = performance.now();
  const child = spawn(command, args, { env, cwd, signal, stdio: ["ignore", "pipe", "pipe"] });
  const usage: Usage = { ms: 0, cpuMs: 0, ownBytes: 0, allBytes: 0, stdout: "" };
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    usage.stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr = (stderr + text).slice(-2_000);
  });
  const timer = setInterval(() => sample(child.pid, usage), SAMPLE_MS);
  const exited = once(child, "exit");
  const closed = once(child, "close");
  try {
    const [code, ended] = (await exited) as [number | null, string | null];
    usage.ms = performance.now() - startedAt;
    await closed;
    if (code !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${code ?? ended}: ${stderr}`);
    return usage;
  } finally {
    clearInterval(timer);
    closed.catch(() => {});
  }
}

function sample(pid: number | undefined, usage: Usage): void {
  if (pid === undefined) return;
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // the program's name comes second and may hold spaces; what follows it begins with field 3
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
    usage.cpuMs = Math.max(usage.cpuMs, ticks * TICK_MS);
    usage.ownBytes = Math.max(usage.ownBytes, memory(pid, "VmHWM"));
    usage.allBytes = Math.max(usage.allBytes, resident(pid));
  } catch {
    // it ended between two looks
  }
}

/** Sum over a process and all below it. */
function resident(pid: number): number {
  let sum = memory(pid, "VmRSS");
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
    for (const child of children.split(" ")) if (child !== "") sum += resident(Number(child));
  } catch {
    // it ended between two looks
  }
  return sum;
}

/** A line of its status in bytes; 0 when it is gone. */
function memory(pid: number, name: "VmHWM" | "VmRSS"): number {
  try {
    const kilobytes = new RegExp(`^${name}:\\s*(\\d+) kB`, "m").exec(
      readFileSync(`/proc/${pid}/status`, "utf8"),
    )?.[1];
    return Number(kilobytes ?? 0) * 1_024;
  } catch {
    return 0;
  }
}
