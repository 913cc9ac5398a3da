/** The processes of the host, from /proc below the root folder. */
import { readlink } from "node:fs/promises";
import { basename, join } from "node:path";
import { bytes } from "../../amounts.ts";
import { Unknowable } from "./check.ts";
import { namesBelow, textBelow } from "./kernel.ts";

export interface HostProcess {
  pid: number;
  /** `redis-server`, as its file is called; of kernel threads and the dead their short name. */
  name: string;
  args: string[];
}

/** Read side by side: a host may have ten thousand processes. */
const BATCH = 64;

/**
 * All that are seen.
 * @param areNamed false: those without arguments (kernel threads, the dead) have no name, and cost one read less
 * @throws Unknowable where there is no /proc
 */
export async function processes(root: string, areNamed = true): Promise<HostProcess[]> {
  const pids = (await namesBelow(root, "proc")).filter((name) => /^\d+$/.test(name)).map(Number);
  if (pids.length === 0) throw new Unknowable(`no processes are seen below ${join(root, "proc")}`);
  const found: HostProcess[] = [];
  for (let at = 0; at < pids.length; at += BATCH) {
    const read = await Promise.all(pids.slice(at, at + BATCH).map((pid) => processOf(root, pid, areNamed)));
    found.push(...read.filter((one) => one !== undefined));
  }
  return found;
}

/** One process; undefined when it is gone. */
export async function processOf(root: string, pid: number, isNamed = true): Promise<HostProcess | undefined> {
  const line = await textBelow(root, `proc/${pid}/cmdline`);
  if (line === undefined) return undefined;
  const args = line.replace(/\0+$/, "").split("\0");
  const name = basename(args[0]!.split(" ")[0]!).replace(/:$/, "");
  if (name || !isNamed) return { pid, args, name };
  return { pid, args, name: (await textBelow(root, `proc/${pid}/comm`))?.trim() ?? "?" };
}

/** Fields of /proc/PID/status as written: `State`, `PPid`, `VmRSS`; empty when it is gone. */
export async function statusOf(root: string, pid: number): Promise<Map<string, string>> {
  const text = (await textBelow(root, `proc/${pid}/status`)) ?? "";
  return new Map([...text.matchAll(/^(\w+):\s*(.*)$/gm)].map(([, name, value]) => [name!, value!]));
}

/** Bytes of a field that status gives in kB; 0 without. */
function bytesOf(status: Map<string, string>, field: string): number {
  return Number.parseInt(status.get(field) ?? "0", 10) * 1024;
}

/** Where a process works; undefined when that may not be known. */
export async function folderOf(root: string, pid: number): Promise<string | undefined> {
  try {
    return await readlink(join(root, `proc/${pid}/cwd`));
  } catch {
    return undefined;
  }
}

/** This process and those that started it, each by the one before; empty where /proc does not show us. */
export async function ancestry(root: string): Promise<Set<number>> {
  const found = new Set<number>();
  let pid = Number(await readlink(join(root, "proc/self")).catch(() => 0));
  while (pid > 0 && !found.has(pid)) {
    found.add(pid);
    pid = Number((await statusOf(root, pid)).get("PPid") ?? 0);
  }
  return found;
}

/** The three processes with most of a field of their status: `java (process 12) 4.2 GiB, …`; empty where none are seen. */
export async function largest(root: string, field: "VmRSS" | "VmSwap"): Promise<string> {
  const all = await processes(root).catch((): HostProcess[] => []);
  const sizes: { one: HostProcess; size: number }[] = [];
  for (const one of all) sizes.push({ one, size: bytesOf(await statusOf(root, one.pid), field) });
  return sizes
    .filter(({ size }) => size > 0)
    .sort((a, b) => b.size - a.size)
    .slice(0, 3)
    .map(({ one, size }) => `${one.name} (process ${one.pid}) ${bytes(size)}`)
    .join(", ");
}
