import { usageError } from "../../errors.ts";
import { placedMessage } from "../../migrate/excerpt.ts";
import type { Format, Script, Statement } from "../../migrate/port.ts";
import { controlWord, isBlock, statementsIn, unitsOf } from "./blocks.ts";
import { firstWords } from "./split.ts";
import { significantTokens, tokensOf } from "./tokens.ts";

const EACH_COMMITS = "then each statement commits by itself";
/** How a file of each format says that it runs without a transaction; the comment of opsctl works in all of them. */
const OUTSIDE: Readonly<Record<Format, string>> = {
  opsctl: `put "-- opsctl: no-transaction" at the top of the file, ${EACH_COMMITS}`,
  "golang-migrate": `put "-- opsctl: no-transaction" at the top of the file, ${EACH_COMMITS}`,
  dbmate: `write "-- migrate:up transaction:false" (or migrate:down), ${EACH_COMMITS}`,
  diesel: `write "run_in_transaction = false" into its metadata.toml, ${EACH_COMMITS}`,
};

/**
 * Refuses what must not run, before anything does: text that never ends, commands of the sqlite3 shell, transaction control, and in a
 * transaction what SQLite refuses there or silently ignores.
 * @throws OpsError `usage` naming file, line and column
 */
export function checkScript(script: Script, format: Format): void {
  refuseEndless(script);
  const units = unitsOf(script.text);
  const mayBlock = script.inTransaction
    ? format === "golang-migrate" && units.length === 1
    : format !== "opsctl";
  for (const unit of units) {
    const isAllowedBlock = mayBlock && isBlock(unit) && statementsIn(unit).length > 0;
    for (const statement of isAllowedBlock ? statementsIn(unit) : [unit]) {
      refuseShellCommand(script, statement);
      refuseControl(script, statement);
      if (script.inTransaction || isAllowedBlock) refuseOutsideOnly(script, statement, format);
    }
  }
}

function refuse({ file, text }: Script, offset: number, what: string, hint: string): never {
  throw usageError(placedMessage(file, text, offset, what), hint);
}

function refuseEndless(script: Script): void {
  const nul = script.text.indexOf("\0");
  if (nul >= 0) refuse(script, nul, "a NUL character, where SQLite would stop reading", "remove it");
  for (const { kind, start, closed } of tokensOf(script.text)) {
    if (closed) continue;
    const what = kind === "comment" ? "this comment is never closed" : "this quote is never closed";
    refuse(script, start, what, `close it with ${closing(script.text[start]!)}`);
  }
}

function closing(open: string): string {
  if (open === "/") return "*/";
  return open === "[" ? "]" : open;
}

function refuseShellCommand(script: Script, { text, offset }: Statement): void {
  const isAtLineStart = offset === 0 || script.text[offset - 1] === "\n";
  const command = /^\.[a-z]+/i.exec(text)?.[0];
  if (!isAtLineStart || command === undefined) return;
  refuse(
    script,
    offset,
    `${command} is a command of the sqlite3 shell, not SQL`,
    "leave it out, or write it as statements",
  );
}

function refuseControl(script: Script, statement: Statement): void {
  const word = controlWord(statement);
  if (word === undefined) return;
  refuse(
    script,
    statement.offset,
    `${word}: a migration file must not control the transaction`,
    script.inTransaction
      ? "leave it out: opsctl runs each file in a transaction of its own and records it there"
      : "leave it out: without a transaction around the file each statement commits by itself, with its record",
  );
}

/** What SQLite refuses in a transaction, or does not do there. */
function refuseOutsideOnly(script: Script, { text, offset }: Statement, format: Format): void {
  const [word] = firstWords(text, 1);
  const pragma = settingPragma(text);
  if (word === "VACUUM" || word === "ATTACH" || word === "DETACH") {
    refuse(script, offset, `${word} cannot run in a transaction`, OUTSIDE[format]);
  }
  if (pragma === "JOURNAL_MODE") {
    refuse(script, offset, "the journal mode cannot be changed in a transaction", OUTSIDE[format]);
  }
  // a file of another tool is run as it is: there the pragma did nothing, and it does nothing here
  if (pragma !== "FOREIGN_KEYS" || format !== "opsctl") return;
  refuse(
    script,
    offset,
    "PRAGMA foreign_keys does nothing in a transaction",
    `leave it out: foreign keys are off while a file runs, and checked before it is kept; or ${OUTSIDE.opsctl}`,
  );
}

/** The pragma that a statement sets, upper case; undefined: it sets none. */
function settingPragma(text: string): string | undefined {
  const parts: string[] = [];
  for (const { start, end } of significantTokens(text)) {
    parts.push(text.slice(start, end).toUpperCase());
    if (parts.length === 5) break;
  }
  if (parts[0] !== "PRAGMA") return undefined;
  const name = parts[2] === "." ? 3 : 1;
  const sign = parts[name + 1];
  return sign?.startsWith("=") || sign?.startsWith("(") ? parts[name] : undefined;
}
