/** What the host says of itself: disk, memory and processor, below a root folder that tests and containers can replace. */
import type { BigIntStatsFs } from "node:fs";
import { readFile, statfs } from "node:fs/promises";
import { availableParallelism, cpus, freemem, loadavg, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

export interface DiskReading {
  /** As asked for. */
  path: string;
  /** As `df` counts: used of what an unprivileged user could use. Null: unreadable. */
  usage_percent: number | null;
  total_bytes: number | null;
  free_bytes: number | null;
  /** Why it is unreadable. */
  message: string | null;
}

export interface MemoryReading {
  usage_percent: number;
  total_bytes: number;
  available_bytes: number;
}

export interface CpuReading {
  /** Over the sample; null when the counters stood still. */
  usage_percent: number | null;
  load_1m: number;
  load_5m: number;
  load_15m: number;
  cores: number;
}

export interface HostReadings {
  disks: DiskReading[];
  memory: MemoryReading;
  cpu: CpuReading;
}

export interface HostOptions {
  /** Files or folders whose file systems count; what does not exist yet counts as its nearest parent. */
  paths: readonly string[];
  /** Where the host's file system begins. Default `/`. */
  root?: string;
  /** Time between two looks at the processor's counters, ms. Default 100. */
  sampleMs?: number;
  /** Time for one path: a lost network file system never answers, ms. Default 2,000. */
  limitMs?: number;
  /** For tests: a full disk cannot be had as a folder. */
  statfs?: (path: string) => Promise<Pick<BigIntStatsFs, "bsize" | "blocks" | "bfree" | "bavail">>;
}

/** Reads everything side by side; takes `sampleMs`. Does not throw: where `<root>/proc` is missing, node:os answers. */
export async function readHost(options: HostOptions): Promise<HostReadings> {
  const { paths, root = "/", sampleMs = 100, limitMs = 2_000 } = options;
  const stat = options.statfs ?? ((path: string) => statfs(path, { bigint: true }));
  const [memory, cpu, ...disks] = await Promise.all([
    readMemory(root),
    readCpu(root, sampleMs),
    ...paths.map((path) => inTime(readDisk(path, root, stat), limitMs, path)),
  ]);
  return { disks, memory, cpu };
}

async function inTime(reading: Promise<DiskReading>, ms: number, path: string): Promise<DiskReading> {
  const decided = new AbortController();
  const late = sleep(ms, unreadable(path, `no answer within ${ms} ms`), { signal: decided.signal });
  // the loser of the race
  late.catch(() => {});
  try {
    return await Promise.race([reading, late]);
  } finally {
    decided.abort();
  }
}

function unreadable(path: string, why: string): DiskReading {
  return { path, usage_percent: null, total_bytes: null, free_bytes: null, message: `unreadable: ${why}` };
}

async function readDisk(
  path: string,
  root: string,
  stat: NonNullable<HostOptions["statfs"]>,
): Promise<DiskReading> {
  for (let at = path; ; at = dirname(at)) {
    try {
      const { bsize, blocks, bfree, bavail } = await stat(join(root, at));
      const used = blocks - bfree;
      return {
        path,
        usage_percent: percent(Number(used), Number(used + bavail)) ?? 0,
        total_bytes: Number(blocks * bsize),
        free_bytes: Number(bavail * bsize),
        message: null,
      };
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? "error";
      if ((code === "ENOENT" || code === "ENOTDIR") && dirname(at) !== at) continue;
      return {
        path,
        usage_percent: null,
        total_bytes: null,
        free_bytes: null,
        message: `unreadable: ${code}`,
      };
    }
  }
}

async function readMemory(root: string): Promise<MemoryReading> {
  const text = await readProc(root, "meminfo");
  const field = (name: string) => {
    const kibibytes = new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text ?? "")?.[1];
    return kibibytes === undefined ? undefined : Number(kibibytes) * 1024;
  };
  const total = field("MemTotal");
  if (total === undefined) return memoryOf(totalmem(), freemem());
  // kernels before 3.14 have no MemAvailable
  const available =
    field("MemAvailable") ?? (field("MemFree") ?? 0) + (field("Buffers") ?? 0) + (field("Cached") ?? 0);
  return memoryOf(total, available);
}

function memoryOf(total: number, available: number): MemoryReading {
  return {
    usage_percent: percent(total - available, total) ?? 0,
    total_bytes: total,
    available_bytes: available,
  };
}

interface CpuTimes {
  busy: number;
  total: number;
  cores: number;
}

async function readCpu(root: string, sampleMs: number): Promise<CpuReading> {
  const first = await readTimes(root);
  await sleep(sampleMs);
  const second = await readTimes(root);
  const fromFile = (await readProc(root, "loadavg"))?.split(" ").slice(0, 3).map(Number);
  const [load_1m = 0, load_5m = 0, load_15m = 0] = fromFile ?? loadavg();
  const usage_percent = percent(second.busy - first.busy, second.total - first.total);
  return { usage_percent, load_1m, load_5m, load_15m, cores: second.cores };
}

async function readTimes(root: string): Promise<CpuTimes> {
  const text = await readProc(root, "stat");
  const line = /^cpu +(.+)$/m.exec(text ?? "")?.[1];
  if (text === undefined || line === undefined) return timesOfNode();
  // user nice system idle iowait irq softirq steal; guest times are part of user and nice already
  const ticks = line.trim().split(/\s+/).slice(0, 8).map(Number);
  const total = ticks.reduce((sum, tick) => sum + tick, 0);
  const idle = (ticks[3] ?? 0) + (ticks[4] ?? 0);
  return { busy: total - idle, total, cores: text.match(/^cpu\d+ /gm)?.length || 1 };
}

function timesOfNode(): CpuTimes {
  let busy = 0;
  let total = 0;
  for (const { times } of cpus()) {
    const sum = times.user + times.nice + times.sys + times.idle + times.irq;
    total += sum;
    busy += sum - times.idle;
  }
  return { busy, total, cores: availableParallelism() };
}

/** A file of `<root>/proc`; undefined where there is none. */
async function readProc(root: string, name: string): Promise<string | undefined> {
  try {
    return await readFile(join(root, "proc", name), "utf8");
  } catch {
    // not Linux, or a root without /proc: node:os knows the same
    return undefined;
  }
}

/** One decimal, 0 to 100; null when there is nothing to divide by. */
function percent(part: number, whole: number): number | null {
  if (!(whole > 0)) return null;
  return Math.round(Math.min(1, Math.max(0, part / whole)) * 1000) / 10;
}
