import { basename } from "node:path";
import { type Call, createCall, throwIfAborted } from "../../call.ts";
import { useThread } from "./backup-thread.ts";
import type { StopFlag } from "./backup-worker.ts";
import type { Replaced } from "./restore-live.ts";

/** How long a restore waits for the programs that have a file open. */
const LOCK_WAIT_MS = 60_000;

/**
 * Copies one file into another in the other thread. When the call ends, it ends, too, before this returns: whoever goes on finds the file as it
 * was, or replaced.
 * @throws as `replaceContent`, or the call's reason
 */
export async function replaceWhile(call: Call, from: string, to: string): Promise<Replaced> {
  throwIfAborted(call);
  const thread = useThread("copying");
  const stop: StopFlag = new Int32Array(new SharedArrayBuffer(4));
  const onAbort = () => Atomics.store(stop, 0, 1);
  call.signal.addEventListener("abort", onAbort, { once: true });
  // the work is stopped by the flag, and waited for
  const patient = createCall({
    actor: call.actor,
    signal: new AbortController().signal,
    progress: call.progress,
    log: call.log,
  });
  try {
    const waitMs = Math.min(LOCK_WAIT_MS, call.remainingMs() / 2);
    return await thread.ask(patient, `restoring ${basename(to)}`, "replace", from, to, waitMs, stop);
  } catch (error) {
    throwIfAborted(call);
    throw error;
  } finally {
    call.signal.removeEventListener("abort", onAbort);
    thread.release();
  }
}
