/** Long-lived servers as processes: start them apart from us, recognise them again, end them. */
import { spawn, spawnSync } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { lastLines, sleep, type User } from "./shell.ts";

/** A pid alone may belong to somebody else by now; together with the start time it does not. */
export interface ProcessId {
  pid: number;
  /** Start time as the system tells it; only compared for equality. */
  started: string;
}

/** A server that was started and may already be gone again. */
export interface Spawned {
  id: ProcessId;
  /** Undefined while it runs, then a text such as "exit code 1". */
  ended(): string | undefined;
}

export interface SpawnOptions {
  command: string;
  args: string[];
  cwd: string;
  /** stdout and stderr are appended here. */
  logFile: string;
  env?: NodeJS.ProcessEnv;
  user?: User;
}

/** The identity of a running process, or undefined when there is none (a zombie counts as none). */
export function identify(pid: number): ProcessId | undefined {
  if (existsSync("/proc/self/stat")) return identifyByProc(pid);
  const { stdout } = spawnSync("ps", ["-o", "stat=,lstart=", "-p", String(pid)], { encoding: "utf8" });
  const [status, ...started] = stdout.trim().split(/\s+/);
  return !status || status.startsWith("Z") ? undefined : { pid, started: started.join(" ") };
}

function identifyByProc(pid: number): ProcessId | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name in parentheses may hold blanks and parentheses itself: count the fields after the last one.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (fields[0] === "Z" || fields[0] === "X" || !fields[19]) return undefined;
    return { pid, started: fields[19] };
  } catch {
    return undefined;
  }
}

export function isAlive(id: ProcessId): boolean {
  return identify(id.pid)?.started === id.started;
}

/** Starts a server in a session of its own: it outlives us and a Ctrl-C in our terminal. Throws when it cannot start. */
export async function spawnServer(options: SpawnOptions): Promise<Spawned> {
  const log = openSync(options.logFile, "a", 0o600);
  try {
    const child = spawn(options.command, options.args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      ...options.user,
      detached: true,
      stdio: ["ignore", log, log],
    });
    let ended: string | undefined;
    child.on("exit", (code, signal) => {
      ended = signal ?? `exit code ${code}`;
    });
    await new Promise<void>((resolve, reject) => {
      child.on("spawn", resolve);
      child.on("error", reject);
    });
    child.unref();
    const pid = child.pid as number;
    return { id: identify(pid) ?? { pid, started: "gone" }, ended: () => ended };
  } finally {
    closeSync(log);
  }
}

/**
 * Asks a process to end with `signal` and kills it after `graceMs`. Does nothing when the pid belongs to another
 * process by now. Throws when even SIGKILL does not end it within 5 s.
 */
export async function endProcess(id: ProcessId, signal: NodeJS.Signals, graceMs = 15_000): Promise<void> {
  if (await signalAndWait(id, signal, graceMs)) return;
  if (await signalAndWait(id, "SIGKILL", 5_000)) return;
  throw new Error(`process ${id.pid} does not end`);
}

async function signalAndWait(id: ProcessId, signal: NodeJS.Signals, waitMs: number): Promise<boolean> {
  if (!isAlive(id)) return true;
  try {
    process.kill(id.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
  const deadline = Date.now() + waitMs;
  while (isAlive(id)) {
    if (Date.now() > deadline) return false;
    await sleep(25);
  }
  return true;
}

export interface ReadyOptions {
  name: string;
  server: Spawned;
  logFile: string;
  timeoutMs: number;
  signal?: AbortSignal;
  /** Resolves when the server answered a real request, rejects otherwise; must end by itself within seconds. */
  probe: () => Promise<unknown>;
}

/** Polls until the probe succeeds. Throws ServerStartError with the log's tail when the server ends or time is up. */
export async function waitReady(options: ReadyOptions): Promise<void> {
  const deadline = Date.now() + options.timeoutMs;
  let refusal = "no answer";
  while (true) {
    options.signal?.throwIfAborted();
    const ended = options.server.ended();
    if (ended) throw startError(options, `ended with ${ended}`);
    if (Date.now() > deadline)
      throw startError(options, `was not ready after ${options.timeoutMs / 1_000} s (${refusal})`);
    try {
      await options.probe();
      return;
    } catch (error) {
      refusal = error instanceof Error ? error.message.trim() : String(error);
    }
    await sleep(50);
  }
}

/** A server that did not come up; `portTaken` tells that another port may help. */
export class ServerStartError extends Error {
  readonly portTaken: boolean;

  constructor(message: string, portTaken: boolean) {
    super(message);
    this.name = "ServerStartError";
    this.portTaken = portTaken;
  }
}

function startError(options: ReadyOptions, what: string): ServerStartError {
  const tail = lastLines(readTail(options.logFile), 25);
  const taken =
    /address already in use|port .* (is )?already (in use|bound)|could not bind|BindException/i.test(tail);
  return new ServerStartError(`${options.name} ${what}. The end of its log:\n${tail || "(empty)"}`, taken);
}

function readTail(file: string): string {
  try {
    return readFileSync(file, "utf8").slice(-20_000);
  } catch {
    return "";
  }
}
