import { constants } from "node:os";
import type { Readable, Writable } from "node:stream";
import { execa, parseCommandString } from "execa";
import { abortError, type Call } from "./call.ts";
import { type EngineName, OpsError } from "./errors.ts";

/** How long a child may take to end after SIGTERM. */
const GRACE_MS = 5_000;
/** What is kept of stderr, for the message. */
const TAIL_CHARS = 4_096;

export interface ToolOptions {
  /** Added to ours; undefined takes one away. Secrets travel here or in files, never in arguments: `ps` shows those. */
  env?: Record<string, string | undefined>;
  cwd?: string;
  engine?: EngineName;
  /** What to do when it is not there. */
  hint?: string;
  stdin?: "pipe" | "ignore";
}

/** A program that runs. Whoever reads `stdout` reads it to its end, or aborts the call. */
export interface RunningTool {
  readonly pid: number | undefined;
  readonly stdout: Readable;
  /** Only with `stdin: "pipe"`. Its errors show in `done`. */
  readonly stdin: Writable;
  /**
   * Settles when it has ended and its output is read.
   * @throws OpsError `failed` when it cannot be started, or ends with another code than 0 (with the last line of its stderr); the
   *   call's reason when that was aborted
   */
  readonly done: Promise<{ stderr: string }>;
  /** Ends it and what it started: SIGTERM, after 5 s SIGKILL. */
  kill(): void;
}

/** Starts a program without a shell, in a process group of its own, which ends with the call. */
export function startTool(
  call: Call,
  file: string,
  args: readonly string[],
  { env = {}, cwd, engine, hint, stdin = "ignore" }: ToolOptions = {},
): RunningTool {
  const child = execa(file, args, {
    env,
    ...(cwd === undefined ? {} : { cwd }),
    stdin,
    stdout: "pipe",
    stderr: "pipe",
    buffer: false,
    reject: false,
    detached: true,
  });
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => {
    stderr = (stderr + chunk.toString("utf8")).slice(-TAIL_CHARS);
  });
  child.stdin?.on("error", () => {
    // a program that ends early does not read the rest; its code tells
  });
  const kill = () => endGroup(child.pid);
  const onAbort = () => kill();
  if (call.signal.aborted) onAbort();
  call.signal.addEventListener("abort", onAbort, { once: true });
  const done = (async () => {
    const result = await child;
    call.signal.removeEventListener("abort", onAbort);
    if (call.signal.aborted) throw abortError(call.signal.reason);
    if (!result.failed) return { stderr };
    throw toolError(file, result, stderr, engine, hint);
  })();
  // it is looked at when the output has been read
  done.catch(() => {});
  return { pid: child.pid, stdout: child.stdout, stdin: child.stdin as Writable, done, kill };
}

/** The group's leader may be gone and its children not: both are asked. */
function endGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  const send = (signal: NodeJS.Signals) => {
    try {
      process.kill(-pid, signal);
    } catch {
      // nobody of it is left
    }
  };
  send("SIGTERM");
  setTimeout(send, GRACE_MS, "SIGKILL").unref();
}

function toolError(
  file: string,
  result: { exitCode?: number; signal?: string },
  stderr: string,
  engine: EngineName | undefined,
  hint: string | undefined,
): OpsError {
  const isMissing = result.exitCode === undefined && result.signal === undefined;
  const said = stderr.trim().split("\n").at(-1);
  const ended = result.signal ? `was ended by ${result.signal}` : `ended with code ${result.exitCode}`;
  return new OpsError({
    code: "failed",
    ...(engine === undefined ? {} : { engine }),
    message: isMissing
      ? `${file} cannot be run: it is not on PATH`
      : `${file} ${ended}${said ? `: ${said}` : ""}`,
    ...(hint === undefined ? {} : { hint }),
    cause: stderr,
  });
}

/**
 * Hands our own streams to a program and waits for its end. Ctrl-C is the program's: a terminal sends it to both, and in psql it ends a
 * statement, not the shell.
 * @returns its exit code; 128 + the number for a signal
 * @throws OpsError `failed` when it cannot be started
 */
export async function runAttached(
  call: Call,
  file: string,
  args: readonly string[],
  { env = {}, engine, hint }: ToolOptions = {},
): Promise<number> {
  const ours = process.listeners("SIGINT");
  const leaveIt = () => {};
  process.removeAllListeners("SIGINT").on("SIGINT", leaveIt);
  try {
    const child = execa(file, args, { env, stdio: "inherit", reject: false });
    const onAbort = () => child.kill("SIGTERM");
    call.signal.addEventListener("abort", onAbort, { once: true });
    if (call.signal.aborted) onAbort();
    const result = await child;
    call.signal.removeEventListener("abort", onAbort);
    if (result.exitCode !== undefined) return result.exitCode;
    if (result.signal !== undefined) return 128 + constants.signals[result.signal as NodeJS.Signals];
    throw toolError(file, result, "", engine, hint);
  } finally {
    process.removeListener("SIGINT", leaveIt);
    for (const listener of ours) process.on("SIGINT", listener);
  }
}

/** What a program prints. @throws as `RunningTool.done`; OpsError `failed` for more than `maxBytes` */
export async function readTool(
  call: Call,
  file: string,
  args: readonly string[],
  options: ToolOptions & { maxBytes?: number } = {},
): Promise<string> {
  const tool = startTool(call, file, args, options);
  const maxBytes = options.maxBytes ?? 1 << 20;
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of tool.stdout) {
      size += chunk.length;
      if (size > maxBytes) {
        tool.kill();
        throw new OpsError({ code: "failed", message: `${file} printed more than ${maxBytes} bytes` });
      }
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof OpsError) throw error;
    // a program that was ended closes its output early; `done` says why
  }
  await tool.done;
  return Buffer.concat(chunks).toString("utf8");
}

/**
 * Runs a command line without a shell (words split on spaces, backslash escapes one) and collects its output.
 * @param field the setting that named the command, for the message
 * @throws OpsError `usage` when it cannot start, fails or takes longer than `timeoutMs`; stdout is never in the message,
 *   because it may hold the secret
 */
export async function runTool(
  field: string,
  command: string,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<{ stdout: string }> {
  const [file, ...args] = parseCommandString(command);
  if (file === undefined) throw new OpsError({ code: "usage", message: `${field} is empty` });
  const result = await execa(file, args, {
    stdin: "ignore",
    timeout: timeoutMs,
    cancelSignal: signal,
    maxBuffer: 1 << 20,
    reject: false,
    stripFinalNewline: false,
  });
  if (signal?.aborted) throw abortError(signal.reason);
  if (result.failed) {
    const why = result.timedOut
      ? `took longer than ${timeoutMs / 1000} s`
      : result.exitCode === undefined
        ? "could not be run"
        : `ended with code ${result.exitCode}`;
    throw new OpsError({
      code: "usage",
      message: `${field}: ${file} ${why}`,
      hint: `run it by hand: ${file} …`,
    });
  }
  return { stdout: result.stdout };
}
