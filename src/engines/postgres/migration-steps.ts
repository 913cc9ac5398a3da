/** A script without a transaction: each statement commits by itself, and history follows it. */
import type { Call } from "../../call.ts";
import type { HistoryRow, Step } from "../../migrate/port.ts";
import { runStepwise } from "../../migrate/stepwise.ts";
import type { PostgresConnection } from "./connect.ts";
import { scriptError } from "./migration-errors.ts";
import { type Ask, guardedWrite, historyGone, recordedByOthers } from "./migration-history.ts";
import { describeHolder, type Holder } from "./migration-holders.ts";
import { runConcurrently } from "./migration-index.ts";
import type { Held } from "./migration-lock.ts";
import { singlePart } from "./migration-parts.ts";
import { historyDropped } from "./migration-transaction.ts";
import { type Piece, piecesOf } from "./split.ts";
import { concurrentIndex, waitsForTransactions } from "./statement-kind.ts";

/** A wait that is worth a line on the log, and how often, ms. */
const REPORT_MS = 10_000;

/**
 * Runs what is left of a script, statement by statement. History is written over the session that holds the lock: a row that could be written
 * proves that the lock is there, and no SET of the script reaches it.
 * @throws OpsError `failed` naming the place in the file · `locked` when somebody else has recorded the version
 */
export async function runSteps(
  connection: PostgresConnection,
  held: Held,
  call: Call,
  step: Step,
): Promise<void> {
  const { keeper, session, table } = held;
  held.isFresh = false;
  const pieces = piecesOf(step.script);
  const isInDoubt = await wasUnderWay(keeper.ask, table, step);
  await session
    .query(`${held.reset}; ${limitsOf(step, pieces)}`)
    .catch((error) => Promise.reject(connection.explain(error)));
  const write = async (row: HistoryRow) => {
    try {
      const written = await keeper.tell(guardedWrite(table, step.direction, row));
      if (written.length === 0) throw recordedByOthers(row);
    } catch (error) {
      throw historyGone(error) ? historyDropped(step, table) : error;
    }
  };
  await runStepwise(call, step, pieces, write, (_, index) =>
    runPiece(connection, held, call, step, pieces[index]!, isInDoubt && index === step.from),
  );
}

/** An earlier run may have been killed while the server worked on the statement that comes next. */
async function wasUnderWay(ask: Ask, table: string, { row, script, from }: Step): Promise<boolean> {
  const rows = await ask<Pick<HistoryRow, "state" | "file" | "statement_index">>(
    `SELECT state, file, statement_index FROM ${table} WHERE set_name = $1 AND version = $2`,
    [row.set_name, row.version],
  );
  const known = rows[0];
  return known?.state === "running" && known.file === script.file && known.statement_index === from;
}

/** Statements that wait for other transactions by design must be let wait. */
function limitsOf({ limits }: Step, pieces: readonly Piece[]): string {
  const isPatient = pieces.some(({ text }) => waitsForTransactions(text));
  return (
    `SET lock_timeout = ${isPatient ? 0 : limits.lockTimeoutMs}; ` +
    `SET statement_timeout = ${limits.statementTimeoutMs ?? 0}`
  );
}

async function runPiece(
  connection: PostgresConnection,
  { keeper, session, pid }: Held,
  call: Call,
  step: Step,
  piece: Piece,
  isInDoubt: boolean,
): Promise<void> {
  const { script } = step;
  const report = reporter(call, script.file);
  const send = async (text: string, copiedRows?: string) => {
    await keeper.watch(pid, 0, () => session.run(text, { isSingle: true, copiedRows }), report);
  };
  const part = singlePart(script.text, piece);
  const execute = async () => {
    try {
      await send(part.text, part.copiedRows);
    } catch (error) {
      const sent = { ...part.place, statementAt: piece.offset };
      throw scriptError(
        connection,
        script,
        sent,
        error,
        "the statements before it stay; correct it and run the command again, which goes on with it",
      );
    }
  };
  const index = concurrentIndex(piece.text);
  if (index === null) return execute();
  const ask: Ask = (text, params) =>
    session.query<never>(text, params).catch((error) => Promise.reject(connection.explain(error)));
  return runConcurrently({ call, script, ask, send, isInDoubt }, index, execute);
}

/** Says now and then for whom a statement waits. */
function reporter(call: Call, file: string) {
  let next = 0;
  return (blockers: readonly Holder[]) => {
    if (performance.now() < next) return;
    next = performance.now() + REPORT_MS;
    call.log("WARNING", `${file} waits for ${blockers.map(describeHolder).join(", ")}`);
  };
}
