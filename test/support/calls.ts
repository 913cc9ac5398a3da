import { type Call, createCall } from "../../src/call.ts";

/** A call as a command would own it. */
export function testCall(timeoutMs = 30_000): Call {
  return createCall({ actor: "tester@host", timeoutMs, signal: new AbortController().signal });
}
