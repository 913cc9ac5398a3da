/** Runs scripts, and records them in the transaction that keeps what they did. */
import { setImmediate as nextTurn } from "node:timers/promises";
import type Database from "better-sqlite3";
import { type Call, throwIfAborted } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { Statement, Step } from "../../migrate/port.ts";
import { doneRow } from "../../migrate/stepwise.ts";
import { statementsIn, unitsOf } from "./blocks.ts";
import { type SqliteConnection, withLock } from "./connect.ts";
import { sqliteError } from "./errors.ts";
import { checkReferences, describeBroken, newlyBroken, type ReferenceCheck } from "./foreign-keys.ts";
import { recordStep, refuseTaken } from "./migration-history.ts";
import { execute, inTransaction, type Running } from "./migration-transaction.ts";
import { runsOutside, runUnits } from "./migration-units.ts";
import { openForScript } from "./open.ts";

/** Statements block the event loop; between them a signal is heard and progress shown at least this often. */
const TURN_MS = 50;

/** What the runs of one lock share. */
export interface RunState {
  /** A connection that no script has changed, for the next one. */
  database: Database.Database | undefined;
  /** The references as they were when this connection saw this version of the file (`PRAGMA data_version`). */
  checked: { version: unknown; references: ReferenceCheck } | undefined;
  /** References that do not hold have been reported. */
  hasWarned: boolean;
}

export function newRunState(): RunState {
  return { database: undefined, checked: undefined, hasWarned: false };
}

/** Closes what the runs of a lock have left open. */
export function endRuns(state: RunState): void {
  state.database?.close();
  state.database = undefined;
  state.checked = undefined;
}

/**
 * Runs a script, such that nothing of its settings, temporary tables and attached files reaches the next one. A statement cannot be interrupted
 * from here: `statementTimeoutMs` has no effect, signals are heard between statements.
 */
export async function runStep(
  call: Call,
  connection: SqliteConnection,
  step: Step,
  state: RunState,
): Promise<void> {
  const { path } = connection;
  const units = unitsOf(step.script.text);
  if (!step.script.inTransaction) {
    // a file's journal mode can only be changed when nobody else has it open
    endRuns(state);
    await connection.close();
  }
  const database =
    state.database ??
    (await withLock(call, path, () => openForScript(connection), step.limits.lockTimeoutMs));
  state.database = database;
  let isClean = false;
  try {
    const running: Running = { call, step, path, database, units };
    await (step.script.inTransaction ? runWhole(running, state) : runUnits(running));
    isClean = isUnchanged(database, units);
  } catch (error) {
    throw sqliteError(error, path);
  } finally {
    if (!isClean) endRuns(state);
  }
}

/** Whether a connection is as it was before these statements: only what runs outside of transactions and temporary tables change it. */
function isUnchanged(database: Database.Database, units: readonly Statement[]): boolean {
  if (units.flatMap(statementsIn).some(runsOutside)) return false;
  return database.prepare("SELECT 1 FROM temp.sqlite_temp_schema").get() === undefined;
}

async function runWhole(running: Running, state: RunState): Promise<void> {
  const { call, step, database, units } = running;
  const startedAt = performance.now();
  const statements = units.slice(step.from).flatMap(statementsIn);
  await inTransaction(running, async () => {
    refuseTaken(database, step, step.from);
    const before = referencesNow(running, state);
    let turnAt = startedAt;
    for (const [index, statement] of statements.entries()) {
      execute(running, statement, "nothing of the file was kept");
      const done = index + 1;
      call.progress({ label: step.script.file, done, total: statements.length, unit: "statements" });
      if (performance.now() - turnAt < TURN_MS) continue;
      await nextTurn();
      throwIfAborted(call);
      turnAt = performance.now();
    }
    const references = checkAfter(running, before, state);
    recordStep(database, step, doneRow(step, Math.round(performance.now() - startedAt)));
    state.checked = { version: dataVersion(database), references };
  });
}

/** As checked after the file before, unless somebody else has written since. */
function referencesNow({ database }: Running, { checked }: RunState): ReferenceCheck {
  return checked?.version === dataVersion(database) ? checked!.references : checkReferences(database);
}

function dataVersion(database: Database.Database): unknown {
  return database.pragma("data_version", { simple: true });
}

/** @throws OpsError `failed` for references that the script broke */
function checkAfter(
  { call, step, path, database }: Running,
  before: ReferenceCheck,
  state: RunState,
): ReferenceCheck {
  const after = checkReferences(database);
  const fresh = newlyBroken(before, after);
  if (fresh.length > 0) {
    throw new OpsError({
      code: "failed",
      engine: "sqlite",
      message: `${step.script.file} leaves rows that refer to rows which are not there: ${describeBroken(database, fresh)}; nothing of the file was kept`,
      hint: "delete or correct these rows in the file; foreign keys are off while it runs, so that ON DELETE CASCADE does nothing there",
    });
  }
  const problems = [...after.unchecked];
  if (after.broken.length > 0) {
    problems.push(`rows that refer to rows which are not there: ${describeBroken(database, after.broken)}`);
  }
  if (problems.length > 0 && !state.hasWarned) {
    state.hasWarned = true;
    call.log("WARNING", `SQLite file ${path} has foreign keys that do not hold (${problems.join("; ")})`);
  }
  return after;
}
