import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import type * as v from "valibot";
import { type Archive, latest, listArchives } from "../backup/archives.ts";
import { lastDrilled } from "../backup/drilled.ts";
import { timeOf } from "../backup/timeline.ts";
import { abortError } from "../call.ts";
import type { stats } from "../contract/stats.ts";
import type { Degraded, EngineName } from "../errors.ts";
import { sizeOfFolder } from "../folders.ts";
import { readOperations } from "../health/operation-stats.ts";
import { collectStats } from "../health/stats.ts";
import { isoTime } from "../output/human.ts";
import { archiveFolder } from "./backup-folder.ts";
import { type Context, duration, integer, type Run, STRICT } from "./command.ts";
import { engineNames, requireConfigured } from "./engines.ts";
import { noteLeftover } from "./leftover.ts";
import { dataScope, engineProbes } from "./probes.ts";
import { noteUnfinished } from "./restore-unfinished.ts";
import { collectFigures, compareWithSamples, type History, queueOf } from "./stats-collect.ts";
import { renderStats } from "./stats-render.ts";

export type Stats = v.InferOutput<typeof stats>;

interface Options {
  watch?: number;
  top: number;
}

const TOP = 10;

export function define(command: Command, run: Run): void {
  command
    .argument("[engines...]", "neo4j, postgres, redis, sqlite or all (default: all that are configured)")
    .option(
      "--watch <duration>",
      "again and again, for example 2s; with --json one object a line",
      duration("--watch"),
    )
    .option("--top <n>", "rows of lists: tables, indexes, labels, namespaces", integer("--top", 1, 1000), TOP)
    .option(...STRICT)
    .addHelpText(
      "after",
      `
On a terminal the figures come in tables with their units; in a pipe one figure a line, its path in the JSON and the raw number. Growth
is against the last sample in the state file; a sample is kept every ten minutes at most, when stats runs.

Examples:
  opsctl stats --json | jq .fixes
  opsctl stats postgres redis --top 5
  opsctl stats | grep ^postgres.connections`,
    )
    .action(run<Options>(show));
}

async function show(context: Context, given: string[], options: Options) {
  const { app } = context;
  const names = engineNames(given, app.configured());
  for (const name of names) requireConfigured(context, name);
  if (options.watch === undefined) {
    await noteLeftover(context);
    await noteUnfinished(context);
    return answer(await collect(context, names, options));
  }
  for (;;) await tick(context, names, options, options.watch);
}

/** One round of `--watch`; a signal or --timeout ends it. */
async function tick(
  context: Context,
  names: readonly EngineName[],
  options: Options,
  everyMs: number,
): Promise<void> {
  const { call, io, globals } = context;
  const { data, render, degraded } = answer(await collect(context, names, options));
  context.clearProgress();
  if (globals.json) await io.out(`${JSON.stringify(data)}\n`);
  else {
    // home, and what was there before away
    if (io.stdoutIsTty) await io.out("\u001b[H\u001b[2J");
    await render(io);
  }
  for (const { engine, message } of degraded) io.note(`${engine} is missing here: ${message}`, "warning:");
  await sleep(everyMs, undefined, { signal: call.signal }).catch(() => {
    throw abortError(call.signal.reason);
  });
}

function answer({ data, sizes }: Gathered) {
  return {
    data,
    render: (io: Context["io"]) => renderStats(io, data, sizes),
    degraded: data.degraded,
  };
}

interface Gathered {
  data: Stats;
  sizes: History["sizes"];
}

async function collect(context: Context, names: readonly EngineName[], { top }: Options): Promise<Gathered> {
  const { app, call } = context;
  const stores = app.stores();
  // side by side: with servers away each of them takes its time
  const [{ value: counts, degraded }, { engines, files }, folders, archives, operations] = await Promise.all([
    stores.read(call, (store) => store.counts(call)),
    collectStats(call, {
      probes: engineProbes(app, [...new Set([...app.configured(), ...names])]),
      files: [
        { name: "data", path: app.dataFile },
        { name: "state", path: app.stateFile },
      ],
      budgetMs: app.config.durationMs("OPSCTL_HEALTH_BUDGET"),
    }),
    dataFolders(context),
    archivesOf(context),
    readOperations(app.stateFile, Date.now() - app.config.durationMs("OPSCTL_KEEP_SAMPLES")),
  ]);
  // whoever is not named is still connected or not: only its figures are left out
  const named = engines.filter(({ engine }) => names.includes(engine));
  const collected = await collectFigures(context, named, top);
  // fewer rows than usual would leave the others without a sample
  const { figures, sizes } = await compareWithSamples(context, collected.figures, top >= TOP);
  const { queue, degraded: unread } = await queueOf(context);
  const missing: Degraded[] = engines
    .filter(({ status }) => status === "disconnected")
    .map(({ engine, code, message }) => ({
      engine,
      code: code ?? "unreachable",
      message: message ?? "no answer",
    }));
  const connected = (name: string) =>
    engines.some(({ engine, status }) => engine === name && status === "connected");
  const configured = app.configured();
  const data: Stats = {
    neo4j_connected: connected("neo4j"),
    // the guides' Memori is the store of the records: PostgreSQL, or the embedded file where no server is configured
    memori_available: connected("postgres") || (!stores.usesServers && connected("sqlite")),
    fixes: counts.fixes,
    agents: counts.agents,
    issues: counts.issues,
    records: counts.records,
    events: counts.events,
    engines: engines.map(({ engine, status, version, latency_ms }) => ({
      engine,
      configured: configured.includes(engine),
      connected: status === "connected",
      target: app.targets[engine]?.shown ?? null,
      version,
      latency_ms,
    })),
    files: [...files, ...folders],
    drilled_backup: archives.drilled,
    queue,
    ...figures,
    archives: archives.all,
    operations,
    degraded: onePerEngine([...degraded, ...missing, ...collected.degraded, ...unread]),
  };
  return { data, sizes };
}

function onePerEngine(degraded: readonly Degraded[]): Degraded[] {
  return degraded.filter(
    ({ engine }, index) => degraded.findIndex((known) => known.engine === engine) === index,
  );
}

/** Entries of a data folder that are looked at: PostgreSQL keeps a file for each table and index. */
const MOST_FILES = 20_000;

/** The data folders of servers on this host; null is the size of one that this user may not read, or that is too large to count. */
async function dataFolders(context: Context): Promise<Stats["files"]> {
  const { dataPaths } = await import("../health/doctor/data-paths.ts");
  const scope = dataScope(context);
  const paths = (await dataPaths(scope)).filter(({ kind }) => kind === "server");
  return Promise.all(
    paths.map(async ({ path, engine }) => ({
      name: `${engine} data`,
      path,
      size_bytes: await sizeOfFolder(join(scope.root, path), MOST_FILES),
    })),
  );
}

async function archivesOf(
  context: Context,
): Promise<{ all: Stats["archives"]; drilled: Stats["drilled_backup"] }> {
  const dir = archiveFolder(context, undefined);
  // a folder that cannot be read is no reason to say nothing of the servers
  const archives = await listArchives(dir).catch(() => []);
  return {
    all: {
      dir,
      count: archives.length,
      size_bytes: archives.reduce((sum, { size_bytes: size }) => sum + size, 0),
      newest_verified: described(latest(archives)),
    },
    drilled: described(lastDrilled(archives)),
  };
}

function described(archive: Archive | undefined): Stats["drilled_backup"] {
  if (archive === undefined) return null;
  const at = timeOf(archive);
  return {
    name: archive.name,
    created_at: at === null ? null : isoTime(at),
    age_ms: at === null ? null : Date.now() - at,
    drilled_at: archive.sidecar?.drill?.at ?? null,
  };
}
