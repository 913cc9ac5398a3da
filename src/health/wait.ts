import { setTimeout as sleep } from "node:timers/promises";
import { abortError, type Call, createCall } from "../call.ts";
import type { EngineName, ErrorCode } from "../errors.ts";
import { type EngineProbe, probeAll } from "./probes.ts";

export interface Waited {
  engine: EngineName;
  ready: boolean;
  version: string | null;
  attempts: number;
  /** Until it answered, ms. */
  duration_ms: number | null;
  /** Why the last attempt failed. */
  code: ErrorCode | null;
  message: string | null;
}

/** Between two attempts, ms. */
const PAUSE_MS = 200;
/**
 * After a refused password, ms: a server that starts may not know its users yet, and one that counts wrong logins (Neo4j: three, then none
 * for 5 s, for nobody) must not be made to refuse others.
 */
const AUTH_PAUSE_MS = 6_000;
/** An attempt that takes longer is given up and made again: a server that starts may accept and not answer. */
const ATTEMPT_MS = 3_000;

/**
 * Asks each engine again and again, all side by side, until it answers a real query or `timeoutMs` have passed.
 * @throws OpsError only when the call is interrupted
 */
export async function waitFor(
  call: Call,
  probes: readonly EngineProbe[],
  timeoutMs: number,
): Promise<Waited[]> {
  const { actor, signal, progress, log } = call;
  const own = createCall({ actor, signal, timeoutMs, progress, log });
  const startedAt = performance.now();
  return Promise.all(probes.map((probe) => waitForOne(call, own, probe, startedAt)));
}

async function waitForOne(call: Call, own: Call, probe: EngineProbe, startedAt: number): Promise<Waited> {
  let last: Pick<Waited, "code" | "message"> = { code: null, message: null };
  for (let attempts = 1; ; attempts++) {
    const engine = probe.name;
    const attemptMs = Math.min(ATTEMPT_MS, own.remainingMs());
    const reports = await probeAll(call, [probe], attemptMs);
    const { status, version, code, message } = reports.find((report) => report.engine === engine)!;
    const ready = status === "connected";
    // an attempt that the deadline cut short says less than the one before it
    if (ready || attemptMs === ATTEMPT_MS || last.code === null) last = { code, message };
    const pauseMs = code === "auth" ? AUTH_PAUSE_MS : PAUSE_MS;
    if (!ready && own.remainingMs() > pauseMs) {
      own.progress({ label: `waiting for ${engine}`, done: attempts, unit: "checks" });
      await pause(call, pauseMs);
      continue;
    }
    // to the deadline: what takes the answer may rely on it
    if (!ready) await pause(call, own.remainingMs());
    const duration_ms = ready ? Math.round(performance.now() - startedAt) : null;
    return { engine, ready, version, attempts, duration_ms, ...last };
  }
}

async function pause(call: Call, ms: number): Promise<void> {
  await sleep(ms, undefined, { signal: call.signal }).catch(() => {
    throw abortError(call.signal.reason);
  });
}
