/** The threads of `backup-worker.ts`, as their owner sees them. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { abortError, type Call, throwIfAborted } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { Answer, Request, Tasks } from "./backup-worker.ts";

/** How often work that reports nothing is said to go on: it is here, not on a server that may be gone. */
const ALIVE_MS = 250;

type Work = {
  [T in keyof Tasks]: Tasks[T] extends (report: never, ...args: infer A) => Promise<infer R> ? [A, R] : never;
};

interface Waiting {
  onProgress(done: number, total: number): void;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

export interface Thread {
  /**
   * Has a task done. The call's end ends the waiting, not the task.
   * @param label for progress
   * @throws OpsError of the task, or the call's reason
   */
  ask<T extends keyof Tasks>(call: Call, label: string, task: T, ...args: Work[T][0]): Promise<Work[T][1]>;
  /** Ends the thread when nobody else has it. */
  release(): void;
}

/** One copies, the other checks: while a file is checked, a copy holds its snapshot no longer than it must. */
type Kind = "copying" | "checking";
const threads = new Map<Kind, Running>();
let lastNumber = 0;

/** A worker, what it was asked, and how many parts use it. */
interface Running {
  worker: Worker;
  waiting: Map<number, Waiting>;
  users: number;
  /** Why it answers no more. */
  ended?: OpsError;
}

/** The thread for a kind of work, started for the first of those who share it: any number of files may be copied at once. */
export function useThread(kind: Kind): Thread {
  const running = threads.get(kind) ?? start(kind);
  running.users += 1;
  return {
    ask: (call, label, task, ...args) => ask(running, call, label, { task, args }),
    release() {
      running.users -= 1;
      if (running.users > 0) return;
      forget(kind, running);
      void running.worker.terminate();
    },
  };
}

function forget(kind: Kind, running: Running): void {
  if (threads.get(kind) === running) threads.delete(kind);
}

/** SQLite's memory is its own; what a thread has of JavaScript is messages. MB */
const SMALL = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 64 };

function start(kind: Kind): Running {
  // beside the bundle, or this file when it runs from the sources
  const bundled = join(import.meta.dirname, "sqlite-worker.cjs");
  const file = existsSync(bundled) ? bundled : join(import.meta.dirname, "backup-worker.ts");
  const worker = new Worker(file, { resourceLimits: SMALL });
  const running: Running = { worker, waiting: new Map(), users: 0 };
  threads.set(kind, running);
  worker.on("message", (answer: Answer) => take(running, answer));
  const onEnd = (cause: unknown) => {
    forget(kind, running);
    running.ended ??= threadError(cause);
    for (const { reject } of running.waiting.values()) reject(running.ended);
  };
  worker.on("error", onEnd);
  worker.on("exit", onEnd);
  return running;
}

function take({ waiting }: Running, { number, progress, value, error }: Answer): void {
  // nobody waits for what was asked by a call that is over
  const one = waiting.get(number);
  if (progress) one?.onProgress(progress.done, progress.total);
  else if (error) one?.reject(new OpsError({ ...error, engine: "sqlite" }));
  else one?.resolve(value);
}

function threadError(cause: unknown): OpsError {
  return new OpsError({
    code: "failed",
    engine: "sqlite",
    message: `the thread that reads SQLite files ended${cause instanceof Error ? `: ${cause.message}` : ""}`,
    hint: "run the command again",
    cause,
  });
}

async function ask<R>(
  { worker, waiting, ended }: Running,
  call: Call,
  label: string,
  { task, args }: Omit<Request, "number">,
): Promise<R> {
  throwIfAborted(call);
  if (ended) throw ended;
  lastNumber += 1;
  const number = lastNumber;
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  let last: { done: number; total?: number } = { done: 0 };
  const alive = () => call.progress({ label, unit: "bytes", ...last });
  waiting.set(number, {
    resolve,
    reject,
    onProgress(done, total) {
      last = { done, total };
      alive();
    },
  });
  const timer = setInterval(alive, ALIVE_MS);
  const onAbort = () => reject(abortError(call.signal.reason));
  call.signal.addEventListener("abort", onAbort, { once: true });
  worker.postMessage({ number, task, args } satisfies Request);
  try {
    return (await promise) as R;
  } finally {
    waiting.delete(number);
    clearInterval(timer);
    call.signal.removeEventListener("abort", onAbort);
  }
}
