import { abortError } from "./call.ts";

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
 * The work's result, unless `ms` pass or `signal` aborts first. The work itself goes on: whoever started it
 * ends it. The driver's own timeouts leave out the Bolt handshake and a server that stops in the middle of an
 * answer.
 * @throws NoAnswer after `ms`; OpsError of the signal's reason on abort
 */
export async function bounded<T>(work: Promise<T>, ms: number, signal?: AbortSignal): Promise<T> {
  const { promise: given, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new NoAnswer(Math.round(ms))), ms);
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
