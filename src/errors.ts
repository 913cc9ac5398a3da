/** Every failure a user can meet has one of these codes; the number is the exit code of the process. */
export const EXIT_CODES = {
  ok: 0,
  failed: 1,
  usage: 2,
  partial: 3,
  no: 4,
  unreachable: 20,
  auth: 21,
  locked: 22,
  integrity: 23,
  unknown_outcome: 24,
  not_found: 25,
  interrupted: 130,
  terminated: 143,
} as const;

export type ErrorCode = Exclude<keyof typeof EXIT_CODES, "ok">;

/** What each exit code means, for `opsctl help exit-codes`, the README and every `--help`. */
export const EXIT_CODE_MEANINGS: Readonly<Record<keyof typeof EXIT_CODES, string>> = {
  ok: "done",
  failed: "failed",
  usage: "usage or configuration",
  partial: "partial or degraded",
  no: "the answer is no (unhealthy, pending, drift, findings)",
  unreachable: "a server cannot be reached (TLS included)",
  auth: "authentication refused",
  locked: "locked by another process",
  integrity: "integrity: damaged or not what it claims to be",
  unknown_outcome: "outcome unknown: it may or may not have happened",
  not_found: "not found",
  interrupted: "interrupted (SIGINT)",
  terminated: "terminated (SIGTERM)",
};

export type EngineName = "neo4j" | "postgres" | "redis" | "sqlite";

export interface OpsErrorFields {
  code: ErrorCode;
  /** What failed and where, in one sentence without secrets. */
  message: string;
  /** The one thing to try next; printed as `Try: …`. */
  hint?: string;
  engine?: EngineName;
  /** Kept for `-v` only; never printed as it is, because driver errors carry passwords and values. */
  cause?: unknown;
}

/** The only error type that crosses a room's border. Its message must be safe to print. */
export class OpsError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly engine: EngineName | undefined;

  constructor({ code, message, hint, engine, cause }: OpsErrorFields) {
    super(message, { cause });
    this.name = "OpsError";
    this.code = code;
    this.hint = hint;
    this.engine = engine;
  }

  get exitCode(): number {
    return EXIT_CODES[this.code];
  }
}

/** Bad input: names the field, the limit and what to do. Exit code 2. */
export function usageError(message: string, hint = "see --help"): OpsError {
  return new OpsError({ code: "usage", message, hint });
}

/** A missing store, as every JSON object lists it under `degraded`. */
export interface Degraded {
  engine: EngineName;
  code: ErrorCode;
  message: string;
}

/** Schemas and programs that do not fit each other stay so until somebody runs what the hint names. */
const MENDS = /^(?:opsctl init |upgrade opsctl)/;

/** Without the hint, unless that alone mends it: then it is part of the message. */
export function toDegraded(engine: EngineName, error: unknown): Degraded {
  const { code, message, hint } = toOpsError(error);
  const isMended = hint !== undefined && MENDS.test(hint);
  return { engine, code, message: isMended ? `${message} (Try: ${hint})` : message };
}

/** Wraps whatever was thrown; an unknown error keeps only its message, which the caller redacts when it prints. */
export function toOpsError(error: unknown): OpsError {
  if (error instanceof OpsError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new OpsError({ code: "failed", message, cause: error });
}
