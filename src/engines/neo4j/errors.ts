/**
 * OpsErrors from what neo4j-driver throws. Of its errors only the code is copied, and the server's own words
 * where they cannot hold a value: messages of constraints quote property values, those of connections the
 * URL.
 */

import { NoAnswer } from "../../bounded.ts";
import { type ErrorCode, OpsError } from "../../errors.ts";
import { KNOWN_CODES } from "./error-codes.ts";

/** Where a connection goes, without secrets. */
export interface Place {
  host: string;
  port: number;
  /** `host:port`, for messages. */
  where: string;
  tls: boolean;
  /** `+ssc`: any certificate will do. */
  trustAll: boolean;
}

/** `outcomeUnknown`: a commit was under way when the connection failed. */
export interface Attempt {
  place: Place;
  outcomeUnknown: boolean;
}

export interface DriverError {
  code: string;
  message: string;
  retryable: boolean;
}

/** The server is there and does not know the transaction (any more): its answer was lost. */
export class TransactionGone extends Error {}

const SCHEMA_HINT = "opsctl init neo4j";

/**
 * Any error of an attempt as an OpsError of engine neo4j; an OpsError (an aborted call) comes back as it is.
 */
export function neo4jError(error: unknown, { place, outcomeUnknown }: Attempt): OpsError {
  if (error instanceof OpsError) return error;
  if (outcomeUnknown && (error instanceof NoAnswer || isConnectionLoss(error))) {
    return unknownOutcome(place, error);
  }
  if (error instanceof NoAnswer) {
    const hint = "check the server; raise OPSCTL_QUERY_TIMEOUT when it is only slow";
    return unreachable(place, `did not answer within ${error.ms} ms`, hint, error);
  }
  if (isConnectionLoss(error)) return unreachable(place, "lost the connection", undefined, error);
  if (!isDriverError(error)) return unexpected(place, error);
  if (/no such fulltext schema index/i.test(error.message)) {
    return failure("failed", place, "has no schema of opsctl", SCHEMA_HINT, error);
  }
  const known = KNOWN_CODES.find(({ pattern }) => pattern.test(error.code));
  if (known) return failure(known.code, place, `${known.what} (${error.code})`, known.hint, error);
  const hint = "look the code up in Neo4j's documentation, or run with -v";
  return failure("failed", place, `refused the query: ${serverWords(error)}`, hint, error);
}

/** The write was sent, its answer never came. Replaying is safe: every write carries ids of its own. */
export function unknownOutcome(place: Place, cause?: unknown): OpsError {
  const what = "lost the connection while it committed: the write may or may not have happened";
  return failure(
    "unknown_outcome",
    place,
    what,
    "run the command again: what is there already stays once",
    cause,
  );
}

export function unreachable(place: Place, what: string, hint?: string, cause?: unknown): OpsError {
  return failure(
    "unreachable",
    place,
    what,
    hint ?? "check that Neo4j runs there and NEO4J_URI names it",
    cause,
  );
}

/** The database was never prepared by `opsctl init`. */
export function noSchema(place: Place): OpsError {
  return failure("failed", place, "has no schema of opsctl", SCHEMA_HINT);
}

/** Entries of the full-text index that this program cannot read. */
export function newerIndex(place: Place, version: number, known: number): OpsError {
  const what = `has a full-text index of version ${version}, made by a newer opsctl; this one knows version ${known}`;
  return failure("failed", place, what, "upgrade opsctl");
}

export function failure(
  code: ErrorCode,
  place: Place,
  what: string,
  hint?: string,
  cause?: unknown,
): OpsError {
  return new OpsError({ code, engine: "neo4j", message: `Neo4j at ${place.where} ${what}`, hint, cause });
}

export function isDriverError(error: unknown): error is Error & DriverError {
  return (
    error instanceof Error && typeof (error as Partial<DriverError>).code === "string" && "retryable" in error
  );
}

/** The connection broke, or the driver gave up getting one. */
export function isConnectionLoss(error: unknown): boolean {
  if (error instanceof TransactionGone) return true;
  if (!isDriverError(error)) return false;
  const isPool =
    error.code === "N/A" && /^(Connection acquisition timed out|Pool is closed)/.test(error.message);
  return isPool || error.code === "ServiceUnavailable" || error.code === "SessionExpired";
}

/** A failure of the moment: the server rolled the transaction back and says that another try may succeed. */
export function isTransient(error: unknown): boolean {
  if (!isDriverError(error) || isConnectionLoss(error)) return false;
  return error.retryable && !/OutOfMemory|\.Security\./.test(error.code);
}

/**
 * Whether a socket's error code is about TLS; a reset during a TLS handshake mostly means that the server has
 * none.
 */
export function isTlsFailure(code: string, place: Place): boolean {
  return place.tls && (/CERT|SSL|TLS|SIGNATURE|SIGNED/.test(code) || code === "ECONNRESET");
}

/** First line of a syntax error, which quotes the query and no parameter; of other errors only the code. */
function serverWords(error: DriverError): string {
  if (!/^Neo\.ClientError\.Statement\.SyntaxError$/.test(error.code)) return error.code;
  return `${error.message.split("\n")[0]!.slice(0, 300)} (${error.code})`;
}

/** A defect here or in the driver: its class is all that is safe to show. */
function unexpected(place: Place, error: unknown): OpsError {
  const name = error instanceof Error ? error.constructor.name : typeof error;
  return failure("failed", place, `could not be asked: unexpected ${name}`, "report this with -v", error);
}
