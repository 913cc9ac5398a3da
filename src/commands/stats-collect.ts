import { throwIfAborted } from "../call.ts";
import { type Degraded, type EngineName, toDegraded, toOpsError } from "../errors.ts";
import { type Figures, readFigures } from "../health/figures.ts";
import { keptFigures, newestOf, SAMPLE_INTERVAL_MS, SIZE_METRICS, withGrowth } from "../health/growth.ts";
import type { Sample, SampleStore } from "../health/port.ts";
import type { EngineReport } from "../health/probes.ts";
import type { Context } from "./command.ts";

export interface Collected {
  figures: Figures;
  degraded: Degraded[];
}

/** Keys that are looked at for the namespaces of Redis. */
const SAMPLE_KEYS = 100_000;

/** The figures of those engines that answered. */
export function collectFigures(
  { app, call }: Context,
  engines: readonly EngineReport[],
  top: number,
): Promise<Collected> {
  const sources = engines
    .filter(({ status }) => status === "connected")
    .map(({ engine }) => ({ engine, open: () => app.statistics(app.targets[engine]!) }));
  return readFigures(call, sources, { top, sampleKeys: SAMPLE_KEYS });
}

/** What is known of the time before: growth, and the last sizes for a sparkline, oldest first. */
export interface History {
  figures: Figures;
  sizes: Partial<Record<EngineName, number[]>>;
}

/** How far back a sparkline goes, ms; and its bars. */
const WINDOW_MS = 14 * 86_400_000;
const BARS = 24;

/**
 * Compares figures with the samples of this host, and adds new ones when the last are old enough. A state file that cannot be written costs
 * the growth, not the figures: it is said.
 * @param isKept these figures may become samples
 */
export async function compareWithSamples(
  context: Context,
  figures: Figures,
  isKept: boolean,
): Promise<History> {
  const { app, call, io } = context;
  try {
    const store = await app.samples();
    const now = Date.now();
    const engines = (Object.keys(figures) as EngineName[]).filter((engine) => figures[engine] !== null);
    const samples = new Map<EngineName, Sample[]>();
    for (const engine of engines) {
      samples.set(engine, await store.since(call, app.targets[engine]!.identity, now - WINDOW_MS));
    }
    if (isKept) {
      await keep(context, store, figures, samples, now).catch((error: unknown) => {
        io.note(`no sample was kept: ${toOpsError(error).message}`, "warning:");
      });
    }
    const newest = (engine: EngineName) => newestOf(samples.get(engine) ?? []);
    const sizes = engines.map((engine) => [engine, seriesOf(samples.get(engine)!, SIZE_METRICS[engine])]);
    return {
      figures: withGrowth(figures, { postgres: newest("postgres"), sqlite: newest("sqlite") }),
      sizes: Object.fromEntries(sizes),
    };
  } catch (error) {
    io.note(`growth is not known: ${toOpsError(error).message}`, "warning:");
    return { figures, sizes: {} };
  }
}

async function keep(
  { app, call }: Context,
  store: SampleStore,
  figures: Figures,
  known: ReadonlyMap<EngineName, Sample[]>,
  now: number,
): Promise<void> {
  const kept = keptFigures(figures);
  const samples = (Object.keys(kept) as EngineName[]).flatMap((engine) => {
    const last = known.get(engine)?.at(-1)?.at ?? 0;
    // a clock that was set back must not end the sampling
    if (last <= now && now - last < SAMPLE_INTERVAL_MS) return [];
    const target = app.targets[engine]!.identity;
    return kept[engine]!.flatMap(([metric, value]) =>
      value === null ? [] : [{ at: now, target, metric, value }],
    );
  });
  if (samples.length > 0) await store.add(call, samples);
}

/** At most 24 values, evenly taken, the newest last. */
function seriesOf(samples: readonly Sample[], metric: string): number[] {
  const values = samples.filter((sample) => sample.metric === metric).map(({ value }) => value);
  const step = Math.max(1, Math.ceil(values.length / BARS));
  return values.filter((_, index) => (values.length - 1 - index) % step === 0);
}

/** What waits in the queue of this host; of a state file that cannot be read nothing is known, and it is missing. */
export async function queueOf({ app, call }: Context) {
  try {
    const rows = await app.stores().journal.counts(call);
    const sum = (state: "waiting" | "rejected") => rows.reduce((total, row) => total + row[state], 0);
    return { queue: { waiting: sum("waiting"), rejected: sum("rejected") }, degraded: [] };
  } catch (error) {
    throwIfAborted(call);
    return { queue: { waiting: 0, rejected: 0 }, degraded: [toDegraded("sqlite", error)] };
  }
}
