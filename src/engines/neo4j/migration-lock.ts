/**
 * The lock of migrations: one node `opsctl_lock {name: 'migrations'}`, behind a unique constraint. Its holder has a lease that it renews;
 * who finds the lease over takes the lock. All times are the server's. Nothing of it is a user's data: it is no
 * occupant of a database, and no backup should hold it (a lock that was restored ends with its lease, so it blocks nothing for long).
 */
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { NoAnswer } from "../../bounded.ts";
import { type Call, throwIfAborted } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { Neo4jConnection, Run } from "./connect.ts";
import { failure } from "./errors.ts";
import { historyLost } from "./migration-own.ts";

/** A holder that died frees the lock after this long; one that renews may miss twice. */
const LEASE_MS = 10_000;
const RENEW_MS = 3_000;
const POLL_MS = 250;
/** How often a waiting runner says what it waits for. */
const REMIND_MS = 10_000;
/** A claim waits for the transaction that has the lock's node: then it looks again. */
const CLAIM_MS = 2_000;
/** For what must be written although the command was interrupted. */
const LAST_WORDS_MS = 3_000;

/** Our claim. Every claim has a name of its own, so that a holder that slept too long can be told from the one after it. */
export interface Held {
  readonly holder: string;
  /** When the last renewal that succeeded was sent, `performance.now()`. */
  confirmedAt: number;
}

interface LockState {
  holder: string | null;
  owner: string | null;
  ageMs: number;
  leftMs: number;
}

interface Claimed extends LockState {
  /** Whoever had the lock before. */
  former: string | null;
  formerOwner: string | null;
}

/** Not the time at which a statement began: it may have waited for the node. */
const NOW = "datetime.realtime().epochMillis";

const STATE = `l.holder AS holder, l.owner AS owner,
  ${NOW} - l.acquired_at AS ageMs, l.expires_at - ${NOW} AS leftMs`;

// the first SET takes the node's lock; after that no other claim can come between
const CLAIM = `MERGE (l:opsctl_lock {name: 'migrations'})
ON CREATE SET l.expires_at = 0
SET l:opsctl_lease, l.name = 'migrations'
WITH l, l.holder AS former, l.owner AS formerOwner, (l.expires_at < ${NOW} OR l.holder = $holder) AS free
FOREACH (_ IN CASE WHEN free THEN [1] ELSE [] END |
  SET l.holder = $holder, l.owner = $owner, l.acquired_at = ${NOW}, l.expires_at = ${NOW} + $lease)
RETURN former, formerOwner, ${STATE}`;

const LOOK = `MATCH (l:opsctl_lock {name: 'migrations'}) RETURN ${STATE}`;

/**
 * Takes the node's lock, which keeps others from claiming until the transaction is over, and only then looks who has the lock: a condition
 * that is read while another transaction waits to commit tells what was. No row: somebody else has it. A change of the schema throws
 * away the plans of all queries, so what is part of the next one must be cheap to plan: a label without an index.
 */
const MINE = "MATCH (l:opsctl_lease) SET l.name = 'migrations' WITH l WHERE l.holder = $holder";
/** A statement's own time, which is early when it had to wait, only makes the lease shorter. */
export const EXTEND = `${MINE} SET l.expires_at = timestamp() + $lease`;
const RELEASE = `${MINE} SET l.expires_at = 0 REMOVE l.holder, l.owner`;

/** Parameters of EXTEND. */
export function fence({ holder }: Held) {
  return { holder, lease: BigInt(LEASE_MS) };
}

/**
 * Runs `work` while this process has the lock.
 * @throws OpsError `locked` when another runner has it until `waitMs` (or the call's time) are over
 */
export async function withLock<T>(
  call: Call,
  connection: Neo4jConnection,
  waitMs: number,
  work: (held: Held) => Promise<T>,
): Promise<T> {
  const held = await claim(call, connection, waitMs);
  const renewal = setInterval(renewer(call, connection, held), RENEW_MS).unref();
  try {
    return await work(held);
  } finally {
    clearInterval(renewal);
    await release(call, connection, held);
  }
}

async function claim(call: Call, connection: Neo4jConnection, waitMs: number): Promise<Held> {
  // in time to say who has the lock
  const giveUpAt = performance.now() + Math.min(waitMs, call.remainingMs() - POLL_MS);
  const holder = randomUUID();
  const remind = reminder(call, connection);
  for (;;) {
    throwIfAborted(call);
    const sentAt = performance.now();
    const claimed = await tryClaim(call, connection, holder);
    if (claimed?.holder === holder) {
      const { former, formerOwner } = claimed;
      if (former !== null && former !== holder) {
        const ended = await endTransactions(call, connection, former, "any");
        const where = connection.place.where;
        const rest = ended === 0 ? "" : `, and ended ${ended} of its transactions`;
        call.log(
          "WARNING",
          `took the lock of migrations of Neo4j at ${where} from ${formerOwner}, whose lease was over${rest}`,
        );
      }
      return { holder, confirmedAt: sentAt };
    }
    const state = await whileHeld(call, connection, giveUpAt, remind);
    if (performance.now() + POLL_MS > giveUpAt) throw lockedBy(connection, state);
    // its lease is over and yet it has the node: a process that was stopped in the middle of a transaction
    if (!claimed && state?.holder) await endTransactions(call, connection, state.holder, "idle");
  }
}

/** Undefined: a transaction of the holder has the node, so that the lock is not free. */
async function tryClaim(
  call: Call,
  connection: Neo4jConnection,
  holder: string,
): Promise<Claimed | undefined> {
  const params = { holder, owner: `${call.actor} (pid ${process.pid})`, lease: BigInt(LEASE_MS) };
  const patience = { statementMs: CLAIM_MS, runner: holder, isRepeatable: true };
  let claimed: Claimed | undefined;
  try {
    await connection.transact(call, patience, async ({ run }) => {
      [claimed] = await run<Claimed>(CLAIM, params);
    });
  } catch (error) {
    const isBlocked = error instanceof OpsError && error.code === "failed" && error.cause instanceof NoAnswer;
    if (!isBlocked) throw error;
  }
  return claimed;
}

/** Looks again and again, which writes nothing, until the lease or the wait is over. Returns what it saw last. */
async function whileHeld(
  call: Call,
  connection: Neo4jConnection,
  giveUpAt: number,
  onHeld: (state: LockState) => void,
): Promise<LockState | undefined> {
  for (;;) {
    const [state] = await connection.read<LockState>(call, LOOK);
    if (!state || state.leftMs < 0) return state;
    onHeld(state);
    if (performance.now() + POLL_MS > giveUpAt) return state;
    await delay(POLL_MS, undefined, { signal: call.signal }).catch(() => throwIfAborted(call));
  }
}

function reminder(call: Call, connection: Neo4jConnection): (state: LockState) => void {
  let due = Number.NEGATIVE_INFINITY;
  return (state) => {
    if (performance.now() < due) return;
    due = performance.now() + REMIND_MS;
    call.log("WARNING", `waiting: Neo4j at ${connection.place.where} ${described(state)}`);
  };
}

const OF_RUNNER = `SHOW TRANSACTIONS YIELD transactionId, metaData, currentQuery WHERE metaData.opsctl_runner = $holder
RETURN transactionId AS id, currentQuery = '' AS isIdle`;

/**
 * Ends what a holder that let its lease run out still has open: a stopped process is not gone, its statement would go on beside ours, and its
 * locks would stay. Its next own write fails, with or without this.
 * @param which idle: those whose client sends nothing
 * @returns how many
 */
async function endTransactions(
  call: Call,
  connection: Neo4jConnection,
  holder: string,
  which: "any" | "idle",
): Promise<number> {
  const open = await connection.read<{ id: string; isIdle: boolean }>(call, OF_RUNNER, { holder });
  const ids = open.filter(({ isIdle }) => isIdle || which === "any").map(({ id }) => id);
  if (ids.length > 0) await connection.read(call, "TERMINATE TRANSACTIONS $ids", { ids });
  return ids.length;
}

/**
 * Extends the lease in a transaction; what the transaction writes is thereby fenced.
 * @throws OpsError as `lostLock`
 */
export async function extendLease(run: Run, connection: Neo4jConnection, held: Held): Promise<void> {
  const sentAt = performance.now();
  const rows = await run(`${EXTEND} RETURN 1 AS held`, fence(held));
  if (rows.length === 0) throw lostLock(connection, (await run<LockState>(LOOK))[0]);
  held.confirmedAt = sentAt;
}

/** Renews one time after the other, on a connection of its own: the statements may keep theirs busy for long. */
function renewer(call: Call, connection: Neo4jConnection, held: Held): () => void {
  let isUnderWay = false;
  return () => {
    if (isUnderWay) return;
    isUnderWay = true;
    connection
      .aside()
      .write(call, (run) => extendLease(run, connection, held))
      .catch((error: OpsError) => {
        // a transaction of ours may have the node, and nobody gets past it; what is lost is found out before the next write
        const silentMs = performance.now() - held.confirmedAt;
        const level = silentMs > LEASE_MS && !call.signal.aborted ? "WARNING" : "DEBUG";
        call.log(level, "the lock of migrations of Neo4j was not renewed", { code: error.code });
      })
      .finally(() => {
        isUnderWay = false;
      });
  };
}

/** @throws OpsError `locked` when the last renewal is so long ago that the lease may be over: this process was stopped */
export function refuseStale({ place }: Neo4jConnection, { confirmedAt }: Held): void {
  const silentMs = performance.now() - confirmedAt;
  if (silentMs < LEASE_MS - POLL_MS) return;
  const what = `may have another runner of migrations: this one was stopped for ${Math.round(silentMs / 1000)} s`;
  throw failure("locked", place, what, RUN_AGAIN);
}

const RUN_AGAIN = "run the command again: it goes on where this one stopped";

/**
 * OpsError `locked`: somebody else has the lock; `integrity`: it is gone, and with it, most likely, the history.
 */
export function lostLock({ place }: Neo4jConnection, state: LockState | undefined): OpsError {
  if (!state) return historyLost({ place });
  const what = `has another runner of migrations${state.owner ? `, ${state.owner}` : ""}: this one was silent for too long and lost the lock`;
  return failure("locked", place, what, RUN_AGAIN);
}

/** A call that outlives the interruption of another one, for a moment. */
export function lastWords(call: Call): Call {
  return { ...call, signal: AbortSignal.timeout(LAST_WORDS_MS), remainingMs: () => LAST_WORDS_MS };
}

async function release(call: Call, connection: Neo4jConnection, held: Held): Promise<void> {
  try {
    await connection.save(lastWords(call), RELEASE, { holder: held.holder });
  } catch (error) {
    // the work is done; the lease runs out by itself
    const code = error instanceof OpsError ? error.code : "failed";
    const what = `the lock of migrations of Neo4j could not be released; it ends within ${LEASE_MS / 1000} s`;
    call.log("WARNING", what, { code });
  }
}

function lockedBy({ place }: Neo4jConnection, state: LockState | undefined): OpsError {
  const hint = `wait for it; a runner that died frees the lock within ${LEASE_MS / 1000} s`;
  return failure("locked", place, described(state), hint);
}

function described(state: LockState | undefined): string {
  const seconds = (ms: number) => `${Math.max(0, Math.round(ms / 1000))} s`;
  if (!state?.owner) return "is being migrated by another runner";
  return `is being migrated by ${state.owner} for ${seconds(state.ageMs)}; its lease ends in ${seconds(state.leftMs)} unless it renews it`;
}
