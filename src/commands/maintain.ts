import { existsSync } from "node:fs";
import type { Command } from "commander";
import type * as v from "valibot";
import { createCall } from "../call.ts";
import { sqliteTarget } from "../config/targets.ts";
import type { maintained } from "../contract/doctor.ts";
import { OpsError } from "../errors.ts";
import { planMaintenance, runMaintenance, skipped, type TaskOutcome } from "../maintain/run.ts";
import { bytes } from "../output/human.ts";
import type { Io } from "../output/io.ts";
import { type Column, printTable } from "../output/table.ts";
import { type Context, confirm, duration, type Run } from "./command.ts";
import { engineNames, requireConfigured } from "./engines.ts";

type Maintained = v.InferOutput<typeof maintained>;

interface Options {
  all?: boolean;
  dryRun?: boolean;
  yes?: boolean;
  maxTime?: number;
}

const MAX_TIME_MS = 30 * 60_000;

export function define(command: Command, run: Run): void {
  command
    .argument("[engines...]", "neo4j, postgres, redis, sqlite or all (default: all that are configured)")
    .option(
      "--all",
      "also what does not need it: VACUUM (ANALYZE) of every table, a checkpoint, a new sample",
    )
    .option("--dry-run", "print the plan; do nothing")
    .option("-y, --yes", "do not ask")
    .option(
      "--max-time <duration>",
      "time for all of it (default: 30m); what runs then is stopped, the rest is left out",
      duration("--max-time"),
    )
    .addHelpText(
      "after",
      `
Plans first: only what pays by the thresholds that doctor uses too (OPSCTL_THRESHOLDS). Nothing of it blocks readers or writers
for long: no VACUUM FULL, indexes are rebuilt concurrently. Exit code 3 when the time was over before the end, or an engine did not
answer; 20 or 21 when none did.

Examples:
  opsctl maintain --dry-run
  opsctl maintain postgres --yes --max-time 10m`,
    )
    .action(run<Options>(maintain));
}

async function maintain(context: Context, given: string[], options: Options) {
  const { app, call, io } = context;
  const names = engineNames(given, app.configured());
  for (const name of names) requireConfigured(context, name);
  const targets = names.map((engine) => app.migrationTarget(engine)!);
  // it belongs to the host, whatever is configured
  if ((given.length === 0 || names.includes("sqlite")) && existsSync(app.stateFile)) {
    targets.push(sqliteTarget(app.stateFile));
  }
  const opened = targets.map((target) => ({ engine: target.engine, open: () => app.maintenance(target) }));
  const { tasks, degraded } = await planMaintenance(call, opened, { all: options.all === true });
  const planned = tasks.map((task) => skipped(task, "planned"));
  const isDry = options.dryRun === true;
  const away = degraded.length > 0 && degraded.length >= targets.length ? degraded[0] : undefined;
  if (isDry || tasks.length === 0) return answer(planned, isDry, degraded, away);
  if (!options.yes) {
    context.clearProgress();
    if (!context.globals.json) await renderTasks(io, resultOf(planned, true, degraded));
    await confirm(context, options.yes, `running these ${tasks.length} tasks`);
  }
  const { actor, signal, progress, log } = call;
  const timeoutMs = Math.min(options.maxTime ?? MAX_TIME_MS, call.remainingMs());
  const outcomes = await runMaintenance(createCall({ actor, signal, timeoutMs, progress, log }), tasks);
  return answer(outcomes, false, degraded, undefined);
}

/** @param away why nothing could be looked at: none of the engines answered */
function answer(
  outcomes: readonly TaskOutcome[],
  isDry: boolean,
  degraded: Maintained["degraded"],
  away: Maintained["degraded"][number] | undefined,
) {
  const data = resultOf(outcomes, isDry, degraded);
  const failed = outcomes.filter(({ status }) => status === "failed");
  const isOver = outcomes.some(({ status }) => status === "skipped" || status === "stopped");
  return {
    data,
    render: async (io: Io) => {
      await renderTasks(io, data);
      io.note(summary(data));
    },
    degraded,
    code: isOver || degraded.length > 0 ? ("partial" as const) : undefined,
    failure:
      failed.length > 0
        ? failureOf(failed)
        : away && new OpsError({ ...away, hint: "opsctl doctor connection" }),
  };
}

function resultOf(
  outcomes: readonly TaskOutcome[],
  isDry: boolean,
  degraded: Maintained["degraded"],
): Maintained {
  return {
    dry_run: isDry,
    tasks: outcomes.map(({ engine, task, error, ...outcome }) => {
      const { run: _run, ...what } = task;
      return { engine, ...what, ...outcome, error: error?.message ?? null };
    }),
    count: outcomes.length,
    freed_bytes: outcomes.reduce((sum, { freed_bytes: freed }) => sum + (freed ?? 0), 0),
    degraded,
  };
}

function failureOf(failed: readonly TaskOutcome[]): OpsError {
  const [{ error, task }] = failed as [TaskOutcome];
  const message = `${failed.length} of the tasks failed; the first: ${task.kind} ${task.subject}: ${error!.message}`;
  const { code, hint, engine } = error!;
  return new OpsError({ code, message, ...(hint ? { hint } : {}), ...(engine ? { engine } : {}) });
}

/** Columns of `maintain`: engine, kind, subject, status, freed bytes, why or what came of it. */
const COLUMNS: readonly Column<Maintained["tasks"][number]>[] = [
  { header: "ENGINE", value: ({ engine }) => engine },
  { header: "TASK", value: ({ kind }) => kind },
  { header: "SUBJECT", value: ({ subject }) => subject, flexible: true },
  {
    header: "STATUS",
    value: ({ status }) => status,
    style: ({ status }) =>
      (({ done: "green", failed: "red", stopped: "yellow", skipped: "yellow", planned: "dim" }) as const)[
        status
      ],
  },
  {
    header: "FREED",
    value: ({ freed_bytes: freed }) => freed,
    shown: ({ freed_bytes: freed }) => (freed === null ? "" : bytes(Math.max(0, freed))),
    align: "right",
  },
  { header: "WHY", value: ({ error, note, why }) => error ?? note ?? why, flexible: true },
];

function renderTasks(io: Io, { tasks }: Maintained): Promise<void> {
  return printTable(io, COLUMNS, tasks);
}

function summary({ tasks, dry_run: isDry, freed_bytes: freed, degraded }: Maintained): string {
  if (tasks.length === 0) return degraded.length > 0 ? "nothing to do in what answered" : "nothing to do";
  if (isDry) return `${tasks.length} tasks; nothing was run`;
  const done = tasks.filter(({ status }) => status === "done").length;
  return `${done} of ${tasks.length} tasks done, ${bytes(Math.max(0, freed))} freed`;
}
