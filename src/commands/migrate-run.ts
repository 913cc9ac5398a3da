/** `migrate up`, `down` and `redo`. */
import { relative } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type * as v from "valibot";
import { throwIfAborted } from "../call.ts";
import type { migrated } from "../contract/migrate.ts";
import { OpsError, toOpsError, usageError } from "../errors.ts";
import type { Extent, Planned } from "../migrate/plan.ts";
import type { Change, Direction, MigrationTarget } from "../migrate/port.ts";
import {
  DEFAULT_LIMITS,
  DEFAULT_LOCK_WAIT_MS,
  type Done,
  plan,
  type RunOptions,
  run,
} from "../migrate/runner.ts";
import { statementsOf } from "../migrate/shipped.ts";
import { USER_SET } from "../migrate/source.ts";
import { escapeText } from "../output/escape.ts";
import type { Io } from "../output/io.ts";
import { type Column, printTable } from "../output/table.ts";
import { type Context, confirm } from "./command.ts";
import { type Job, jobsOf, type SourceOptions, singleJob } from "./migrate-sources.ts";

/** Milliseconds. */
export interface LimitOptions {
  lockWait?: number;
  lockTimeout?: number;
  statementTimeout?: number;
}

interface Options extends SourceOptions, LimitOptions {
  to?: string;
  steps?: number;
  dryRun?: boolean;
  yes?: boolean;
  copy: boolean;
  wait?: number;
}

type Migrated = v.InferOutput<typeof migrated>;
type Engine = Migrated["engines"][number];
type FileRow = Engine["files"][number];

export async function up(context: Context, given: string[], options: Options) {
  const jobs = jobsOf(context, given, options);
  if (options.to !== undefined && jobs.length > 1) {
    throw usageError(
      "--to names a version of one engine",
      "name the engine, for example: opsctl migrate up postgres --to V003",
    );
  }
  if (options.wait !== undefined) await waitForServers(context, jobs, options.wait);
  const engines: Outcome[] = [];
  for (const job of jobs) {
    engines.push(await attempt(context, job, (row) => runJob(context, job, "up", options, row)));
  }
  return resultOf(context, "up", options, engines);
}

export async function down(context: Context, given: string[], options: Options) {
  if (options.to !== undefined && options.steps !== undefined) {
    throw usageError("--to and --steps are both given", "give one of them");
  }
  const job = singleJob(context, given, options);
  const outcome = await attempt(context, job, async (row) => {
    if (!options.dryRun) await confirmRollback(context, job, options);
    await runJob(context, job, "down", options, row);
  });
  return resultOf(context, "down", options, [outcome]);
}

export async function redo(context: Context, given: string[], options: Options) {
  const job = singleJob(context, given, options);
  const outcome = await attempt(context, job, async (row) => {
    const planned = await confirmRollback(context, job, options);
    if (planned.length === 0)
      throw usageError(`nothing of ${job.source.title} is applied`, "opsctl migrate up");
    await runJob(context, job, "down", options, row);
    await runJob(context, job, "up", { ...options, only: planned[0]!.entry.version }, row);
  });
  return resultOf(context, "redo", options, [outcome]);
}

/** Shows what will be rolled back, and asks. */
async function confirmRollback(context: Context, job: Job, options: Options): Promise<Planned[]> {
  const planned = await plan(context.call, await job.open(), job.source, "down", extentOf(options));
  if (planned.length === 0) return planned;
  const files = planned.map(({ script }) => script.file);
  const shown =
    files.length > 3 ? `${files.slice(0, 3).join(", ")} and ${files.length - 3} more` : files.join(", ");
  await confirm(context, options.yes, `rolling back ${shown} on ${job.target.shown}`);
  return planned;
}

interface Outcome {
  row: Engine;
  error: OpsError | null;
}

/** One engine's failure is its own result: the others get their turn. @throws OpsError of an aborted call, and `usage` */
async function attempt({ call }: Context, job: Job, work: (row: Engine) => Promise<void>): Promise<Outcome> {
  const { engine, set, format, place } = job.source;
  const { shown: target } = job.target;
  const none = { changes: [], files: [], copy: null, error: null };
  const row: Engine = { engine, target, set, format, dir: place, status: "unchanged", ...none };
  try {
    await work(row);
    return { row, error: null };
  } catch (error) {
    const failed = toOpsError(error);
    if (row.files.length === 0) throwIfAborted(call);
    row.status = "failed";
    row.error = { code: failed.code, message: failed.message, hint: failed.hint ?? null };
    return { row, error: failed };
  }
}

async function runJob(
  context: Context,
  job: Job,
  direction: Direction,
  options: Options & { only?: string },
  row: Engine,
): Promise<void> {
  const { call } = context;
  const target = await job.open();
  const extent = { ...extentOf(options), only: options.only };
  if (options.dryRun) {
    const planned = await plan(call, target, job.source, direction, extent);
    for (const one of planned) row.files.push(await plannedRow(context, target, one));
    if (planned.length > 0) {
      row.changes.push(...(await target.prepare(call, [job.source.set], true)));
      row.status = "planned";
    }
    return;
  }
  const changes = await run(call, target, job.source, direction, {
    ...runOptions(options),
    extent,
    onDone(done) {
      row.files.push(doneFile(done));
      row.status = "migrated";
      context.io.log("INFO", `${done.file}: ${done.direction === "up" ? "applied" : "rolled back"}`, {
        duration_ms: done.durationMs,
      });
    },
    beforeFirst: options.copy && target.copy ? (first) => keepCopy(context, target, first, row) : undefined,
  });
  row.changes.push(...(changes satisfies Change[]));
}

async function keepCopy(
  { call, io }: Context,
  target: MigrationTarget,
  first: Planned,
  row: Engine,
): Promise<void> {
  if (row.copy !== null) return;
  row.copy = await target.copy!(call, first.entry.version);
  if (row.copy !== null) io.note(`copy of the file as it was: ${row.copy}`);
}

export function runOptions(options: LimitOptions): Pick<RunOptions, "lockWaitMs" | "limits"> {
  const { lockWait, lockTimeout, statementTimeout } = options;
  return {
    lockWaitMs: lockWait ?? DEFAULT_LOCK_WAIT_MS,
    limits: {
      lockTimeoutMs: lockTimeout ?? DEFAULT_LIMITS.lockTimeoutMs,
      statementTimeoutMs: statementTimeout ?? DEFAULT_LIMITS.statementTimeoutMs,
    },
  };
}

function extentOf({ to, steps }: Options): Extent {
  return { to, steps };
}

function doneFile({ migration, direction, file, durationMs, isLate, resumedAt }: Done): FileRow {
  return {
    version: migration.version,
    file,
    description: migration.description,
    state: direction === "up" ? "applied" : "reverted",
    duration_ms: durationMs,
    late: isLate,
    resumed_at: resumedAt,
    statements: [],
    previews: [],
  };
}

async function plannedRow({ call }: Context, target: MigrationTarget, planned: Planned): Promise<FileRow> {
  const { entry, script, from } = planned;
  const previews: string[] = [];
  for (const statement of target.statements(script.text).slice(from)) {
    const preview = await target.preview?.(call, statement);
    if (preview) previews.push(preview);
  }
  return {
    version: entry.version,
    file: script.file,
    description: entry.migration!.description,
    state: "planned",
    duration_ms: null,
    late: entry.isLate,
    resumed_at: from,
    statements: statementsOf(target, planned),
    previews,
  };
}

/** Asks each server until it answers. @throws OpsError of the last try when `ms` are over */
async function waitForServers({ call, io }: Context, jobs: readonly Job[], ms: number): Promise<void> {
  const deadline = performance.now() + ms;
  for (const job of jobs) {
    for (let tries = 0; ; tries++) {
      throwIfAborted(call);
      try {
        await (await job.open()).history(call);
        break;
      } catch (error) {
        const { code, message } = toOpsError(error);
        if (code !== "unreachable" || performance.now() > deadline) throw error;
        if (tries === 0) io.note(`waiting: ${message}`);
        await delay(Math.min(1_000, 100 * 2 ** tries), undefined, { signal: call.signal }).catch(() => {});
      }
    }
  }
}

function resultOf(
  context: Context,
  direction: Migrated["direction"],
  options: Options,
  outcomes: readonly Outcome[],
) {
  const engines = outcomes.map(({ row }) => row);
  const data: Migrated = {
    direction,
    dry_run: options.dryRun === true,
    changed: engines.some(
      ({ status, files }) => status === "migrated" || (status === "failed" && files.length > 0),
    ),
    engines,
  };
  const failed = outcomes.flatMap(({ error }) => error ?? []);
  const isPartial = failed.length > 0 && failed.length < outcomes.length;
  return {
    data,
    render: (io: Io) => render(context, io, data),
    code: isPartial ? ("partial" as const) : undefined,
    failure: isPartial ? undefined : allFailed(failed),
  };
}

/** One engine: its own error. Several: each was shown, and the first one's code counts. */
function allFailed([first, ...more]: readonly OpsError[]): OpsError | undefined {
  if (first === undefined || more.length === 0) return first;
  const hint = "mend what is named above, then run it again";
  return new OpsError({ code: first.code, message: `all ${more.length + 1} engines failed`, hint });
}

type Line = FileRow & { engine: string };

/** Columns of `migrate up` and `down`: engine, version, file, state, milliseconds. */
const COLUMNS: readonly Column<Line>[] = [
  { header: "engine", value: (row) => row.engine },
  { header: "version", value: (row) => row.version },
  { header: "file", flexible: true, value: (row) => row.file },
  { header: "state", value: (row) => row.state, style: (row) => (row.state === "planned" ? "dim" : "green") },
  { header: "ms", value: (row) => row.duration_ms, align: "right" },
];

async function render({ app }: Context, io: Io, { engines, dry_run }: Migrated): Promise<void> {
  for (const { engine, changes } of engines) {
    for (const { name, after } of changes) io.note(`${engine}: ${name} ${after ?? "dropped"}`);
  }
  const rows = engines.flatMap(({ engine, files }) => files.map((file) => ({ ...file, engine })));
  await printTable(io, COLUMNS, rows);
  if (dry_run) await renderStatements(io, engines);
  for (const { engine, status, set, dir, format, files, error } of engines) {
    const where = set === USER_SET ? `${relative(app.config.cwd, dir)} (${format})` : `the set "${set}"`;
    if (status === "unchanged") io.note(`${engine}: nothing to do, ${where} is up to date`);
    for (const { file, late } of files) {
      if (late) io.note(`${engine}: ${file} was merged late: a higher version was applied before it`);
    }
    if (error && engines.length > 1)
      io.note(`${engine}: error: ${error.message}${error.hint ? `\nTry: ${error.hint}` : ""}`);
  }
}

async function renderStatements(io: Io, engines: Engine[]): Promise<void> {
  for (const { engine, files } of engines) {
    const end = engine === "redis" ? "" : ";";
    for (const { file, statements, previews } of files) {
      await io.out(
        `-- ${escapeText(file)}\n${statements.map((one) => `${escapeText(one)}${end}\n`).join("")}`,
      );
      for (const preview of previews) await io.out(`-- ${escapeText(preview)}\n`);
    }
  }
}
