/** Running short-lived programs and finding them: what every services script needs. Node's own modules only. */
import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";

export interface RunOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** Run as this user (only root may). */
  user?: User;
  /** Aborting ends the program with SIGTERM. */
  signal?: AbortSignal;
  /** SIGKILL after this many milliseconds. */
  timeoutMs?: number;
}

export interface User {
  uid: number;
  gid: number;
}

export interface RunResult {
  /** 127 when the program is not there, -1 when a signal ended it. */
  code: number;
  stdout: string;
  stderr: string;
}

export type Log = (line: string) => void;

/** Everything that is not data goes to stderr, so that stdout can be evaluated by a shell. */
export const logToStderr: Log = (line) => {
  process.stderr.write(`${line}\n`);
};

/** Runs a program without a shell and collects what it prints; a non-zero exit code is a result, not an error. */
export function run(command: string, args: string[], options: RunOptions = {}): Promise<RunResult> {
  const { user, timeoutMs, ...rest } = options;
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      ...rest,
      ...user,
      timeout: timeoutMs,
      killSignal: timeoutMs ? "SIGKILL" : "SIGTERM",
      stdio: ["ignore", "pipe", "pipe"],
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.on("error", (error: NodeJS.ErrnoException) => {
      resolve({ code: error.code === "ENOENT" ? 127 : -1, stdout, stderr: `${stderr}${error.message}` });
    });
    child.on("close", (code) => resolve({ code: code ?? -1, stdout, stderr }));
  });
}

/** Like `run`, but throws an Error with the end of the output when the exit code is not 0. Returns stdout. */
export async function mustRun(command: string, args: string[], options: RunOptions = {}): Promise<string> {
  const result = await run(command, args, options);
  options.signal?.throwIfAborted();
  if (result.code === 0) return result.stdout;
  const output = lastLines(`${result.stdout}\n${result.stderr}`, 20);
  throw new Error(`${command} ${args[0] ?? ""} failed with exit code ${result.code}:\n${output}`);
}

/** Tries a download up to `attempts` times with a pause of 2, 4, … seconds; the last error is thrown. */
export async function withRetries<T>(
  what: string,
  log: Log,
  work: () => Promise<T>,
  attempts = 3,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (attempt >= attempts) throw error;
      log(`${what}: attempt ${attempt} failed, trying again`);
      await sleep(2_000 * attempt);
    }
  }
}

/** The absolute path of a program on PATH (or in the usual system folders), or undefined. */
export function onPath(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/local/bin", "/usr/bin", "/usr/sbin"];
  return folders
    .filter(Boolean)
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Where downloads are kept between clones. */
export function cacheDir(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "opsctl-dev");
}

export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** The last `count` non-empty lines of a text. */
export function lastLines(text: string, count: number): string {
  return text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .slice(-count)
    .join("\n");
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
