import { OpsError } from "./errors.ts";

export type LogLevel = "DEBUG" | "INFO" | "WARNING" | "ERROR";

/** How far a long operation is; `total` is unknown for streams. */
export interface Progress {
  label: string;
  done: number;
  total?: number;
  unit: "rows" | "bytes" | "files" | "statements" | "keys" | "checks";
}

/**
 * What one request owns. It is the first argument of every port method, so that deadlines, cancellation, progress and
 * log lines reach every depth without a domain knowing about terminals.
 */
export interface Call {
  /** Aborted by a signal or when the deadline passes. */
  readonly signal: AbortSignal;
  /** Who asks, recorded in histories: `user@host`. */
  readonly actor: string;
  /** Milliseconds until the deadline; Infinity without one. Never negative. */
  remainingMs(): number;
  progress(event: Progress): void;
  log(level: LogLevel, message: string, fields?: Record<string, unknown>): void;
}

export interface CallOptions {
  actor: string;
  /** Milliseconds for the whole call; undefined: no deadline. */
  timeoutMs?: number;
  signal: AbortSignal;
  progress?: Call["progress"];
  log?: Call["log"];
}

/** Creates a call whose signal fires on `signal` or when `timeoutMs` have passed (monotonic clock). */
export function createCall({ actor, timeoutMs, signal, progress, log }: CallOptions): Call {
  // without a deadline nothing is measured: the first use of `performance` loads a module of Node
  const startedAt = timeoutMs === undefined ? 0 : performance.now();
  const deadlineSignal =
    timeoutMs === undefined ? signal : AbortSignal.any([signal, AbortSignal.timeout(Math.ceil(timeoutMs))]);
  return {
    signal: deadlineSignal,
    actor,
    remainingMs: () =>
      timeoutMs === undefined
        ? Number.POSITIVE_INFINITY
        : Math.max(0, timeoutMs - (performance.now() - startedAt)),
    progress: progress ?? (() => {}),
    log: log ?? (() => {}),
  };
}

/**
 * Throws when the call was aborted.
 * @throws OpsError `interrupted`, `terminated` or, at the deadline, `failed`.
 */
export function throwIfAborted(call: Call): void {
  if (!call.signal.aborted) return;
  throw abortError(call.signal.reason);
}

/** The error that an aborted signal stands for. */
export function abortError(reason: unknown): OpsError {
  if (reason instanceof OpsError) return reason;
  return new OpsError({
    code: "failed",
    message: "the time limit of this command has passed",
    hint: "raise --timeout, for example --timeout 5m",
    cause: reason,
  });
}
