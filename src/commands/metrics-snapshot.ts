import { existsSync } from "node:fs";
import { isGood, latest, listArchives } from "../backup/archives.ts";
import { isDrilled } from "../backup/drilled.ts";
import { timeline, timeOf } from "../backup/timeline.ts";
import { abortError } from "../call.ts";
import { type Degraded, type EngineName, toOpsError } from "../errors.ts";
import { type Figures, readFigures } from "../health/figures.ts";
import { checkHealth, type HealthReport } from "../health/health.ts";
import {
  type ArchiveFigures,
  MOST_ROWS,
  type QueueFigures,
  type Snapshot,
} from "../health/metrics/family.ts";
import { readOperations } from "../health/operation-stats.ts";
import type { EngineProbe } from "../health/probes.ts";
import { collectStats } from "../health/stats.ts";
import { TOOL_VERSION } from "../package.ts";
import { UNFINISHED } from "../restore/journal.ts";
import { archiveFolder } from "./backup-folder.ts";
import type { Context } from "./command.ts";
import { dataFolders, engineProbes } from "./probes.ts";

/** Keys of Redis that are looked at for namespaces: this runs every minute. */
const SAMPLE_KEYS = 10_000;

export interface Taken {
  snapshot: Snapshot;
  /** Engines that gave no answer, or no figures. */
  degraded: Degraded[];
}

/**
 * Reads everything side by side: each engine is probed, and those that answer are asked for their figures at once, so a frozen server costs its
 * budget once and hides no other.
 * @throws OpsError only when the call is interrupted, and `usage` for a configuration that means nothing
 */
export async function takeSnapshot(context: Context): Promise<Taken> {
  const { app, call } = context;
  const startedAt = performance.now();
  const folder = archiveFolder(context, undefined);
  const httpUrl = app.config.text("NEO4J_HTTP_URL");
  const figures = new FigureReader(context);
  const [health, archives, queue, restores, operations] = await Promise.all([
    checkHealth(call, {
      probes: engineProbes(app).map((probe) => figures.after(probe)),
      host: {
        paths: dataFolders(context),
        root: app.config.text("OPSCTL_HOST_ROOT")!,
      },
      budgetMs: app.config.durationMs("OPSCTL_HEALTH_BUDGET"),
      thresholds: app.thresholds,
      deep: false,
      // health refuses an address that is none
      httpUrl: httpUrl !== undefined && URL.canParse(httpUrl) ? httpUrl : undefined,
      unfinishedRestore: async () => null,
    }),
    orNull(context, "archives", () => archiveFigures(folder, app.configured())),
    orNull(context, "queue", () => queueFigures(context)),
    orNull(context, "restores", () => unfinishedRestores(context)),
    // the whole log, whose beginning is a metric too
    readOperations(app.stateFile, 0),
  ]);
  const memory = await orNull(context, "memory", () => memoryCounts(context, health));
  await figures.settled();
  // the engines were asked already; a SQLite file may have been made by that
  const { files } = await collectStats(call, {
    probes: [],
    files: [
      { name: "data", path: app.dataFile },
      { name: "state", path: app.stateFile },
    ],
    budgetMs: 1,
  });
  const away = health.engines.flatMap(({ engine, status, code, message }) =>
    status === "disconnected"
      ? [{ engine, code: code ?? ("unreachable" as const), message: message ?? "no answer" }]
      : [],
  );
  return {
    snapshot: {
      version: TOOL_VERSION,
      at: Date.now(),
      duration_ms: performance.now() - startedAt,
      health,
      figures: figures.read,
      files,
      archives,
      memory,
      queue,
      restores_unfinished: restores,
      operations,
    },
    degraded: [
      ...away,
      ...figures.missing.filter(({ engine }) => away.every((one) => one.engine !== engine)),
    ],
  };
}

/** Asks engines for their figures as soon as they have answered. */
class FigureReader {
  readonly read: Figures = { neo4j: null, postgres: null, redis: null, sqlite: null };
  readonly missing: Degraded[] = [];
  readonly #context: Context;
  readonly #running: Promise<void>[] = [];

  constructor(context: Context) {
    this.#context = context;
  }

  /** The same probe, with the question for figures after it. */
  after(probe: EngineProbe): EngineProbe {
    return {
      ...probe,
      probe: async () => {
        const port = await probe.probe();
        return {
          selfTest: (call) => port.selfTest(call),
          probe: async (call) => {
            try {
              const answer = await port.probe(call);
              this.#running.push(this.#ask(probe.name));
              return answer;
            } catch (error) {
              // it answered, with an error: a Redis that cannot save (MISCONF) says so in its figures
              if (toOpsError(error).code === "failed") this.#running.push(this.#ask(probe.name));
              throw error;
            }
          },
        };
      },
    };
  }

  /** @throws OpsError only when the call is interrupted */
  async settled(): Promise<void> {
    await Promise.all(this.#running);
  }

  async #ask(engine: EngineName): Promise<void> {
    const { app, call } = this.#context;
    const source = { engine, open: () => app.statistics(app.targets[engine]!) };
    const { figures, degraded } = await readFigures(call, [source], {
      top: MOST_ROWS,
      sampleKeys: SAMPLE_KEYS,
    });
    Object.assign(this.read, { [engine]: figures[engine] });
    this.missing.push(...degraded);
  }
}

/** What cannot be read is absent from the metrics, and the log says why. */
async function orNull<T>({ call }: Context, what: string, read: () => Promise<T>): Promise<T | null> {
  try {
    return await read();
  } catch (error) {
    if (call.signal.aborted) throw abortError(call.signal.reason);
    call.log("WARNING", `${what}: not in the metrics`, { reason: toOpsError(error).message });
    return null;
  }
}

async function archiveFigures(folder: string, engines: readonly EngineName[]): Promise<ArchiveFigures> {
  const archives = await listArchives(folder);
  const newest = latest(archives);
  const placed = timeline(archives, Date.now());
  const sets = archives.filter(({ container }) => container !== "file");
  const begun = sets.filter(isGood).map(timeOf);
  const drills = sets
    .filter(isDrilled)
    .map(({ sidecar }) => Date.parse(sidecar!.drill?.at ?? sidecar!.verified!.at));
  return {
    count: archives.length,
    size_bytes: archives.reduce((sum, { size_bytes }) => sum + size_bytes, 0),
    newest: newest ? { created_at_ms: timeOf(newest), size_bytes: newest.size_bytes } : null,
    engines: engines.map((engine) => ({
      engine,
      at_ms: placed.findLast((set) => set.isTrusted && set.engines.has(engine))?.at ?? null,
    })),
    oldest_at_ms: begun.filter((at) => at !== null).sort((a, b) => a - b)[0] ?? null,
    drilled_at_ms: drills.filter(Number.isFinite).sort((a, b) => b - a)[0] ?? null,
  };
}

async function queueFigures({ app, call }: Context): Promise<QueueFigures> {
  const { journal } = app.stores();
  const counts = await journal.counts(call);
  const oldest = await Promise.all(counts.map(({ store }) => journal.waiting(call, store, 0, 1)));
  const times = oldest.flat().map(({ write }) => write.order);
  return {
    waiting: counts.reduce((sum, { waiting }) => sum + waiting, 0),
    rejected: counts.reduce((sum, { rejected }) => sum + rejected, 0),
    oldest_at_ms: times.length === 0 ? null : Math.min(...times),
  };
}

/** Looking makes no state file. */
async function unfinishedRestores({ app, call }: Context): Promise<number> {
  if (!existsSync(app.stateFile)) return 0;
  const restores = await (await app.restoreJournal()).list(call);
  return restores.filter(({ state }) => UNFINISHED.includes(state)).length;
}

/** Null: no store of the memory answers, and what is queued here is not all there is. */
async function memoryCounts({ app, call }: Context, { engines }: HealthReport): Promise<Snapshot["memory"]> {
  const stores = app.stores();
  const keepers = engines.filter(({ engine }) =>
    stores.usesServers ? engine === "neo4j" || engine === "postgres" : engine === "sqlite",
  );
  if (!keepers.some(({ status }) => status === "connected")) return null;
  for (const { engine, status, message } of keepers) {
    // it has had its time: the read need not wait for it again
    if (status === "disconnected") stores.markDown(app.targets[engine]!.identity, new Error(message ?? ""));
  }
  const { value, degraded } = await stores.read(call, (store) => store.counts(call));
  return degraded.length < keepers.filter(({ status }) => status !== "not configured").length ? value : null;
}
