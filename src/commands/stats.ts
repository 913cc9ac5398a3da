import type { Command } from "commander";
import type * as v from "valibot";
import { type Archive, listArchives } from "../backup/archives.ts";
import { lastDrilled } from "../backup/drilled.ts";
import { timeOf } from "../backup/timeline.ts";
import type { stats } from "../contract/operations.ts";
import type { Degraded } from "../errors.ts";
import { collectStats } from "../health/stats.ts";
import { age, bytes, isoTime } from "../output/human.ts";
import { type Column, printTable } from "../output/table.ts";
import { archiveFolder } from "./backup-folder.ts";
import { type Context, type Run, STRICT } from "./command.ts";
import { noteLeftover } from "./leftover.ts";
import { engineProbes } from "./probes.ts";
import { noteUnfinished } from "./restore-unfinished.ts";

type Stats = v.InferOutput<typeof stats>;

export function define(command: Command, run: Run): void {
  command
    .option(...STRICT)
    .addHelpText("after", "\nExample:\n  opsctl stats --json | jq .fixes")
    .action(run(show));
}

async function show(context: Context) {
  const { app, call } = context;
  const stores = app.stores();
  // side by side: with servers away each of them takes its time
  const [{ value: counts, degraded }, { engines, files }] = await Promise.all([
    stores.read(call, (store) => store.counts(call)),
    collectStats(call, {
      probes: engineProbes(app),
      files: [
        { name: "data", path: app.dataFile },
        { name: "state", path: app.stateFile },
      ],
    }),
  ]);
  await noteLeftover(context);
  await noteUnfinished(context);
  const waiting = await stores.journal.counts(call);
  const missing: Degraded[] = engines
    .filter(
      ({ status, engine }) => status === "disconnected" && degraded.every((known) => known.engine !== engine),
    )
    .map(({ engine, code, message }) => ({
      engine,
      code: code ?? "unreachable",
      message: message ?? "no answer",
    }));
  const connected = (name: string) =>
    engines.some(({ engine, status }) => engine === name && status === "connected");
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
      configured: status !== "not configured",
      connected: status === "connected",
      target: app.targets[engine]?.shown ?? null,
      version,
      latency_ms,
    })),
    files,
    drilled_backup: await drilledBackup(context),
    queue: {
      waiting: waiting.reduce((sum, row) => sum + row.waiting, 0),
      rejected: waiting.reduce((sum, row) => sum + row.rejected, 0),
    },
    degraded: [...degraded, ...missing],
  };
  return {
    data,
    render: (io: Context["io"]) => printTable(io, COLUMNS, rowsOf(data)),
    degraded: data.degraded,
  };
}

async function drilledBackup(context: Context): Promise<Stats["drilled_backup"]> {
  let archive: Archive | undefined;
  try {
    archive = lastDrilled(await listArchives(archiveFolder(context, undefined)));
  } catch {
    // a folder that cannot be read is no reason to say nothing of the servers
  }
  if (archive === undefined) return null;
  const at = timeOf(archive);
  return {
    name: archive.name,
    created_at: at === null ? null : isoTime(at),
    age_ms: at === null ? null : Date.now() - at,
    drilled_at: archive.sidecar?.drill?.at ?? null,
  };
}

interface Row {
  name: string;
  value: string | number | null;
  shown: string;
}

/** Columns of `stats`: name, value. */
const COLUMNS: readonly Column<Row>[] = [
  { header: "", value: (row) => row.name },
  { header: "", value: (row) => row.value, shown: (row) => row.shown },
];

function rowsOf(data: Stats): Row[] {
  const row = (name: string, value: string | number | null, shown = String(value ?? "–")): Row => ({
    name,
    value,
    shown,
  });
  return [
    ...(["fixes", "records", "events", "issues", "agents"] as const).map((name) => row(name, data[name])),
    ...data.engines.map(({ engine, configured, connected, version, target }) => {
      const state = connected ? "connected" : configured ? "disconnected" : "not configured";
      return row(engine, state, connected ? `connected, ${version}, ${target}` : state);
    }),
    ...data.files.map(({ name, path, size_bytes }) =>
      row(
        `${name} file`,
        size_bytes,
        size_bytes === null ? `none yet (${path})` : `${bytes(size_bytes)} (${path})`,
      ),
    ),
    row("drilled backup", data.drilled_backup?.name ?? null, drilledText(data.drilled_backup)),
    row("queued deliveries", data.queue.waiting),
    row("rejected deliveries", data.queue.rejected),
  ];
}

function drilledText(backup: Stats["drilled_backup"]): string {
  if (backup === null) return "none yet";
  return backup.age_ms === null ? backup.name : `${backup.name}, ${age(backup.age_ms)} old`;
}
