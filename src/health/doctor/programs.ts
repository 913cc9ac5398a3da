/** Programs of this host, asked for a moment. */
import { abortError, type Call, createCall } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { StackScope } from "./scope.ts";

/** A Docker that hangs must not take the time of the other checks, ms. */
const LIMIT_MS = 4_000;

export type Answer = { text: string } | { error: string; isMissing: boolean };

/** What a program prints, or why it does not. @throws OpsError only when the call itself is over */
export async function answerOf(
  call: Call,
  scope: StackScope,
  file: string,
  args: readonly string[],
  limitMs = LIMIT_MS,
): Promise<Answer> {
  const { actor, signal, log } = call;
  const own = createCall({ actor, signal, log, timeoutMs: Math.min(limitMs, call.remainingMs()) });
  try {
    return { text: await scope.ask(own, file, args) };
  } catch (error) {
    if (call.signal.aborted) throw abortError(call.signal.reason);
    if (!(error instanceof OpsError)) throw error;
    if (own.signal.aborted) return { error: `${file} gave no answer within ${limitMs} ms`, isMissing: false };
    return { error: error.message, isMissing: error.message.includes("not on PATH") };
  }
}
