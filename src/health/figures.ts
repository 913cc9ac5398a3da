import { bounded, NoAnswer } from "../bounded.ts";
import { abortError, type Call, createCall } from "../call.ts";
import { type Degraded, type EngineName, OpsError, toDegraded } from "../errors.ts";
import type { Statistics, StatisticsOptions, StatsOf } from "./port.ts";

/** One target whose figures are wanted. `open` may connect; it is called once. */
export interface FiguresSource {
  engine: EngineName;
  open: () => Promise<Statistics>;
}

/** The figures of each engine; null: not asked for, or no answer. */
export type Figures = { [E in EngineName]: StatsOf[E] | null };

/** Time for the figures of one engine that answers, ms: a scrape of Prometheus waits 10 s. */
const LIMIT_MS = 9_000;

/**
 * Reads the figures of several engines side by side. One that does not answer, or not in time, is in `degraded`; it hides no other.
 * @throws OpsError only when the call is interrupted
 */
export async function readFigures(
  call: Call,
  sources: readonly FiguresSource[],
  options: StatisticsOptions,
  limitMs = LIMIT_MS,
): Promise<{ figures: Figures; degraded: Degraded[] }> {
  const figures: Figures = { neo4j: null, postgres: null, redis: null, sqlite: null };
  const degraded: Degraded[] = [];
  const { actor, signal, progress, log } = call;
  await Promise.all(
    sources.map(async ({ engine, open }) => {
      const timeoutMs = Math.max(1, Math.min(limitMs, call.remainingMs()));
      const own = createCall({ actor, signal, timeoutMs, progress, log });
      try {
        const work = open().then((statistics) => statistics.read(own, options));
        Object.assign(figures, { [engine]: await bounded(work, timeoutMs, signal) });
      } catch (error) {
        if (signal.aborted) throw abortError(signal.reason);
        degraded.push(toDegraded(engine, error instanceof NoAnswer ? tooSlow(engine, error) : error));
      }
    }),
  );
  return { figures, degraded };
}

function tooSlow(engine: EngineName, { ms }: NoAnswer): OpsError {
  return new OpsError({
    code: "unreachable",
    engine,
    message: `${engine} answered, but not with its figures within ${ms} ms`,
  });
}
