import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { type Call, throwIfAborted } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { Neo4jConnection, Run } from "./connect.ts";
import { failure } from "./errors.ts";

/** A holder that died frees the lock after this long. */
const LEASE_MS = 30_000;
const RENEW_MS = 10_000;
const POLL_MS = 250;
/** Longest wait for another runner. */
const MAX_WAIT_MS = 60_000;

/**
 * Our claim; the token grows with every new holder, so that a holder that slept too long can be told (a
 * fencing token).
 */
export interface Held {
  holder: string;
  token: number;
}

interface LockState {
  holder: string | null;
  owner: string | null;
  token: number;
  ageMs: number;
}

// the SET first takes the node's lock; after that no other claim can come between; the clock is the server's
const CLAIM = `MERGE (l:opsctl_lock {name: 'migrations'})
ON CREATE SET l.token = 0, l.expires_at = 0
SET l.name = 'migrations'
WITH l, (l.expires_at < timestamp() OR l.holder = $holder) AS free
FOREACH (_ IN CASE WHEN free THEN [1] ELSE [] END |
  SET l.token = CASE WHEN l.holder = $holder THEN l.token ELSE l.token + 1 END,
    l.holder = $holder, l.owner = $owner, l.acquired_at = timestamp(), l.expires_at = timestamp() + $lease)
RETURN l.holder AS holder, l.owner AS owner, l.token AS token, timestamp() - l.acquired_at AS ageMs`;

const RENEW = `MATCH (l:opsctl_lock {name: 'migrations', holder: $holder, token: $token})
SET l.expires_at = timestamp() + $lease RETURN 1 AS held`;

const RELEASE = `MATCH (l:opsctl_lock {name: 'migrations', holder: $holder, token: $token})
SET l.expires_at = 0 REMOVE l.holder, l.owner`;

/**
 * Waits for the lock node and takes it.
 * @throws OpsError `locked` when another runner holds it until the wait (60 s, or the call's time) is over
 */
export async function claimLock(call: Call, connection: Neo4jConnection): Promise<Held> {
  const holder = randomUUID();
  const giveUpAt = performance.now() + Math.min(call.remainingMs(), MAX_WAIT_MS);
  for (;;) {
    throwIfAborted(call);
    const params = { holder, owner: call.actor, lease: BigInt(LEASE_MS) };
    const [state] = await connection.write(call, (run) => run<LockState>(CLAIM, params));
    if (state!.holder === holder) return { holder, token: state!.token };
    if (performance.now() + POLL_MS > giveUpAt) throw lockedBy(connection, state!);
    await delay(POLL_MS, undefined, { signal: call.signal }).catch(() => throwIfAborted(call));
  }
}

/**
 * Extends the lease inside a transaction; what the transaction writes beside it is thereby fenced.
 * @throws OpsError `locked` when somebody else has taken the lock meanwhile
 */
export async function extendLease(run: Run, { place }: Neo4jConnection, held: Held): Promise<void> {
  const rows = await run(RENEW, { ...params(held), lease: BigInt(LEASE_MS) });
  if (rows.length > 0) return;
  throw failure(
    "locked",
    place,
    "has another runner of migrations: this one was silent for too long and lost the lock",
    "run opsctl init neo4j again; what is done is not done twice",
  );
}

export async function releaseLock(call: Call, connection: Neo4jConnection, held: Held): Promise<void> {
  try {
    await connection.write(call, (run) => run(RELEASE, params(held)));
  } catch (error) {
    // the work is done; the lease runs out by itself
    const code = error instanceof OpsError ? error.code : "failed";
    call.log(
      "WARNING",
      `the migration lock of Neo4j could not be released; it ends within ${LEASE_MS / 1000} s`,
      { code },
    );
  }
}

/** Renews the lease until `stop`; a renewal that fails is noticed when the next statement is recorded. */
export function keepLock(call: Call, connection: Neo4jConnection, held: Held): { stop(): void } {
  const timer = setInterval(() => {
    connection
      .write(call, (run) => extendLease(run, connection, held))
      .catch((error: OpsError) =>
        call.log("WARNING", "the migration lock of Neo4j was not renewed", { code: error.code }),
      );
  }, RENEW_MS).unref();
  return { stop: () => clearInterval(timer) };
}

function params({ holder, token }: Held) {
  return { holder, token: BigInt(token) };
}

function lockedBy({ place }: Neo4jConnection, { owner, ageMs }: LockState): OpsError {
  const what = `is being migrated by ${owner ?? "another runner"} for ${Math.round(ageMs / 1000)} s`;
  return failure(
    "locked",
    place,
    what,
    `wait for it; a runner that died frees the lock after ${LEASE_MS / 1000} s`,
  );
}
