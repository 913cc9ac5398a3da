import { type Call, createCall } from "../../src/call.ts";

/** A call as a command would own it. */
export function testCall(timeoutMs = 30_000): Call {
  return createCall({ actor: "tester@host", timeoutMs, signal: new AbortController().signal });
}

/**
 * A call that takes this long hangs, ms. Limits in tests are 2 s and less, and what is not bounded by them waits for ever; on a busy machine a
 * bounded call may take longer than its limit, but not this long.
 */
export const HANGS_MS = 10_000;
