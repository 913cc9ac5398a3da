/** `migrate baseline` and `migrate repair`: they write history without, or beyond, what the runner knows. */
import type * as v from "valibot";
import type { baselined, repaired } from "../contract/migrate.ts";
import { usageError } from "../errors.ts";
import { baselineAt, baselineFromHistory } from "../migrate/baseline.ts";
import { NOTHING } from "../migrate/history.ts";
import { commandOf } from "../migrate/plan.ts";
import { MARKS, markVersion, type Repaired, retryVersion } from "../migrate/repair.ts";
import { escapeText } from "../output/escape.ts";
import type { Io } from "../output/io.ts";
import { suggest } from "../suggest.ts";
import { type Context, confirm } from "./command.ts";
import { isEngineName } from "./engines.ts";
import { type LimitOptions, runOptions } from "./migrate-run.ts";
import { type Job, type SourceOptions, singleJob } from "./migrate-sources.ts";

interface BaselineOptions extends SourceOptions, Pick<LimitOptions, "lockWait"> {
  fromHistory?: boolean;
}

export async function baseline(context: Context, given: string[], options: BaselineOptions) {
  const { call } = context;
  const { engines, version } = readArguments(given);
  checkVersion(version, options.fromHistory);
  const { lockWaitMs } = runOptions(options);
  const job = singleJob(context, engines, options);
  const target = await job.open();
  const { adopted, pending, table, changed, unlisted, isGuessed } =
    version === undefined
      ? await baselineFromHistory(call, target, job.source, lockWaitMs)
      : await baselineAt(call, target, job.source, version, lockWaitMs);
  const data: v.InferOutput<typeof baselined> = {
    ...placeOf(job),
    changed,
    from_history: table,
    adopted: adopted.map((migration) => migration.version),
    pending: pending.map((migration) => migration.version),
    unlisted: unlisted.map((migration) => migration.version),
    guessed: isGuessed,
  };
  if (isGuessed) {
    context.io.note(
      `${data.format} keeps its last version only: all files up to it were taken as applied; it skips files that were merged late`,
      "warning:",
    );
  }
  if (unlisted.length > 0) {
    context.io.note(
      `applied here, but not in ${table}: ${data.unlisted.join(", ")} (applied by opsctl since, or rolled back by ${data.format})`,
      "warning:",
    );
  }
  return {
    data,
    render: (io: Io) => {
      if (version === NOTHING) return io.out(`recorded: nothing is applied, ${pending.length} pending\n`);
      const source = table === null ? "" : ` from ${table} (${data.format}), which was not changed`;
      return io.out(
        escapeText(`${adopted.length} recorded as applied${source}, ${pending.length} pending\n`),
      );
    },
  };
}

/** @throws OpsError `usage`: neither a version nor `--from-history`, or both */
function checkVersion(version: string | undefined, fromHistory: boolean | undefined): void {
  if (fromHistory && version !== undefined) {
    throw usageError(`--from-history and the version ${version} are both given`, "give one of them");
  }
  if (!fromHistory && version === undefined) {
    throw usageError(
      "baseline needs the last version that the database holds",
      "0 for none, or --from-history",
    );
  }
}

/** `[ENGINE] [VERSION]`. @throws OpsError `usage` for more words */
function readArguments(given: string[]): { engines: string[]; version: string | undefined } {
  const engines = given.slice(0, given[0] !== undefined && isEngineName(given[0]) ? 1 : 0);
  const [version, ...more] = given.slice(engines.length);
  if (more.length === 0) return { engines, version };
  throw usageError(`"${more[0]}" is too much`, "name an engine and a version, in this order");
}

interface RepairOptions extends SourceOptions, LimitOptions {
  retry?: boolean;
  statement?: number;
  mark?: string;
  yes?: boolean;
}

export async function repair(context: Context, given: string[], options: RepairOptions) {
  const { call } = context;
  const mark = markOf(options);
  const { engines, version } = readArguments(given);
  const job = singleJob(context, engines, options);
  const target = await job.open();
  const limits = runOptions(options);
  let done: Repaired;
  if (mark === undefined) {
    const rest = { ...limits, onDone: () => {}, from: options.statement };
    done = await retryVersion(call, target, job.source, { ...rest, version });
  } else {
    const what = version === undefined ? "the file that is broken off" : `version ${version}`;
    const hint = `repeat with --yes; ${commandOf("status", job.source)} shows what history says now`;
    await confirm(context, options.yes, `marking ${what} as ${mark} on ${job.target.shown}`, hint);
    done = await markVersion(call, target, job.source, mark, { ...limits, version });
  }
  const data: v.InferOutput<typeof repaired> = { ...placeOf(job), ...done };
  return {
    data,
    render: (io: Io) => io.out(escapeText(`${done.file}: ${done.before} → ${done.after}\n`)),
  };
}

function markOf({ retry, statement, mark }: RepairOptions) {
  if (statement !== undefined && !retry) throw usageError("--statement goes with --retry");
  if ((mark !== undefined) === (retry === true)) {
    throw usageError(
      "repair needs either --retry or --mark",
      `--mark ${MARKS.join(", --mark ")}, or --retry`,
    );
  }
  const known = MARKS.find((name) => name === mark);
  if (mark === undefined || known) return known;
  throw usageError(`--mark: "${mark}" is no state`, suggest(mark, MARKS) ?? `use ${MARKS.join(", ")}`);
}

function placeOf({ source: { engine, set, format, place }, target: { shown } }: Job) {
  return { engine, target: shown, set, format, dir: place };
}
