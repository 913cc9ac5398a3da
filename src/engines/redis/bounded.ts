import { abortError } from "../../call.ts";

/** Nothing came back in time. */
export class NoAnswer extends Error {
  readonly ms: number;

  constructor(ms: number) {
    super(`no answer within ${ms} ms`);
    this.name = "NoAnswer";
    this.ms = ms;
  }
}

/**
 * The work's result, unless `ms` pass or `signal` aborts first. The work itself goes on: whoever started it ends it.
 * ioredis has timeouts of its own, but none around the handshake, and none that follows a signal.
 * @throws NoAnswer after `ms`; OpsError of the signal's reason on abort
 */
export async function bounded<T>(work: Promise<T>, ms: number, signal?: AbortSignal): Promise<T> {
  const { promise: given, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new NoAnswer(ms)), ms);
  const onAbort = () => reject(abortError(signal?.reason));
  if (signal?.aborted) onAbort();
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work, given]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}
