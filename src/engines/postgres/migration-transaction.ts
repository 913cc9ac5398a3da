/** A script in one transaction, with its row of history. */
import { setTimeout as delay } from "node:timers/promises";
import { type Call, throwIfAborted } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { HistoryRow, Step } from "../../migrate/port.ts";
import { doneRow, isRefusal } from "../../migrate/stepwise.ts";
import type { PostgresConnection } from "./connect.ts";
import { NoAnswer, sqlState } from "./errors.ts";
import { scriptError } from "./migration-errors.ts";
import { historyGone, recordedByOthers, SINCE_BEGIN, strictWrite } from "./migration-history.ts";
import { describeHolder, endHint, type Holder } from "./migration-holders.ts";
import { type Held, IS_LOCKED } from "./migration-lock.ts";
import { learnOutcome } from "./migration-outcome.ts";
import { type Part, Progress, partsOf } from "./migration-parts.ts";

/** lock_timeout, deadlock and serialization failure: the server's ways of saying "again, please". */
const AGAIN: ReadonlySet<string | undefined> = new Set(["55P03", "40P01", "40001"]);
const ATTEMPTS = 6;
/** The first pause, as a part of the time that one attempt waits for a lock; ms at least. */
const PAUSE = { part: 0.1, minMs: 20 };
const KEPT = "nothing of the file was kept; correct it and run the command again";
/** A process that stops in the middle of a transaction must not keep its locks. */
const MAX_IDLE = "30s";

/** One script on its way. */
interface Run {
  connection: PostgresConnection;
  held: Held;
  call: Call;
  step: Step;
  row: HistoryRow;
  parts: readonly Part[];
  /** Who was last seen in its way. */
  blockers: readonly Holder[];
}

/**
 * Runs a script and records it, all or nothing, in one round trip where it is one text; again, with growing pauses, when it met a lock that
 * somebody else holds.
 * @throws OpsError `failed` naming the place in the file · `locked` when the lock does not come free, or somebody else has recorded the
 * version · `unknown_outcome` when the last answer is lost and the server cannot be asked again
 */
export async function runInTransaction(
  connection: PostgresConnection,
  held: Held,
  call: Call,
  step: Step,
): Promise<void> {
  const row = doneRow(step, 0);
  const parts = partsOf(step.script, step.from, beginning(step), ending(held, step, row));
  const run: Run = { connection, held, call, step, row, parts, blockers: [] };
  for (let attempt = 1; ; attempt++) {
    try {
      return await runOnce(run);
    } catch (error) {
      if (isRefusal(call, error)) await held.session.query("ROLLBACK").catch(() => {});
      if (!AGAIN.has(sqlState(error))) throw error;
      if (attempt === ATTEMPTS) throw givenUp(run, error as OpsError);
      await pause(run, attempt);
    }
  }
}

function beginning({ limits }: Step): string[] {
  return [
    "BEGIN",
    `SET LOCAL lock_timeout = ${limits.lockTimeoutMs}`,
    `SET LOCAL statement_timeout = ${limits.statementTimeoutMs ?? 0}`,
    `SET LOCAL idle_in_transaction_session_timeout = '${MAX_IDLE}'`,
  ];
}

/** Which of the statements of `ending` writes the row, and how many there are up to COMMIT. */
const WRITES_ROW = 3;
const COMMITTED = 5;

/**
 * What follows a script. Deferred constraints are checked first, as the role that the script has left; the row is ours to write, whatever that
 * role may do, and only while the lock is held. Where anything is refused, nothing behind it runs. Then the session is made fresh for
 * the next script.
 */
function ending({ table, reset }: Held, { direction }: Step, row: HistoryRow): string[] {
  const write = strictWrite(table, direction, { ...row, duration_ms: SINCE_BEGIN }, IS_LOCKED);
  return [
    "SET CONSTRAINTS ALL IMMEDIATE",
    "RESET SESSION AUTHORIZATION",
    "RESET ROLE",
    write,
    "COMMIT",
    reset,
  ];
}

async function runOnce(run: Run): Promise<void> {
  const { held, step, parts } = run;
  const { keeper, session, pid, reset } = held;
  const progress = new Progress();
  const send = async () => {
    if (!held.isFresh) await session.run(reset);
    held.isFresh = false;
    for (const part of parts) {
      progress.enter(part);
      const { isSingle, copiedRows } = part;
      await session.run(part.text, { isSingle, copiedRows, onDone: progress.advance });
    }
    held.isFresh = true;
  };
  try {
    keeper.assertNotLost();
    await keeper.watch(pid, step.limits.lockTimeoutMs, send, (blockers) => {
      run.blockers = blockers;
    });
  } catch (error) {
    await explain(run, progress, error);
  }
}

/** Returns when the script is done and recorded all the same. @throws OpsError otherwise */
async function explain(run: Run, progress: Progress, error: unknown): Promise<void> {
  const { connection, held, call, step, row } = run;
  const { endDone } = progress;
  // what comes after COMMIT is made good before the next script
  if (endDone >= COMMITTED) return;
  if (endDone === WRITES_ROW && sqlState(error) === "22012") {
    await held.keeper.assertHeld();
    throw recordedByOthers(row);
  }
  if (endDone === WRITES_ROW && historyGone(error)) throw historyDropped(step, held.table);
  const isLost = !call.signal.aborted && connection.explain(error).code === "unreachable";
  if (!isLost || !progress.endIsSent) throw scriptError(connection, step.script, progress.sent, error, KEPT);
  // who does not answer here does not answer there
  const outcome = error instanceof NoAnswer ? undefined : await learnOutcome(connection, call, held, row);
  if (outcome === "recorded") return;
  throw outcome === "nothing" ? lost(connection, step, error) : unknownOutcome(connection, step);
}

function lost(connection: PostgresConnection, { script }: Step, error: unknown): OpsError {
  const { code, message, hint } = connection.explain(error);
  const told = `${script.file}: ${message}; nothing of the file was kept`;
  return new OpsError({ code, engine: "postgres", message: told, hint });
}

/** A file dropped the table in which it was to be recorded. */
export function historyDropped({ script }: Step, table: string): OpsError {
  return new OpsError({
    code: "failed",
    engine: "postgres",
    message: `${script.file}: the history of migrations, ${table}, is gone: the file, or somebody else, has dropped it`,
    hint: `leave ${table} alone in the file, or move it out of the schema that the file drops`,
  });
}

function unknownOutcome({ where }: PostgresConnection, { script, migration }: Step): OpsError {
  return new OpsError({
    code: "unknown_outcome",
    engine: "postgres",
    message: `${script.file}: PostgreSQL at ${where.address} was lost before its last answer: all of the file is there, or nothing`,
    hint: `opsctl migrate status says whether ${migration.version} is applied; running the command again is safe`,
  });
}

async function pause({ call, step, blockers }: Run, attempt: number): Promise<void> {
  const first = Math.max(PAUSE.minMs, PAUSE.part * step.limits.lockTimeoutMs);
  const ms = Math.round(first * 2 ** (attempt - 1) * (0.5 + Math.random()));
  const why = waitedFor(blockers) ?? "it met another session's lock";
  call.log("WARNING", `${step.script.file}: ${why}; attempt ${attempt + 1} of ${ATTEMPTS} in ${ms} ms`);
  await delay(ms, undefined, { signal: call.signal }).catch(() => throwIfAborted(call));
}

function waitedFor(blockers: readonly Holder[]): string | undefined {
  return blockers.length === 0 ? undefined : `it waited for ${blockers.map(describeHolder).join(", ")}`;
}

function givenUp({ step: { script, limits }, blockers }: Run, error: OpsError): OpsError {
  const seconds = limits.lockTimeoutMs / 1000;
  const why =
    sqlState(error) === "55P03"
      ? `did not get its locks in ${ATTEMPTS} attempts of ${seconds} s: ${waitedFor(blockers) ?? error.message}`
      : `met a conflict in each of ${ATTEMPTS} attempts: ${error.message}`;
  return new OpsError({
    code: "locked",
    engine: "postgres",
    message: `${script.file} ${why}; nothing of the file was kept`,
    hint: `${blockers[0] ? endHint(blockers[0]) : "run it again at a quieter time"}; --lock-timeout sets how long one attempt waits`,
  });
}
