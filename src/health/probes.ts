/** Asks all configured engines at once; health and stats share it. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { abortError, type Call, createCall } from "../call.ts";
import { type EngineName, type ErrorCode, OpsError, toOpsError } from "../errors.ts";
import type { Probe } from "./port.ts";

/** One configured engine. `probe` may connect; it is called once. */
export interface EngineProbe {
  name: EngineName;
  title: string;
  probe: () => Promise<Probe>;
}

export type DatabaseState = "connected" | "disconnected" | "not configured" | "not asked";

export interface EngineReport {
  engine: EngineName;
  status: DatabaseState;
  version: string | null;
  /** Round trip of one trivial query on an open connection, ms. */
  latency_ms: number | null;
  /** Why it is disconnected. */
  code: ErrorCode | null;
  message: string | null;
  /** Of `--deep`; null: not asked for, or it is disconnected. */
  write_test: WriteTest | null;
}

/** A value that was set, read back and deleted. */
export interface WriteTest {
  ok: boolean;
  /** Until it was over, ms. */
  duration_ms: number;
  /** Why it failed. */
  message: string | null;
}

/** All engines in the order in which they are listed. */
const ENGINE_ORDER: readonly EngineName[] = ["neo4j", "postgres", "redis", "sqlite"];

/** Kept of the call's own time, so that the answer comes before its deadline. */
const RESERVE_MS = 100;

/**
 * A report for each engine, configured or not, in a fixed order. The probes run side by side and each has `budgetMs`
 * (less when the call ends earlier): a frozen server costs the budget once and hides no other.
 * @param isDeep with each engine's write test, within the same budget
 * @param configured engines that are, whether asked or not
 * @throws OpsError only when the call is interrupted
 */
export async function probeAll(
  call: Call,
  probes: readonly EngineProbe[],
  budgetMs: number,
  isDeep = false,
  configured: readonly EngineName[] = [],
): Promise<EngineReport[]> {
  const limitMs = Math.max(1, Math.min(budgetMs, call.remainingMs() - RESERVE_MS));
  const asking: Promise<EngineReport>[] = [];
  for (const probe of probes) {
    const answer = report(call, probe, limitMs, isDeep);
    // looked at below
    answer.catch(() => {});
    asking.push(answer);
    // loading a driver blocks: the first server is on its way to an answer while the next driver is loaded
    await nextTurn();
  }
  const asked = await Promise.all(asking);
  return ENGINE_ORDER.map(
    (engine) =>
      asked.find((one) => one.engine === engine) ??
      unasked(engine, configured.includes(engine) ? "not asked" : "not configured"),
  );
}

async function report(
  call: Call,
  engine: EngineProbe,
  limitMs: number,
  isDeep: boolean,
): Promise<EngineReport> {
  const { name, title, probe } = engine;
  const startedAt = performance.now();
  try {
    const opened = await within(call, limitMs, title, async (own) => {
      const port = await probe();
      return { port, ...(await port.probe(own)) };
    });
    const { port, version, latency_ms } = opened;
    const leftMs = Math.max(1, limitMs - (performance.now() - startedAt));
    const write_test = isDeep ? await writeTest(call, port, leftMs, title) : null;
    return { engine: name, status: "connected", version, latency_ms, code: null, message: null, write_test };
  } catch (error) {
    if (call.signal.aborted) throw abortError(call.signal.reason);
    const { code, message } = toOpsError(error);
    return { ...unasked(name, "disconnected"), code, message };
  }
}

async function writeTest(call: Call, port: Probe, limitMs: number, title: string): Promise<WriteTest> {
  const startedAt = performance.now();
  const took = () => performance.now() - startedAt;
  try {
    await within(call, limitMs, title, (own) => port.selfTest(own));
    return { ok: true, duration_ms: took(), message: null };
  } catch (error) {
    if (call.signal.aborted) throw abortError(call.signal.reason);
    return { ok: false, duration_ms: took(), message: toOpsError(error).message };
  }
}

function unasked(engine: EngineName, status: DatabaseState): EngineReport {
  return { engine, status, version: null, latency_ms: null, code: null, message: null, write_test: null };
}

/**
 * The work's result within `limitMs`, else `unreachable`. The work is told through its call's signal, but not trusted to
 * listen: what comes later is dropped.
 */
async function within<T>(
  call: Call,
  limitMs: number,
  title: string,
  work: (own: Call) => Promise<T>,
): Promise<T> {
  const over = new AbortController();
  const signal = AbortSignal.any([call.signal, over.signal]);
  const { actor, progress, log } = call;
  const own = createCall({ actor, signal, timeoutMs: limitMs + RESERVE_MS, progress, log });
  const { promise: ended, reject } = Promise.withResolvers<never>();
  signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  const late = new OpsError({
    code: "unreachable",
    message: `${title} gave no answer within ${Math.round(limitMs)} ms`,
  });
  const timer = setTimeout(() => over.abort(late), limitMs);
  if (signal.aborted) reject(signal.reason);
  try {
    return await Promise.race([work(own), ended]);
  } finally {
    clearTimeout(timer);
  }
}
