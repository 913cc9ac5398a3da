import { isConnectionLoss, isTransient } from "./errors.ts";

/** How far one attempt at a piece of work is. */
export interface Phase {
  /** A commit was sent and its answer has not come. */
  outcomeUnknown: boolean;
  /** Not idempotent: nothing that may have happened is done again. */
  once: boolean;
  /** What the server is told that the transaction may take, ms. */
  timeout: number;
  /** What SHOW TRANSACTIONS shows of it. */
  metadata?: Record<string, string>;
  losses: number;
  tries: number;
}

/** Spread, so that two writers which met in a deadlock do not meet again. */
const BASE_DELAY_MS = 10;
const MAX_DELAY_MS = 500;

/**
 * Milliseconds to wait before the work is done again, or undefined when it should not be: after a deadlock
 * and the like until `deadline` (performance.now()), after a lost connection once. All our writes carry ids
 * of their own, so that a commit whose answer was lost may be repeated (neo4j-java-driver 593 says why others
 * may not).
 */
export function retryDelay(error: unknown, phase: Phase, deadline: number): number | undefined {
  const transient = isTransient(error);
  // the server answered: what it refused was rolled back
  if (transient) phase.outcomeUnknown = false;
  const lost = isConnectionLoss(error);
  if (lost) phase.losses += 1;
  if (!transient && !(lost && phase.losses === 1 && !phase.once)) return undefined;
  phase.tries += 1;
  const delay = Math.min(MAX_DELAY_MS, BASE_DELAY_MS * 2 ** phase.tries) * (0.5 + Math.random());
  return performance.now() + delay < deadline ? delay : undefined;
}
