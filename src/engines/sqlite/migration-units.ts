/** Scripts that have no transaction around them. */
import type { HistoryRow, Statement } from "../../migrate/port.ts";
import { doneRow, runStepwise, unfinishedRow } from "../../migrate/stepwise.ts";
import { statementsIn } from "./blocks.ts";
import { recordStep, refuseTaken } from "./migration-history.ts";
import { execute, inTransaction, type Running, waiting } from "./migration-transaction.ts";
import { firstWords } from "./split.ts";

/**
 * Statements that commit one by one: each in the transaction that also says that it is done, so that history always knows, but for those
 * that cannot run in one.
 */
export async function runUnits(running: Running): Promise<void> {
  const { call, step, database, units } = running;
  const startedAt = performance.now();
  /** Statements that history says are done; undefined: it says nothing of this run yet. */
  let recorded: number | undefined;
  let isDone = false;
  const record = (row: HistoryRow) => {
    refuseTaken(database, step, recorded ?? step.from);
    recordStep(database, step, row);
  };
  const recordAfter = (index: number) => {
    const done = index + 1;
    const elapsedMs = Math.round(performance.now() - startedAt);
    const isLast = done === units.length;
    record(isLast ? doneRow(step, elapsedMs) : unfinishedRow(step, "running", units, done, elapsedMs));
  };

  for (const unit of units.slice(0, step.from).filter(changesConnection)) {
    await runOutside(running, unit, keptBefore(step.from));
  }
  await runStepwise(
    call,
    step,
    units,
    async (row) => {
      // the statement's own transaction has said so
      const isKnown = row.state === "running" ? recorded === row.statement_index : isDone;
      if (isKnown) return;
      await inTransaction(running, async () => record(row));
      recorded = row.statement_index;
    },
    async (unit, index) => {
      if (runsOutside(unit)) {
        await runOutside(running, unit, keptBefore(index));
        await inTransaction(running, async () => recordAfter(index));
      } else {
        await inTransaction(running, async () => {
          for (const statement of statementsIn(unit)) execute(running, statement, keptBefore(index));
          recordAfter(index);
        });
      }
      recorded = index + 1;
      isDone = recorded === units.length;
    },
  );
}

function keptBefore(index: number): string {
  if (index === 0) return "nothing of the file was kept";
  return index === 1 ? "the statement before it is kept" : `the ${index} statements before it are kept`;
}

/** Statements that SQLite refuses in a transaction, or that do nothing there. */
const OUTSIDE: ReadonlySet<string> = new Set(["PRAGMA", "VACUUM", "ATTACH", "DETACH"]);

export function runsOutside({ text }: Statement): boolean {
  return OUTSIDE.has(firstWords(text, 1)[0] ?? "");
}

/** What a connection must hear again when a script is resumed on a new one. */
function changesConnection(unit: Statement): boolean {
  return runsOutside(unit) && firstWords(unit.text, 1)[0] !== "VACUUM";
}

/**
 * Whether a statement can run again after its runner was killed. Those in a transaction have left nothing unless history says so; of the others
 * only `VACUUM INTO` cannot: its file is there.
 */
export function isRepeatable(statement: Statement): boolean {
  return !/^VACUUM\b(?=[\s\S]*\bINTO\b)/i.test(statement.text);
}

function runOutside(running: Running, unit: Statement, note: string): Promise<void> {
  return waiting(running, () => execute(running, unit, note));
}
