/** What the server says against a statement, with its place in the file. */
import { OpsError } from "../../errors.ts";
import { placedMessage } from "../../migrate/excerpt.ts";
import type { Script, Statement } from "../../migrate/port.ts";
import { KNOWN_CODES } from "./error-codes.ts";
import { isDriverError } from "./errors.ts";

/** `… (line 1, column 8 (offset: 7))`: where in the statement, UTF-16 units. */
const POSITION = /\s*\(line \d+, column \d+ \(offset: (\d+)\)\)/;

/** Codes whose messages name parts of the schema and of the query, and stored values only behind a ` = `. */
const TELLING =
  /^Neo\.(ClientError\.(Statement\.(SyntaxError|SemanticError|ParameterMissing)|Schema\.|Procedure\.ProcedureNotFound)|DatabaseError\.Schema\.)/;

const MAX_WORDS = 300;

const GOES_ON = "check the server, then run the command again: it goes on where this one stopped";
const FINDS_OUT =
  "run the command again when Neo4j answers: it finds out what was done, or says what to look at";

/**
 * The error with file, line, column and excerpt before it, and the server's own words where they hold no stored value.
 * @param statement undefined: it is about the end of a transaction, or all of the file
 * @param advice for what the server refused: what was kept, and what to do
 */
export function placed(
  error: OpsError,
  { file, text }: Script,
  statement: Statement | undefined,
  advice: string,
): OpsError {
  const { what, offset, hint } = problemOf(error, advice);
  const message = statement ? placedMessage(file, text, statement.offset + offset, what) : `${file}: ${what}`;
  const { code, engine, cause } = error;
  return new OpsError({ code, engine, message, hint, cause });
}

interface Problem {
  what: string;
  /** In the statement. */
  offset: number;
  hint: string | undefined;
}

function problemOf({ code, cause, message, hint }: OpsError, advice: string): Problem {
  if (code === "unknown_outcome") return { what: message, offset: 0, hint: FINDS_OUT };
  if (code === "unreachable") return { what: message, offset: 0, hint: GOES_ON };
  if (!isDriverError(cause)) return { what: message, offset: 0, hint };
  if (/TransactionTimedOut/.test(cause.code)) {
    return {
      what: `it took too long and was ended (${cause.code})`,
      offset: 0,
      hint: `raise --statement-timeout; ${advice}`,
    };
  }
  if (/\.Transaction\.Terminated$/.test(cause.code)) {
    return { what: `it was ended from outside (${cause.code})`, offset: 0, hint: advice };
  }
  if (!TELLING.test(cause.code)) {
    const isKnown = KNOWN_CODES.some(({ pattern }) => pattern.test(cause.code));
    return { what: isKnown ? message : cause.code, offset: 0, hint: advice };
  }
  const words = cause.message.replace(/\n"[\s\S]*$/, "").replace(/\s+/g, " ");
  const offset = Number(POSITION.exec(words)?.[1] ?? 0);
  // a constraint's message goes on with the value
  const safe = words.replace(POSITION, "").split(" = ")[0]!.trim();
  const shown = safe.length > MAX_WORDS ? `${safe.slice(0, MAX_WORDS)}…` : safe;
  return { what: `${shown} (${cause.code})`, offset, hint: advice };
}
