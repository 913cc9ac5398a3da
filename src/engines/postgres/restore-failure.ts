/** Why pg_restore or psql failed: it says that in several lines, with the statement behind it, which may be long. */
import { OpsError } from "../../errors.ts";
import type { RestoreFile } from "../../restore/port.ts";

/** Of stderr, in a message. */
const MAX_REASON = 300;

/** A program that crashes at a file was not ended by somebody. */
const CRASHED = /was ended by SIG(?:SEGV|ABRT|BUS|ILL|FPE)/;
/** The file is to blame: it cannot be read, or its content contradicts its own rules. */
const DAMAGED =
  /could not read from input file|end of file|could not find block|did not find magic|corrupt|not a valid archive|unrecognized data block|could not uncompress|invalid (?:input syntax|byte sequence)|duplicate key|violates|could not create unique index|syntax error|missing data for column|extra data after/i;
/** The file is fine, and this is not the place for it. */
const REASONS: readonly [RegExp, string][] = [
  [
    /unsupported version/,
    "install the client programs of the PostgreSQL that made the dump, or newer ones, and put them first on PATH",
  ],
  [
    /unrecognized configuration parameter/,
    "the client programs are newer than the server: put those of the server's version first on PATH",
  ],
  [/No space left on device|disk full/i, "free some space on the server, then restore again"],
  [/role .* does not exist/, "create the role, or restore the part globals as well, then restore again"],
  [
    /permission denied|must be (?:superuser|owner|member|able)/,
    "restore as a superuser, or as a member of the roles that own the objects",
  ],
  [
    /invalid command \\restrict/,
    "psql is too old to restore scripts safely: install a version of August 2025 or later",
  ],
  [
    /backslash commands are restricted|\\unrestrict: wrong key/,
    "the script has commands of psql in it, as pg_dump --create writes them: restore one that was made without it",
  ],
  [
    /terminating connection|connection to server|server closed the connection|SSL SYSCALL/,
    "somebody ended the session, or the server restarted: restore again",
  ],
];

/** The error to throw for one of pg_restore's or psql's; every other one stays what it is. */
export function explainLoad(error: unknown, file: RestoreFile): unknown {
  if (!(error instanceof OpsError) || !/^(?:pg_restore|psql) (?:ended|was ended)/.test(error.message))
    return error;
  const said = typeof error.cause === "string" ? error.cause : "";
  const lines = said.split("\n").filter((line) => /error: |ERROR: {2}|FATAL: {2}/.test(line));
  const line = lines[0] ?? "";
  const ended = error.message.split(":")[0]!;
  const message = `${file.path}: ${line === "" ? ended : line.slice(0, MAX_REASON)}`;
  const hint = REASONS.find(([pattern]) => pattern.test(line))?.[1];
  const isDamaged = hint === undefined && (DAMAGED.test(line) || CRASHED.test(ended));
  return new OpsError({
    code: isDamaged ? "integrity" : "failed",
    engine: "postgres",
    message,
    ...(hint !== undefined && { hint }),
  });
}

/** Names the file in what was found wrong with it. */
export function explainFile(error: unknown, file: RestoreFile): unknown {
  if (!(error instanceof OpsError) || error.code !== "integrity") return error;
  return new OpsError({ code: "integrity", engine: "postgres", message: `${file.path}: ${error.message}` });
}
