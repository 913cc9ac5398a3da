/** A host made of files, and what a check beside the engines is given. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { readTool } from "../../src/child.ts";
import type { Target } from "../../src/config/targets.ts";
import { DEFAULT_THRESHOLDS } from "../../src/config/thresholds.ts";
import type { EngineName } from "../../src/errors.ts";
import type { Check, Found } from "../../src/health/doctor/check.ts";
import type { StackScope } from "../../src/health/doctor/scope.ts";
import type { EngineReport } from "../../src/health/probes.ts";
import { testCall } from "./calls.ts";

export interface ProcessFixture {
  args: readonly string[];
  /** Lines of /proc/PID/status. */
  status?: string;
  limits?: string;
  /** Where it works. */
  cwd?: string;
  /** Open files. */
  fds?: number;
}

/** A root folder with the parts of /proc that a healthy host has. */
export class HostRoot {
  readonly dir = mkdtempSync(join(tmpdir(), "opsctl-root-"));

  constructor() {
    this.write("proc/meminfo", meminfo({ MemTotal: 1000, MemAvailable: 600, SwapTotal: 0, SwapFree: 0 }));
    this.write("proc/vmstat", "pswpin 0\noom_kill 0\n");
    this.write("proc/mounts", "/dev/sda1 / ext4 rw,relatime 0 0\n");
    this.write("proc/sys/vm/overcommit_memory", "0\n");
    this.write("proc/sys/vm/swappiness", "60\n");
    this.write("run/systemd/timesync/synchronized", "");
    this.process(1, { args: ["/sbin/init"] });
  }

  write(path: string, text: string): string {
    const full = join(this.dir, path);
    mkdirSync(dirname(full), { recursive: true });
    writeFileSync(full, text, { mode: 0o600 });
    return full;
  }

  process(pid: number, { args, status, limits, cwd, fds = 0 }: ProcessFixture): void {
    this.write(`proc/${pid}/cmdline`, args.map((arg) => `${arg}\0`).join(""));
    this.write(`proc/${pid}/status`, status ?? "State:\tS (sleeping)\nPPid:\t1\n");
    if (limits !== undefined) this.write(`proc/${pid}/limits`, limits);
    if (cwd !== undefined) symlinkSync(cwd, join(this.dir, `proc/${pid}/cwd`));
    for (let fd = 0; fd < fds; fd++) this.write(`proc/${pid}/fd/${fd}`, "");
  }

  delete(path: string): void {
    rmSync(join(this.dir, path), { recursive: true, force: true });
  }

  remove(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** Its text, from mebibytes. */
export function meminfo(fields: Record<string, number>): string {
  return Object.entries(fields)
    .map(([name, mebibytes]) => `${name}: ${mebibytes * 1024} kB\n`)
    .join("");
}

/** On loopback, with user and password in the URL. */
export function target(engine: EngineName, url: string, username?: string, password?: string): Target {
  return {
    engine,
    url,
    shown: url.replace(/:[^:/@]+@/, ":***@"),
    identity: `${engine}:test`,
    username,
    password,
  };
}

/** What a server answered. @param version null: it did not */
export function report(engine: EngineName, version: string | null): EngineReport {
  const status = version === null ? "disconnected" : "connected";
  return { engine, status, version, latency_ms: null, write_test: null, code: null, message: null };
}

/**
 * A scope with nothing configured. Programs are looked for in `<root>/bin` and the folders of the system's own, so that a test decides what is
 * installed there.
 */
export function hostScope(host: HostRoot, over: Partial<StackScope> = {}): StackScope {
  const none = async () => {
    throw new Error("no check of the host asks for this");
  };
  return {
    root: host.dir,
    thresholds: DEFAULT_THRESHOLDS,
    now: Date.now(),
    targets: [],
    engines: [],
    secrets: [],
    files: {
      data: "/var/lib/opsctl/data.db",
      state: "/var/lib/opsctl/state.db",
      config: null,
      dotenv: null,
      archives: "/var/lib/opsctl/backups",
    },
    archives: async () => [],
    archivesInUse: none,
    restores: none,
    queue: none,
    queued: none,
    schema: none,
    ask: (call, file, args) => readTool(call, file, args, { env: { PATH: join(host.dir, "bin") } }),
    ...over,
  };
}

/** Runs a check. */
export function findings(check: Check<StackScope>, scope: StackScope): Promise<Found[]> {
  return check.run(testCall(), scope);
}
