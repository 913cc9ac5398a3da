import type { ErrorCode } from "../../errors.ts";

/** What a code of the server means here. */
export interface KnownCode {
  pattern: RegExp;
  code: ErrorCode;
  what: string;
  hint: string;
}

/** Codes of Neo4j (docs: status codes, "Neo4j errors"), the first that matches. */
export const KNOWN_CODES: readonly KnownCode[] = [
  {
    pattern: /^Neo\.ClientError\.Security\.Forbidden/,
    code: "auth",
    what: "refused: the user may not do this",
    hint: "use a user with the needed privileges",
  },
  {
    pattern: /^Neo\.ClientError\.Security\.AuthenticationRateLimit/,
    code: "auth",
    what: "refused the login: too many failed attempts",
    hint: "wait some seconds, then check NEO4J_USERNAME and NEO4J_PASSWORD",
  },
  {
    pattern: /^Neo\.ClientError\.Security\.CredentialsExpired/,
    code: "auth",
    what: "refused the login: the password must be changed first",
    hint: "change it with ALTER CURRENT USER SET PASSWORD, then set NEO4J_PASSWORD",
  },
  {
    pattern: /^Neo\.ClientError\.Security\./,
    code: "auth",
    what: "refused the login",
    hint: "check NEO4J_USERNAME and NEO4J_PASSWORD",
  },
  {
    pattern: /^Neo\.ClientError\.Database\.DatabaseNotFound/,
    code: "failed",
    what: "has no such database",
    hint: "check NEO4J_DATABASE",
  },
  {
    pattern: /DatabaseUnavailable$|NotALeader$|\.Cluster\./,
    code: "unreachable",
    what: "has its database not available at the moment",
    hint: "try again when the database is online",
  },
  {
    pattern: /TransactionTimedOut|LockClientStopped|TransactionTerminated|\.Transaction\.Terminated/,
    code: "failed",
    what: "ended the query: it took too long",
    hint: "raise OPSCTL_QUERY_TIMEOUT",
  },
  {
    pattern: /DeadlockDetected|LockAcquisitionTimeout|\.TransientError\.Transaction\./,
    code: "locked",
    what: "could not get its locks: other transactions hold them",
    hint: "try again when the other writers are done",
  },
  {
    pattern: /OutOfMemory|\.TransientError\./,
    code: "failed",
    what: "has not enough memory or is overloaded",
    hint: "try again with smaller batches, or raise its memory settings",
  },
  {
    pattern: /ForbiddenDueToTransactionType/,
    code: "failed",
    what: "does not mix schema and data in one transaction",
    hint: "put schema statements into a file of their own",
  },
  {
    pattern: /ConstraintCreationFailed|ConstraintValidationFailed/,
    code: "failed",
    what: "refused: data breaks a constraint",
    hint: "remove the duplicates, then try again",
  },
  {
    pattern: /IndexCorruptionDetected/,
    code: "failed",
    what: "has an index that could not be built",
    hint: "SHOW INDEXES names it; drop it, then try again",
  },
  {
    pattern: /ForbiddenOnReadOnlyDatabase|WriteOnReadOnly/,
    code: "failed",
    what: "is read-only",
    hint: "name a server that accepts writes",
  },
];
