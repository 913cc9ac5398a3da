import { abortError, type Call } from "../call.ts";
import { type EngineName, OpsError } from "../errors.ts";

/** How often it looks, as a share of the time that a part may be silent. */
const LOOKS = 8;

/** The call of one part, which a watchdog ends when nothing is heard of the part any more. */
export interface Watch {
  call: Call;
  /** While it is held, silence is not the part's: the disk takes its time. */
  hold(): () => void;
  /** The work's result, or what ends the call, whichever comes first: a frozen server must not hold the others. */
  until<T>(work: Promise<T>): Promise<T>;
  end(): void;
}

/**
 * @param stallMs after which silence counts as the end of the part's server
 * @param outer aborted when the run ends early
 */
export function watch(
  call: Call,
  outer: AbortSignal,
  stallMs: number,
  engine: EngineName,
  source: string,
): Watch {
  const own = new AbortController();
  const signal = AbortSignal.any([call.signal, outer, own.signal]);
  let heardAt = performance.now();
  let lookedAt = heardAt;
  let holds = 0;
  const every = Math.max(100, stallMs / LOOKS);
  const alive = () => {
    heardAt = performance.now();
  };
  const timer = setInterval(() => {
    const now = performance.now();
    // this process slept or was busy: the silence is its own
    if (holds > 0 || now - lookedAt > 2 * every) heardAt = now;
    lookedAt = now;
    if (now - heardAt < stallMs) return;
    own.abort(
      new OpsError({
        code: "unreachable",
        engine,
        message: `${source} has sent nothing for ${Math.round(stallMs / 1000)} s`,
        hint: "look after the server; OPSCTL_BACKUP_STALL is how long a backup waits",
      }),
    );
  }, every);
  const { promise: ended, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(abortError(signal.reason));
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort, { once: true });
  ended.catch(() => {});
  return {
    call: {
      ...call,
      signal,
      progress: alive,
      remainingMs: () => call.remainingMs(),
      log: (...args) => call.log(...args),
    },
    hold() {
      holds += 1;
      return () => {
        holds -= 1;
        alive();
      };
    },
    until: (work) => Promise.race([work, ended]),
    end() {
      clearInterval(timer);
      signal.removeEventListener("abort", onAbort);
    },
  };
}
