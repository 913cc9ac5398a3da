import { OpsError } from "../../errors.ts";
import { placedMessage } from "../../migrate/excerpt.ts";
import type { Script } from "../../migrate/port.ts";
import type { PostgresConnection } from "./connect.ts";
import { rememberState, sqlState } from "./errors.ts";
import { outsideHint } from "./migration-check.ts";

/** What was sent when the server refused something, so that its answer can be found in the file. */
export interface Sent {
  /** Where the statement begins that was under way; null: nobody knows. UTF-16 units of the script's text. */
  statementAt: number | null;
  /** Where the text that was sent begins in the script's text. */
  base: number;
  /** Characters that were sent before it. */
  prefix: number;
  /** Where rows for COPY begin in the script's text. */
  rowsAt?: number;
}

const STOOD_STILL =
  "this process stood still in the middle of it, and the server ended the transaction; nothing of the file was kept";

/** What the server says of an error. */
interface ServerError {
  message: string;
  detail?: string;
  hint?: string;
  position?: string;
  where?: string;
}

/** Classes of SQLSTATE whose details and hints name objects; those of others quote rows. */
const NAMES_ONLY = /^(?:0A|2B|42|55)/;

/**
 * The error of a script that was refused, with file, line, column and an excerpt; or why the server could not be asked.
 * @param sent null: it was none of the script's statements
 * @param kept what of the script stays, and what to do next
 */
export function scriptError(
  connection: PostgresConnection,
  script: Script,
  sent: Sent | null,
  error: unknown,
  kept: string,
): OpsError {
  if (error instanceof OpsError) return error;
  const { code, message, hint } = connection.explain(error);
  const state = sqlState(error);
  if (state === undefined || code === "unreachable" || state === "25P03") {
    return new OpsError({
      code,
      engine: "postgres",
      message: `${script.file}: ${state === "25P03" ? STOOD_STILL : message}`,
      hint: `${hint ?? "try again"}; opsctl migrate status says how far it is`,
    });
  }
  const failed = error as ServerError;
  const offset = sent && offsetOf(script, sent, failed);
  const what = describe(failed, state);
  const located =
    offset === null ? `${script.file}: ${what}` : placedMessage(script.file, script.text, offset, what);
  const rebuilt = new OpsError({
    code: code === "locked" ? "locked" : "failed",
    engine: "postgres",
    message: located,
    hint: [remedy(failed, state), kept].filter(Boolean).join("; "),
  });
  rememberState(rebuilt, state);
  return rebuilt;
}

/** The message, without the values of rows that it may quote. */
function describe({ message, detail, where }: ServerError, state: string): string {
  // data exceptions quote what could not be read: `invalid input syntax for type integer: "…"`
  const shown = state.startsWith("22") ? message.replace(/"[^"]*"/g, '"…"') : message;
  const more = detail !== undefined && NAMES_ONLY.test(state) ? `: ${detail}` : "";
  const routine = /^(?:PL\/pgSQL|SQL) function .*/m.exec(where ?? "")?.[0];
  return `${shown}${more} (SQLSTATE ${state}${routine === undefined ? "" : `, in ${routine}`})`;
}

function remedy({ hint }: ServerError, state: string): string {
  if (state === "25001" || state === "2D000") return outsideHint();
  if (state === "57014") return "raise --statement-timeout, or leave it out";
  return hint !== undefined && NAMES_ONLY.test(state) ? hint.replace(/\.$/, "") : "";
}

function offsetOf({ text }: Script, sent: Sent, { position, where }: ServerError): number | null {
  const row = /^COPY .*, line (\d+)/.exec(where ?? "")?.[1];
  if (row !== undefined && sent.rowsAt !== undefined) return lineAt(text, sent.rowsAt, Number(row));
  if (position === undefined) return sent.statementAt;
  return sent.base + unitsOf(text.slice(sent.base), Number(position) - 1 - sent.prefix);
}

/** Where the line number `line` begins, counted from `from`. */
function lineAt(text: string, from: number, line: number): number {
  let at = from;
  for (let n = 1; n < line; n++) {
    const end = text.indexOf("\n", at);
    if (end < 0) break;
    at = end + 1;
  }
  return at;
}

/** UTF-16 units of the first `characters`: the server counts a character outside the BMP once. */
function unitsOf(text: string, characters: number): number {
  let units = 0;
  for (let n = 0; n < characters && units < text.length; n++) {
    units += text.codePointAt(units)! > 0xffff ? 2 : 1;
  }
  return units;
}
