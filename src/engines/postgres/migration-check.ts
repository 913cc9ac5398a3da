import { OpsError } from "../../errors.ts";
import { placedMessage } from "../../migrate/excerpt.ts";
import type { Format, Script } from "../../migrate/port.ts";
import { type Piece, type Problem, piecesOf } from "./split.ts";
import {
  closesTransaction,
  opensTransaction,
  runsOutsideTransaction,
  transactionControl,
} from "./statement-kind.ts";

const DIRECTIVE = "-- opsctl: no-transaction";

/**
 * Refuses what must not run: transaction control, psql's own commands, text that never ends, and statements that cannot share a
 * transaction with others.
 * @throws OpsError `usage` naming file, line and column
 */
export function checkScript(script: Script, format: Format): void {
  const problem = firstProblem(script, format);
  if (!problem) return;
  throw new OpsError({
    code: "usage",
    engine: "postgres",
    message: placedMessage(script.file, script.text, problem.offset, problem.what),
    hint: problem.hint,
  });
}

function firstProblem(script: Script, format: Format): Problem | undefined {
  const { text, inTransaction } = script;
  const nul = text.indexOf("\0");
  if (nul >= 0) return { offset: nul, what: "a NUL byte", hint: "save the file as UTF-8 text" };
  const pieces = piecesOf(script);
  const isWrapped = format === "golang-migrate" && inTransaction && wrapper(pieces) !== null;
  const inner = isWrapped ? pieces.slice(1, -1) : pieces;
  const problems = inner.flatMap((piece) => [
    ...piece.problems,
    ...controlProblem(piece, inTransaction),
    ...copyProblem(piece),
    ...(inTransaction && pieces.length > 1 ? outsideProblem(piece) : []),
  ]);
  return problems.sort((a, b) => a.offset - b.offset)[0];
}

/** The two statements with which a file puts itself into a transaction; null: it does not. */
export function wrapper(pieces: readonly Piece[]): [first: Piece, last: Piece] | null {
  const [first, last] = [pieces[0], pieces.at(-1)];
  if (first === undefined || last === undefined || first === last) return null;
  return opensTransaction(first.text) && closesTransaction(last.text) ? [first, last] : null;
}

function controlProblem({ text, offset }: Piece, inTransaction: boolean): Problem[] {
  const control = transactionControl(text);
  if (control === null) return [];
  const what = inTransaction
    ? `${control}: the file runs in a transaction that is not its own to begin or end`
    : `${control}: in this file every statement commits by itself`;
  const hint = inTransaction
    ? `take it out; when the statements must commit one by one, put ${DIRECTIVE} at the top of the file`
    : "take it out, or move what belongs into one transaction to a file of its own";
  return [{ offset, what, hint }];
}

function copyProblem({ copiesOut, offset }: Piece): Problem[] {
  const what = "COPY … TO STDOUT: a migration has nobody to send rows to";
  return copiesOut ? [{ offset, what, hint: "take it out" }] : [];
}

function outsideProblem({ text, offset }: Piece): Problem[] {
  if (!runsOutsideTransaction(text)) return [];
  const what = "PostgreSQL refuses this statement in a transaction, and the file runs in one";
  return [{ offset, what, hint: outsideHint() }];
}

/** What to do about a statement that cannot run in a transaction. */
export function outsideHint(): string {
  return `put ${DIRECTIVE} at the top of the file, or the statement into a file of its own`;
}
