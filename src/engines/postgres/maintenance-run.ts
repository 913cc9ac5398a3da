/** One statement of maintenance: alone in its transaction, and stopped at the deadline. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Call } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { PostgresConnection } from "./connect.ts";
import { sqlState } from "./errors.ts";
import { runConcurrently } from "./migration-index.ts";
import { shielded } from "./restore-session.ts";
import { concurrentIndex } from "./statement-kind.ts";

/** How long VACUUM waits for another VACUUM or ALTER of its table: cron comes again. */
const LOCK_MS = 3_000;
/** Time to take away what a statement that was stopped left. */
const CLEAN_UP_MS = 60_000;
/** How long a server that was told to stop may take. */
const STOP_MS = 10_000;

/** @throws OpsError `failed` at the deadline, or when the user may not; `locked` */
export async function vacuum(call: Call, connection: PostgresConnection, statement: string): Promise<void> {
  await send(call, connection, statement, LOCK_MS);
}

/**
 * REINDEX or DROP INDEX CONCURRENTLY. They wait for transactions that are older, and meanwhile block neither readers nor writers: only the
 * deadline ends that. What they leave when they are stopped is dropped.
 */
export async function workOnIndex(
  call: Call,
  connection: PostgresConnection,
  statement: string,
): Promise<void> {
  const cleaning = {
    ...shielded(call, Math.min(call.remainingMs(), MAX_TIMER_MS) + CLEAN_UP_MS),
    log: call.log,
  };
  const run = {
    call: cleaning,
    script: { file: statement, text: statement, checksum: "", inTransaction: false },
    ask: <R extends object>(text: string, params?: readonly unknown[]) =>
      connection.query<R>(cleaning, text, params),
    send: (text: string) => send(shielded(call, CLEAN_UP_MS), connection, text, CLEAN_UP_MS),
    isInDoubt: false,
  };
  await runConcurrently(run, concurrentIndex(statement)!, () => send(call, connection, statement, 0));
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
    throw explained(connection, error, statement);
  } finally {
    session.release(true);
    if (!isDone) await ended(call, connection, session.pid);
  }
  // a table of somebody else is left out with a warning, and that is no error to the server
  if (skipped.length > 0) throw notPermitted(connection, skipped[0]!);
}

/** The server gives up first, so that its reason arrives; 0: no limit. */
function serverLimit(call: Call): number {
  const remaining = call.remainingMs();
  if (remaining > MAX_TIMER_MS) return 0;
  return Math.max(1, Math.floor(remaining - Math.min(250, remaining / 10)));
}

/** Waits until the server has stopped: what it leaves is there only then. */
async function ended(call: Call, connection: PostgresConnection, pid: number): Promise<void> {
  const own = shielded(call, STOP_MS);
  const isThere = async () => {
    const text = "SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND application_name = 'opsctl'";
    return (await connection.query(own, text, [pid])).length > 0;
  };
  try {
    while (own.remainingMs() > 0 && (await isThere())) await sleep(20);
  } catch {
    // a server that does not answer leaves what it leaves
  }
}

function explained(connection: PostgresConnection, error: unknown, statement: string): OpsError {
  const known = connection.explain(error);
  const state = sqlState(error);
  const at = `PostgreSQL at ${connection.where.address}`;
  if (state === "57014") {
    return failed(
      "failed",
      `${at} stopped ${statement}: the time was over`,
      "raise --max-time, or --timeout",
    );
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
