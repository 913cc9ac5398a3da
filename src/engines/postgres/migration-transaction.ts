/** A script in one transaction, with its row of history. */
import { setTimeout as delay } from "node:timers/promises";
import { type Call, throwIfAborted } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { Step } from "../../migrate/port.ts";
import { doneRow } from "../../migrate/stepwise.ts";
import type { PostgresConnection } from "./connect.ts";
import { sqlState } from "./errors.ts";
import { type Sent, scriptError } from "./migration-errors.ts";
import { historyGone, recordedByOthers, strictWrite } from "./migration-history.ts";
import { describeHolder, endHint } from "./migration-holders.ts";
import { type Held, lockRow } from "./migration-lock.ts";
import { type Part, partsOf } from "./migration-parts.ts";
import type { LentSession } from "./session.ts";

/** lock_timeout, deadlock and serialization failure: the server's ways of saying "again, please". */
const AGAIN: ReadonlySet<string | undefined> = new Set(["55P03", "40P01", "40001"]);
const ATTEMPTS = 6;
/** The first pause, as a part of the time that one attempt waits for a lock; ms at least. */
const PAUSE = { part: 0.1, minMs: 20 };
const KEPT = "nothing of the file was kept; correct it and run the command again";
/** A process that stops in the middle of a transaction must not keep its locks. */
const MAX_IDLE = "30s";

/**
 * Runs a script and records it, all or nothing; again, with growing pauses, when it met a lock that somebody else holds.
 * @throws OpsError `failed` naming the place in the file · `locked` when the lock does not come free, or somebody else has recorded the
 * version · `unknown_outcome` when the answer to COMMIT is lost
 */
export async function runInTransaction(
  connection: PostgresConnection,
  held: Held,
  call: Call,
  step: Step,
): Promise<void> {
  const parts = partsOf(step, beginning(step));
  for (let attempt = 1; ; attempt++) {
    try {
      return await runOnce(connection, held, step, parts);
    } catch (error) {
      if (sqlState(error) !== undefined) await held.session.query("ROLLBACK").catch(() => {});
      if (!AGAIN.has(sqlState(error))) throw error;
      if (attempt === ATTEMPTS) throw blocked(held, step, error as OpsError);
      await pause(held, call, step, attempt);
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

/** Two round trips where a file is one text: its statements, then its row, COMMIT and the reset for the next file. */
async function runOnce(
  connection: PostgresConnection,
  held: Held,
  step: Step,
  parts: readonly Part[],
): Promise<void> {
  const startedAt = performance.now();
  const sent: Sent = { statementAt: null, base: 0, prefix: 0 };
  const { keeper, session, pid, reset } = held;
  try {
    keeper.assertNotLost();
    if (!held.isFresh) await session.run(reset);
    held.isFresh = false;
    await keeper.watch(pid, step.limits.lockTimeoutMs, async () => {
      for (const part of parts) await runPart(session, part, sent);
    });
  } catch (error) {
    throw scriptError(connection, step.script, sent, error, KEPT);
  }
  await record(connection, held, step, Math.round(performance.now() - startedAt));
}

/** `sent` follows what the server is at. */
async function runPart(session: LentSession, part: Part, sent: Sent): Promise<void> {
  let done = -part.extra;
  Object.assign(sent, { rowsAt: undefined }, part.sent, { statementAt: part.statementsAt[0] ?? null });
  await session.run(part.text, {
    isSingle: part.isSingle,
    copiedRows: part.copiedRows,
    onDone() {
      done += 1;
      if (done > 0) sent.statementAt = part.statementsAt[done] ?? null;
    },
  });
  Object.assign(sent, { statementAt: null });
}

/**
 * Deferred constraints are checked first, as the role that the file has left; the row is ours to write, whatever that role may do, and as long
 * as the lock is held: the server looks, where an answer from here could be old. When anything is refused, nothing behind it runs.
 */
async function record(
  connection: PostgresConnection,
  held: Held,
  step: Step,
  durationMs: number,
): Promise<void> {
  const { keeper, session, pid, table, reset } = held;
  const row = doneRow(step, durationMs);
  const write = strictWrite(table, step.direction, row, lockRow(keeper.backend));
  const statements = [
    "SET CONSTRAINTS ALL IMMEDIATE",
    "RESET SESSION AUTHORIZATION",
    "RESET ROLE",
    write,
    "COMMIT",
  ];
  const [written, committed] = [statements.indexOf(write), statements.length];
  let done = 0;
  try {
    await keeper.watch(pid, 0, () =>
      session.run([...statements, reset].join("; "), {
        onDone() {
          done += 1;
        },
      }),
    );
    held.isFresh = true;
  } catch (error) {
    // what came after COMMIT is made good before the next file
    if (done >= committed) return;
    if (done === written && sqlState(error) === "22012") {
      await keeper.assertHeld();
      throw recordedByOthers(row);
    }
    if (done === written && historyGone(error)) throw historyDropped(step, table);
    throw recordError(connection, step, error);
  }
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

function recordError(connection: PostgresConnection, { script, migration }: Step, error: unknown): OpsError {
  if (connection.explain(error, "commit").code !== "unknown_outcome") {
    return scriptError(connection, script, null, error, KEPT);
  }
  return new OpsError({
    code: "unknown_outcome",
    engine: "postgres",
    message: `${script.file}: PostgreSQL at ${connection.where.address} was lost while it committed: all of the file is there, or nothing`,
    hint: `opsctl migrate status says whether ${migration.version} is applied; running the command again is safe`,
  });
}

async function pause(held: Held, call: Call, { script, limits }: Step, attempt: number): Promise<void> {
  const first = Math.max(PAUSE.minMs, PAUSE.part * limits.lockTimeoutMs);
  const ms = Math.round(first * 2 ** (attempt - 1) * (0.5 + Math.random()));
  const why = blockedBy(held) ?? "it met another session's lock";
  call.log("WARNING", `${script.file}: ${why}; attempt ${attempt + 1} of ${ATTEMPTS} in ${ms} ms`);
  await delay(ms, undefined, { signal: call.signal }).catch(() => throwIfAborted(call));
}

function blockedBy({ keeper: { blockers } }: Held): string | undefined {
  return blockers.length === 0 ? undefined : `it waited for ${blockers.map(describeHolder).join(", ")}`;
}

function blocked(held: Held, { script, limits }: Step, error: OpsError): OpsError {
  const [first] = held.keeper.blockers;
  const why =
    sqlState(error) === "55P03"
      ? `did not get its locks in ${ATTEMPTS} attempts of ${limits.lockTimeoutMs / 1000} s: ${blockedBy(held) ?? error.message}`
      : `met a conflict in each of ${ATTEMPTS} attempts: ${error.message}`;
  return new OpsError({
    code: "locked",
    engine: "postgres",
    message: `${script.file} ${why}; nothing of the file was kept`,
    hint: `${first ? endHint(first) : "run it again at a quieter time"}; --lock-timeout sets how long one attempt waits`,
  });
}
