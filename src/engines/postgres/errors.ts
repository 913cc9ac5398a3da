import { type ErrorCode, OpsError } from "../../errors.ts";
import type { Where } from "./config.ts";

/** What was under way when something failed: a lost reply to `commit` leaves the outcome unknown. */
export type Phase = "connect" | "query" | "commit";

/**
 * The server did not answer in time although its own time limit is shorter: it, or the network, stands still.
 */
export class NoAnswer extends Error {}

interface Known {
  code: ErrorCode;
  what: string;
  hint?: string;
}

const RETRY = "try again in a moment";
const INIT = "opsctl init postgres";

/** SQLSTATEs (https://www.postgresql.org/docs/current/errcodes-appendix.html) that say more than "failed". */
const STATES: Readonly<Record<string, (where: Where) => Known>> = {
  "28P01": credentials,
  "28000": credentials,
  "3D000": ({ database }) => ({ code: "failed", what: `has no database "${database}"`, hint: INIT }),
  "42501": ({ user }) => ({
    code: "failed",
    what: `does not permit this to the user "${user}"`,
    hint: "grant the user what is missing, or name another user in DATABASE_URL",
  }),
  "55P03": () => ({ code: "locked", what: "is busy: another session holds a lock", hint: RETRY }),
  "40P01": () => ({ code: "locked", what: "kept breaking up deadlocks with other sessions", hint: RETRY }),
  "40001": () => ({ code: "locked", what: "kept refusing conflicts with other sessions", hint: RETRY }),
  "57014": () => ({
    code: "failed",
    what: "cancelled the statement: it took too long",
    hint: "raise OPSCTL_QUERY_TIMEOUT, for example to 2m",
  }),
  "57P01": () => ({ code: "unreachable", what: "is shutting down", hint: RETRY }),
  "57P02": () => ({ code: "unreachable", what: "has crashed and is recovering", hint: RETRY }),
  "57P03": () => ({ code: "unreachable", what: "does not take connections yet", hint: RETRY }),
  "53300": () => ({
    code: "unreachable",
    what: "has no connection left",
    hint: "lower OPSCTL_POOL_SIZE, or raise max_connections on the server",
  }),
  "53100": () => ({ code: "failed", what: "has a full disk", hint: "free some space on the server" }),
  "25006": () => ({
    code: "failed",
    what: "is read-only (a replica?)",
    hint: "name the primary in DATABASE_URL",
  }),
  "08P01": () => ({
    code: "unreachable",
    what: "does not take these settings (a connection pooler?)",
    hint:
      "name the server itself, or put statement_timeout and lock_timeout into " +
      "PgBouncer's ignore_startup_parameters",
  }),
  "22021": unstorable,
  "22P05": unstorable,
  "22P02": unstorable,
};

function credentials({ user, database }: Where): Known {
  return {
    code: "auth",
    what: `refused the user "${user}" for the database "${database}"`,
    hint: "check user and password in DATABASE_URL (or POSTGRES_USER, POSTGRES_PASSWORD), and pg_hba.conf",
  };
}

function unstorable(): Known {
  return {
    code: "failed",
    what: "cannot store a character of the text",
    hint: "remove NUL bytes and lone surrogates; the database must have the encoding UTF8",
  };
}

/**
 * Rebuilds an error of the driver: its message, detail and parameters may hold values, and only names and
 * codes pass. Errors that are not the driver's (a bug here) keep themselves as the cause.
 */
export function postgresError(error: unknown, where: Where, phase: Phase): OpsError {
  if (error instanceof OpsError) return error;
  const { code, what, hint } = describe(error, where, phase);
  const isLost = phase === "commit" && code === "unreachable";
  const rebuilt = new OpsError({
    code: isLost ? "unknown_outcome" : code,
    engine: "postgres",
    message: isLost
      ? `PostgreSQL at ${where.address} was lost while it committed: the write may or may not have happened`
      : `PostgreSQL at ${where.address} ${what}`,
    hint: isLost ? "repeat the command: what was written already is not written twice" : hint,
    cause: error instanceof TypeError || error instanceof RangeError ? error : undefined,
  });
  const state = sqlState(error);
  if (state !== undefined) rememberState(rebuilt, state);
  return rebuilt;
}

/** SQLSTATEs of rebuilt errors, for the code in this folder that acts on them. */
const states = new WeakMap<OpsError, string>();

export function rememberState(rebuilt: OpsError, state: string): void {
  states.set(rebuilt, state);
}

function describe(error: unknown, where: Where, phase: Phase): Known {
  const state = sqlState(error);
  if (state !== undefined) return ofState(state, error as ServerError, where);
  const message = error instanceof Error ? error.message : "";
  const code = errorCode(error);
  if (message.startsWith("SASL")) return credentials(where);
  if (isTls(code, message)) {
    const why = /^[A-Z_]+$/.test(code) ? ` (${code})` : "";
    const refused = message.includes("not support SSL");
    return {
      code: "unreachable",
      what: refused ? "does not speak TLS" : `cannot be trusted: TLS failed${why}`,
      hint: refused
        ? "use sslmode=disable on a network you trust"
        : "check the certificate and its host name; sslrootcert=FILE in DATABASE_URL names your authority",
    };
  }
  if (message === "timeout exceeded when trying to connect") {
    return {
      code: "failed",
      what: "is in use by all connections of this process",
      hint: "raise OPSCTL_POOL_SIZE",
    };
  }
  if (error instanceof NoAnswer || /timeout|timed out/i.test(message)) {
    return unreachable(phase === "connect" ? "did not answer in time" : "stopped answering");
  }
  if (code !== "" || /terminated|not queryable|closed/i.test(message)) {
    return unreachable(`cannot be reached (${code === "" ? "connection lost" : code})`);
  }
  const name = error instanceof Error ? error.name : typeof error;
  return { code: "failed", what: `gave an answer that the driver does not understand (${name})` };
}

function unreachable(what: string): Known {
  return {
    code: "unreachable",
    what,
    hint: "check that the server runs and that DATABASE_URL (or POSTGRES_HOST) names it",
  };
}

interface ServerError {
  message: string;
  constraint?: string;
  table?: string;
}

function ofState(state: string, error: ServerError, where: Where): Known {
  const known = STATES[state]?.(where);
  if (known) return known;
  if (state === "42703" && MEMORY_COLUMNS.test(error.message)) {
    return { code: "failed", what: `has an older schema of the memory in "${where.database}"`, hint: INIT };
  }
  if (state.startsWith("08")) return unreachable(`lost the connection (${state})`);
  const names = [error.table && `table ${error.table}`, error.constraint && `constraint ${error.constraint}`];
  const problem = NAME_STATES.has(state) ? error.message : names.filter(Boolean).join(", ");
  const what = `refused the statement: ${problem === "" ? "" : `${problem} `}(SQLSTATE ${state})`;
  return { code: "failed", what, hint: state === "42P01" ? INIT : undefined };
}

/** Columns that later files of the set `memory` added: without them `init` has not run since opsctl was upgraded. */
const MEMORY_COLUMNS = /\b(?:index_version|shape_tokens)\b/;

/**
 * Unknown and taken names of tables, columns, functions and types: their messages hold nothing else. Other messages hold values (a syntax
 * error in a tsquery shows what was searched).
 */
const NAME_STATES: ReadonlySet<string> = new Set([
  "42P01",
  "42703",
  "42883",
  "42704",
  "42P07",
  "42701",
  "42710",
]);

/** The SQLSTATE of an error that the server sent, rebuilt or not; undefined for every other error. */
export function sqlState(error: unknown): string | undefined {
  if (error instanceof OpsError) return states.get(error);
  const { code, severity } = (error ?? {}) as { code?: unknown; severity?: unknown };
  return typeof code === "string" && typeof severity === "string" ? code : undefined;
}

/** Node's code; a name with several addresses gives an AggregateError with one error each. */
function errorCode(error: unknown): string {
  const { code, errors } = (error ?? {}) as { code?: unknown; errors?: { code?: unknown }[] };
  const found = code ?? errors?.[0]?.code;
  return typeof found === "string" ? found : "";
}

function isTls(code: string, message: string): boolean {
  return (
    /CERT|^ERR_TLS|^ERR_SSL|^EPROTO$|UNABLE_TO|CRL_|HOSTNAME_MISMATCH|INVALID_CA/.test(code) ||
    /SSL/.test(message)
  );
}
