/** What the host says of itself: disk, memory and processor, below a root folder that tests and containers can replace. */
import { type BigIntStatsFs, readFileSync } from "node:fs";
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
  /** With what only root may use: what `df` calls used. */
  used_bytes: number | null;
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
  /** Over the sample, without this program's own part; null when the counters stood still. */
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
  paths: readonly string[] | Promise<readonly string[]>;
  /** Where the host's file system begins. Default `/`. */
  root?: string;
  /** Least time between two looks at the processor's counters, ms. Default 100. */
  sampleMs?: number;
  /** The second look waits for it, too: what takes its time anyway makes the sample longer, not the whole. Never rejects. */
  until?: Promise<unknown>;
  /** Time for one path: a lost network file system never answers, ms. Default 2,000. */
  limitMs?: number;
  /** For tests: a full disk cannot be had as a folder. */
  statfs?: (path: string) => Promise<Pick<BigIntStatsFs, "bsize" | "blocks" | "bfree" | "bavail">>;
}

/** Reads everything side by side; takes at least `sampleMs`. Does not throw: where `<root>/proc` is missing, node:os answers. */
export async function readHost(options: HostOptions): Promise<HostReadings> {
  const { paths, root = "/", sampleMs = 100, until, limitMs = 2_000 } = options;
  const stat = options.statfs ?? ((path: string) => statfs(path, { bigint: true }));
  const readDisks = async () =>
    Promise.all((await paths).map((path) => inTime(readDisk(path, root, stat), limitMs, path)));
  const [memory, cpu, disks] = await Promise.all([
    readMemory(root),
    readCpu(root, Promise.all([sleep(sampleMs), until])),
    readDisks(),
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
  return {
    path,
    usage_percent: null,
    total_bytes: null,
    used_bytes: null,
    free_bytes: null,
    message: `unreadable: ${why}`,
  };
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
        used_bytes: Number(used * bsize),
        free_bytes: Number(bavail * bsize),
        message: null,
      };
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? "error";
      if ((code === "ENOENT" || code === "ENOTDIR") && dirname(at) !== at) continue;
      return unreadable(path, code);
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

/** Since the host started, ms of all processors together. */
interface CpuTimes {
  busy: number;
  total: number;
  cores: number;
  /** Of this process, ms. */
  own: number;
}

/** The unit of /proc/stat on every Linux that Node runs on (USER_HZ), ms. */
const TICK_MS = 10;

async function readCpu(root: string, sampled: Promise<unknown>): Promise<CpuReading> {
  // at once: what is read in turn would wait for everything that a start loads
  const first = readTimes(root);
  await sampled;
  const second = readTimes(root);
  const fromFile = (await readProc(root, "loadavg"))?.split(" ").slice(0, 3).map(Number);
  const [load_1m = 0, load_5m = 0, load_15m = 0] = fromFile ?? loadavg();
  const busy = second.busy - first.busy - (second.own - first.own);
  const usage_percent = percent(busy, second.total - first.total);
  return { usage_percent, load_1m, load_5m, load_15m, cores: second.cores };
}

function readTimes(root: string): CpuTimes {
  const own = root === "/" ? ownTime() : 0;
  let text: string;
  try {
    text = readFileSync(join(root, "proc", "stat"), "utf8");
  } catch {
    return timesOfNode(own);
  }
  const line = /^cpu +(.+)$/m.exec(text)?.[1];
  if (line === undefined) return timesOfNode(own);
  // user nice system idle iowait irq softirq steal; guest times are part of user and nice already
  const times = line
    .trim()
    .split(/\s+/)
    .slice(0, 8)
    .map((ticks) => Number(ticks) * TICK_MS);
  const total = times.reduce((sum, time) => sum + time, 0);
  const idle = (times[3] ?? 0) + (times[4] ?? 0);
  return { busy: total - idle, total, cores: text.match(/^cpu\d+ /gm)?.length || 1, own };
}

/** What this process has used of the processors of its own host, ms. */
function ownTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function timesOfNode(own: number): CpuTimes {
  let busy = 0;
  let total = 0;
  for (const { times } of cpus()) {
    const sum = times.user + times.nice + times.sys + times.idle + times.irq;
    total += sum;
    busy += sum - times.idle;
  }
  return { busy, total, cores: availableParallelism(), own };
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
