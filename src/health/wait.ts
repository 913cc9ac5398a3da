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
/** An attempt that takes longer is given up and made again: a server that starts may accept and not answer. */
const ATTEMPT_MS = 3_000;

/**
 * Asks each engine again and again, all side by side, until it answers a real query or `timeoutMs` have passed. A refused password is asked
 * again, too: a server that starts may not know its users yet.
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
  for (let attempts = 1; ; attempts++) {
    const engine = probe.name;
    const attemptMs = Math.min(ATTEMPT_MS, own.remainingMs());
    const reports = await probeAll(call, [probe], attemptMs);
    const { status, version, code, message } = reports.find((report) => report.engine === engine)!;
    const ready = status === "connected";
    if (ready || own.remainingMs() <= PAUSE_MS) {
      const duration_ms = ready ? Math.round(performance.now() - startedAt) : null;
      return { engine, ready, version, attempts, duration_ms, code, message };
    }
    own.progress({ label: `waiting for ${engine}`, done: attempts, unit: "checks" });
    await sleep(PAUSE_MS, undefined, { signal: call.signal }).catch(() => {
      throw abortError(call.signal.reason);
    });
  }
}
