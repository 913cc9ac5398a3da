/** `migrate up`, `down` and `redo`. */
import { rmSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { abortError, type Call, throwIfAborted } from "../call.ts";
import { OpsError, toOpsError, usageError } from "../errors.ts";
import { commandOf, type Extent, type Planned } from "../migrate/plan.ts";
import type { Direction, MigrationTarget } from "../migrate/port.ts";
import {
  DEFAULT_LIMITS,
  DEFAULT_LOCK_WAIT_MS,
  plan,
  type RunOptions,
  readEntries,
  run,
} from "../migrate/runner.ts";
import { type Context, confirm } from "./command.ts";
import { doneFile, type EngineReport, type Outcome, plannedRow, resultOf } from "./migrate-report.ts";
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
  edited?: boolean;
}

export async function up(context: Context, given: string[], options: Options) {
  refuseBoth(options);
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
  refuseBoth(options);
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
    const again = { ...options, edited: true };
    const planned = await confirmRollback(context, job, again, "repeat with --yes");
    if (planned.length === 0)
      throw usageError(`nothing of ${job.source.title} is applied`, "opsctl migrate up");
    await runJob(context, job, "down", again, row);
    await runJob(context, job, "up", { ...options, only: planned[0]!.entry.version }, row);
  });
  return resultOf(context, "redo", options, [outcome]);
}

function refuseBoth({ to, steps }: Options): void {
  if (to !== undefined && steps !== undefined)
    throw usageError("--to and --steps are both given", "give one of them");
}

/** Shows what will be rolled back, and asks. */
async function confirmRollback(
  context: Context,
  job: Job,
  options: Options,
  hint?: string,
): Promise<Planned[]> {
  const planned = await plan(context.call, await job.open(), job.source, "down", extentOf(options));
  if (planned.length === 0) return planned;
  const files = planned.map(({ script }) => script.file);
  const shown =
    files.length > 3 ? `${files.slice(0, 3).join(", ")} and ${files.length - 3} more` : files.join(", ");
  await confirm(context, options.yes, `rolling back ${shown} on ${job.target.shown}`, hint);
  return planned;
}

/** One engine's failure is its own result: the others get their turn. @throws OpsError of an aborted call, and `usage` */
async function attempt(
  { call }: Context,
  job: Job,
  work: (row: EngineReport) => Promise<void>,
): Promise<Outcome> {
  const { engine, set, format, place } = job.source;
  const { shown: target } = job.target;
  const none = { changes: [], files: [], copy: null, error: null };
  const row: EngineReport = { engine, target, set, format, dir: place, status: "unchanged", ...none };
  try {
    await work(row);
    return { row, error: null };
  } catch (error) {
    const failed = call.signal.aborted ? stopped(call, job, row) : toOpsError(error);
    row.status = "failed";
    row.error = { code: failed.code, message: failed.message, hint: failed.hint ?? null };
    return { row, error: failed };
  }
}

/** A run that a signal or the deadline has ended: where the database is now. */
function stopped(call: Call, { source }: Job, { files }: EngineReport): OpsError {
  const { code, message } = abortError(call.signal.reason);
  const done =
    files.length === 0 ? "no file was finished" : `${files.at(-1)!.file} was the last file that was finished`;
  return new OpsError({
    code,
    engine: source.engine,
    message: `${message} (${done}; of the one under way nothing is kept, or history says how far it came)`,
    hint: `${commandOf("status", source)} shows where it is, and running it again goes on from there`,
  });
}

async function runJob(
  context: Context,
  job: Job,
  direction: Direction,
  options: Options & Pick<Extent, "only">,
  row: EngineReport,
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
  const work = run(call, target, job.source, direction, {
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
  try {
    row.changes.push(...(await work));
  } catch (error) {
    await dropUnusedCopy(context, target, job, row);
    throw error;
  }
}

/** A run that changed nothing needs no copy: one that CI repeats would fill the disk with them. */
async function dropUnusedCopy(
  { call, io }: Context,
  target: MigrationTarget,
  { source }: Job,
  row: EngineReport,
): Promise<void> {
  if (row.copy === null || row.files.length > 0) return;
  const entries = await readEntries(call, target, source).catch(() => undefined);
  // of a file without a transaction a part may be there
  if (entries === undefined || entries.some(({ broken }) => broken !== null)) return;
  rmSync(row.copy, { force: true });
  io.note(`nothing was changed: the copy ${row.copy} is removed`);
  row.copy = null;
}

async function keepCopy(
  { call, io }: Context,
  target: MigrationTarget,
  first: Planned,
  row: EngineReport,
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

function extentOf({ to, steps, edited }: Options): Extent {
  return { to, steps, edited };
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
