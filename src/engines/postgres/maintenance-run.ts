/** One statement of maintenance: alone in its transaction, and stopped at the deadline. */
import { setTimeout as sleep } from "node:timers/promises";
import { abortError, type Call } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { PostgresConnection } from "./connect.ts";
import { sqlState } from "./errors.ts";
import { runConcurrently } from "./migration-index.ts";
import { shielded } from "./restore-session.ts";
import { concurrentIndex } from "./statement-kind.ts";

/** How long VACUUM waits for another VACUUM or ALTER of its table: cron comes again. */
const LOCK_MS = 3_000;
/** Time to take away what a statement that was stopped left: an older transaction may be in the way for hours. */
const CLEAN_UP_MS = 5_000;
/** How long a server that was told to stop may take. */
const STOP_MS = 5_000;
/** The server's own limit is so much behind the deadline: what it ends is over here, too. */
const BEHIND_MS = 100;

/** @throws OpsError the call's own when it ends; `failed` when the user may not; `locked` */
export async function vacuum(call: Call, connection: PostgresConnection, statement: string): Promise<void> {
  await send(call, connection, statement, LOCK_MS);
}

/**
 * REINDEX or DROP INDEX CONCURRENTLY. They wait for transactions that are older, and meanwhile block neither readers nor writers: only the
 * deadline ends that. What they leave when they are stopped is dropped, unless that would take longer than `cleanUpMs`: then it is named.
 */
export async function workOnIndex(
  call: Call,
  connection: PostgresConnection,
  statement: string,
  cleanUpMs = CLEAN_UP_MS,
): Promise<void> {
  let asking = call;
  const execute = async () => {
    try {
      await send(call, connection, statement, 0);
    } catch (error) {
      asking = shielded(call, cleanUpMs);
      throw error;
    }
  };
  const run = {
    call,
    script: { file: statement, text: statement, checksum: "", inTransaction: false },
    ask: <R extends object>(text: string, params?: readonly unknown[]) =>
      connection.query<R>(asking, text, params),
    send: (text: string) => send(shielded(call, cleanUpMs), connection, text, cleanUpMs),
    isInDoubt: false,
  };
  await runConcurrently(run, concurrentIndex(statement)!, execute);
}

/** Longest wait that a timer takes. */
const MAX_TIMER_MS = 2 ** 30;

/** In a connection of its own: settings of the session go with it. */
async function send(
  call: Call,
  connection: PostgresConnection,
  statement: string,
  lockMs: number,
): Promise<void> {
  const session = await connection.bare().lend(call);
  const skipped: string[] = [];
  session.onNotice((_state, message) => {
    if (/^skipping |, skipping it$/.test(message)) skipped.push(message);
  });
  let isDone = false;
  try {
    await session.query(`SET lock_timeout = ${lockMs}; SET statement_timeout = ${serverLimit(call)}`);
    await session.run(statement, { isSingle: true });
    isDone = true;
  } catch (error) {
    throw explained(call, connection, error, statement);
  } finally {
    session.release(true);
    if (!isDone) await ended(call, connection, session.pid);
  }
  // a table of somebody else is left out with a warning, and that is no error to the server
  if (skipped.length > 0) throw notPermitted(connection, skipped[0]!);
}

/** For where no request to cancel gets through; 0: no limit. */
function serverLimit(call: Call): number {
  const remaining = call.remainingMs();
  return remaining > MAX_TIMER_MS ? 0 : Math.ceil(remaining) + BEHIND_MS;
}

/** Waits until the server has stopped, which is told so once more (over TLS for the first time): what it leaves is there only then. */
async function ended(call: Call, connection: PostgresConnection, pid: number): Promise<void> {
  const own = shielded(call, STOP_MS);
  const isThere = async () => {
    const text = "SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND application_name = 'opsctl'";
    return (await connection.query(own, text, [pid])).length > 0;
  };
  try {
    if (await isThere()) await connection.query(own, "SELECT pg_cancel_backend($1)", [pid]);
    while (own.remainingMs() > 0 && (await isThere())) await sleep(20);
  } catch {
    // a server that does not answer leaves what it leaves
  }
}

function explained(call: Call, connection: PostgresConnection, error: unknown, statement: string): OpsError {
  if (call.signal.aborted && call.signal.reason instanceof OpsError) return abortError(call.signal.reason);
  const known = connection.explain(error);
  const state = sqlState(error);
  const at = `PostgreSQL at ${connection.where.address}`;
  if (call.signal.aborted || call.remainingMs() === 0) {
    return failed("failed", `${at} was told to stop ${statement}`, "raise --max-time, or --timeout");
  }
  if (state === "57014") {
    return failed("failed", `${at} stopped ${statement}: somebody cancelled it`, "run it again");
  }
  if (state === "55P03") {
    return failed(
      "locked",
      `${at}: ${statement} waited ${LOCK_MS / 1000} s for the lock of another session`,
      "opsctl doctor postgres-blocked says who; cron comes again",
    );
  }
  return known;
}

function notPermitted({ where }: PostgresConnection, message: string): OpsError {
  return failed(
    "failed",
    `PostgreSQL at ${where.address}: ${message}`,
    `run it as the owner of the table, or of the database: "${where.user}" is neither`,
  );
}

function failed(code: "failed" | "locked", message: string, hint: string): OpsError {
  return new OpsError({ code, engine: "postgres", message, hint });
}
