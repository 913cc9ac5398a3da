/**
 * OpsErrors from what ioredis throws. Nothing of its errors is copied but the class, the code and the server's own words
 * for refusals that hold no value: a ReplyError carries the command's arguments, the password of AUTH among them
 * (ioredis issue 1713).
 */

import { NoAnswer } from "../../bounded.ts";
import { type ErrorCode, OpsError, type OpsErrorFields } from "../../errors.ts";

/** Where and during what an error came up. */
export interface Attempt {
  /** `host:port` */
  at: string;
  tls: boolean;
  /** `CONFIG SET`; undefined while the connection is being made. */
  command?: string;
  /** The command changes something: a lost connection leaves its outcome unknown. */
  writes?: boolean;
  /** The command holds no secret: the server's own words about it may be shown. */
  quotes?: boolean;
}

/** The server answered, and the answer is a refusal. */
export class RedisRefusal extends OpsError {
  /** First word of the reply: `NOPERM`, `ERR`, … */
  readonly reply: string;
  /** The server does not know the command: renamed, disabled, or a managed service. */
  readonly unknownCommand: boolean;
  /** The server's own words, where they cannot hold a secret. */
  readonly words: string | undefined;

  constructor(fields: OpsErrorFields, reply: string, unknownCommand = false, words?: string) {
    super(fields);
    this.reply = reply;
    this.unknownCommand = unknownCommand;
    this.words = words;
  }
}

/** Whether the server itself sent this error: the connection is in order. */
export function isReply(error: unknown): boolean {
  return error instanceof Error && error.name === "ReplyError";
}

/** Any error of an attempt as an OpsError of engine redis; an OpsError (an aborted call) comes back as it is. */
export function redisError(error: unknown, attempt: Attempt): OpsError {
  if (error instanceof OpsError) return error;
  if (error instanceof NoAnswer) return noAnswer(error, attempt);
  if (!(error instanceof Error)) return lost(attempt);
  if (isReply(error)) return refusal(error.message, attempt);
  if (error.message.startsWith("Unknown RESP type")) return foreign(attempt);
  // ioredis found the socket closed and sent nothing
  if (error.message.startsWith("Stream isn't writeable")) {
    return lost({ ...attempt, writes: false });
  }
  return connectionError(error as NodeJS.ErrnoException, attempt);
}

function noAnswer(error: NoAnswer, attempt: Attempt): OpsError {
  if (attempt.writes)
    return unknownOutcome(attempt, `did not answer ${attempt.command} within ${error.ms} ms`);
  const what = attempt.command ? ` to ${attempt.command}` : attempt.tls ? " to the TLS handshake" : "";
  return unreachable(
    attempt,
    `gave no answer${what} within ${error.ms} ms`,
    attempt.command
      ? "is the server overloaded or stopped? raise OPSCTL_QUERY_TIMEOUT when it is only slow"
      : "is the server running and the port right? raise OPSCTL_CONNECT_TIMEOUT when it is only slow",
  );
}

/** Refusals with a word of their own: code, what is said, what to try. `#` stands for the command. */
const REFUSALS: Readonly<Record<string, readonly [ErrorCode, string, string]>> = {
  WRONGPASS: [
    "auth",
    "refuses the user name or password",
    "check REDIS_PASSWORD or the password in REDIS_URL",
  ],
  NOAUTH: ["auth", "asks for a password and none is configured", "set REDIS_PASSWORD"],
  NOPERM: [
    "auth",
    "does not permit this user to run #",
    "allow the command in the user's ACL, or use another user",
  ],
  DENIED: ["auth", "refuses clients from other hosts (protected mode)", "set a password on the server"],
  LOADING: [
    "unreachable",
    "is loading its data and does not answer yet",
    "wait until it is done, then try again",
  ],
  BUSY: ["unreachable", "is busy running a script", "wait, or end it with SCRIPT KILL"],
  MASTERDOWN: [
    "unreachable",
    "is a replica that has lost its primary",
    "use the primary, or repair the replication",
  ],
  CLUSTERDOWN: ["unreachable", "says that its cluster is down", "repair the cluster: CLUSTER INFO"],
  READONLY: ["failed", "is a read-only replica and refuses #", "use the address of the primary"],
  OOM: ["failed", "has used up its maxmemory and refuses #", "raise maxmemory, or choose an evicting policy"],
  MISCONF: [
    "failed",
    "refuses writes because it cannot save its data to disk",
    "look for the reason in the server's log: the disk may be full",
  ],
  MOVED: ["failed", "is part of a cluster and does not own this key", "use the address of the owning node"],
};

/** Own words of the server that name a setting and at most the value that opsctl sent; secrets are never sent there. */
const QUOTABLE =
  /^ERR (CONFIG |Rewriting |Unsupported CONFIG|Unknown option|Invalid argument|The server is running)/i;

/** A script's error may quote whatever the script read. */
const MAX_QUOTED = 300;

function refusal(message: string, attempt: Attempt): RedisRefusal {
  const reply = message.slice(0, message.indexOf(" "));
  const command = attempt.command ?? "the connection";
  const make = (code: ErrorCode, what: string, hint?: string, unknown?: boolean, words?: string) =>
    new RedisRefusal(fieldsOf(attempt, code, what, hint), reply, unknown, words);
  const known = REFUSALS[reply];
  if (known) return make(known[0], known[1].replace("#", command), known[2]);
  if (/^ERR (invalid password|Client sent AUTH|AUTH )/i.test(message)) {
    return make("auth", "refuses the user name or password", REFUSALS["WRONGPASS"]![2]);
  }
  if (/max number of clients/i.test(message)) {
    return make("unreachable", "has no room for another client", "raise maxclients, or end idle clients");
  }
  if (/DB index is out of range/i.test(message)) {
    return make(
      "failed",
      "has no database of that number",
      "lower REDIS_DB, or raise databases on the server",
    );
  }
  if (/^ERR unknown (command|subcommand)/i.test(message)) {
    const why = attempt.quotes ? "is it misspelt, disabled or renamed?" : "it is disabled or renamed";
    return make("failed", `does not know ${command}: ${why}`, undefined, true);
  }
  const words = attempt.quotes || QUOTABLE.test(message) ? quoted(message) : undefined;
  return make("failed", `refuses ${command}${words ? `: ${words}` : ` (${reply})`}`, undefined, false, words);
}

/** The first line of a reply, without the `ERR` that most begin with. */
function quoted(message: string): string {
  return message
    .replace(/^ERR /, "")
    .split(/[\r\n]/)[0]!
    .slice(0, MAX_QUOTED);
}

/** OpenSSL's and Node's codes for a peer that cannot be trusted or does not speak TLS. */
const TLS_CODE = /CERT|SIGNED|SSL|TLS|UNABLE_TO_|HOSTNAME_MISMATCH|^EPROTO$/;

function connectionError(error: NodeJS.ErrnoException, attempt: Attempt): OpsError {
  const code = typeof error.code === "string" ? error.code : undefined;
  if (code !== undefined && TLS_CODE.test(code)) return tlsError(code, attempt);
  switch (code) {
    case "ECONNREFUSED":
      return unreachable(attempt, "refuses connections", "is the server running, and is the port right?");
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return unreachable(
        attempt,
        `has no address (${code})`,
        "check the host name in REDIS_URL or REDIS_HOST",
      );
    case "ETIMEDOUT":
      return unreachable(attempt, "gave no answer to the connection request", "is a firewall in the way?");
    case "EHOSTUNREACH":
    case "ENETUNREACH":
      return unreachable(attempt, `has no route to it (${code})`, "check the network and the host name");
    default:
      return lost(
        attempt,
        code === undefined ? "the connection was closed" : `the connection failed (${code})`,
      );
  }
}

function tlsError(code: string, attempt: Attempt): OpsError {
  const untrusted = /CERT|SIGN|ALTNAME|HOSTNAME|UNABLE_TO_/.test(code);
  return unreachable(
    attempt,
    untrusted
      ? `has a TLS certificate that cannot be trusted (${code})`
      : `failed in the TLS handshake (${code})`,
    untrusted
      ? "name the certificate authority's file in NODE_EXTRA_CA_CERTS, and use the host name of the certificate"
      : "does this port speak TLS? use redis:// when it does not",
  );
}

function lost(attempt: Attempt, detail?: string): OpsError {
  const during = attempt.command ? `during ${attempt.command}` : "before it was ready";
  const what = `lost the ${attempt.tls ? "TLS " : ""}connection ${during}${detail ? ` (${detail})` : ""}`;
  if (attempt.writes) return unknownOutcome(attempt, what);
  const hint = attempt.command
    ? "run it again; the server's log tells why the connection ended"
    : attempt.tls
      ? "does this port speak TLS? use redis:// when it does not"
      : "does this port expect TLS? then use rediss://";
  return unreachable(attempt, what, hint);
}

function foreign(attempt: Attempt): OpsError {
  return unreachable(attempt, "does not speak the Redis protocol", "is this the port of another service?");
}

function unreachable(attempt: Attempt, what: string, hint: string): OpsError {
  return new OpsError(fieldsOf(attempt, "unreachable", what, hint));
}

function unknownOutcome(attempt: Attempt, what: string): OpsError {
  const hint = "it may or may not have happened: run the same command again, which compares first";
  return new OpsError(fieldsOf(attempt, "unknown_outcome", what, hint));
}

function fieldsOf(attempt: Attempt, code: ErrorCode, what: string, hint?: string): OpsErrorFields {
  return { code, message: `Redis at ${attempt.at} ${what}`, hint, engine: "redis" };
}
