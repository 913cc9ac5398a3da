/** `migrate status`, `history` and `verify`: they read. */
import { existsSync } from "node:fs";
import { relative } from "node:path";
import type * as v from "valibot";
import { throwIfAborted } from "../call.ts";
import type { migrationHistory, migrationStatus, verifiedMigrations } from "../contract/migrate.ts";
import { type Degraded, type EngineName, type OpsError, toDegraded, toOpsError } from "../errors.ts";
import { type Entry, isPending } from "../migrate/history.ts";
import type { HistoryRow } from "../migrate/port.ts";
import { readEntries } from "../migrate/runner.ts";
import { USER_SET } from "../migrate/source.ts";
import { findProblems } from "../migrate/verify.ts";
import { isoTime } from "../output/human.ts";
import type { Io, Style } from "../output/io.ts";
import { type Column, printTable } from "../output/table.ts";
import type { Context } from "./command.ts";
import { compareSchema } from "./migrate-files.ts";
import {
  folderOf,
  type Job,
  jobsOf,
  type SourceOptions,
  type Store,
  shippedJobs,
  storesOf,
} from "./migrate-sources.ts";

interface StatusOptions extends SourceOptions {
  exitCode?: boolean;
  all?: boolean;
  drift?: string;
}

type Status = v.InferOutput<typeof migrationStatus>;
type Engine = Status["engines"][number];
type Version = Engine["migrations"][number];

export async function status(context: Context, given: string[], options: StatusOptions) {
  const jobs = options.all ? allJobs(context, given, options) : jobsOf(context, given, options);
  const {
    done: engines,
    degraded,
    failure,
  } = await askEach(context, jobs, async (job) => {
    const target = await job.open();
    const entries = await readEntries(context.call, target, job.source);
    const drift = options.drift === undefined ? null : await compareSchema(context, target, options.drift);
    return engineRow(job, entries, drift);
  });
  // with --all: a shipped schema that nobody installed is offered, not pending
  const relevant = engines.filter(({ set, applied }) => !options.all || set === USER_SET || applied > 0);
  const isCurrent = relevant.every(
    ({ pending, problems, drift }) => pending + problems === 0 && drift !== true,
  );
  const data: Status = { up_to_date: isCurrent && degraded.length === 0, engines, degraded };
  const isNo = options.exitCode ? !isCurrent : engines.some(({ drift }) => drift === true);
  return {
    data,
    render: (io: Io) => renderStatus(context, io, data),
    degraded: failure ? [] : degraded,
    failure,
    code: isNo ? ("no" as const) : degraded.length > 0 ? ("partial" as const) : undefined,
  };
}

/** The user's folders, where there are any, and every shipped set. */
function allJobs(context: Context, given: string[], options: StatusOptions): Job[] {
  const stores = storesOf(context, given, options.database);
  const withFiles =
    options.dir === undefined
      ? stores.map(({ engine }) => engine).filter((engine) => existsSync(folderOf(context, engine)))
      : given;
  const isAny = withFiles.length > 0 || options.dir !== undefined;
  return [...(isAny ? jobsOf(context, withFiles, options) : []), ...shippedJobs(stores)];
}

interface Asked<T> {
  done: T[];
  degraded: Degraded[];
  /** All failed: the first one's error. */
  failure: OpsError | undefined;
}

/** Asks every store; one that cannot answer is named, and the others are shown. */
async function askEach<S extends Store, T>(
  { call }: Context,
  stores: readonly S[],
  ask: (store: S) => Promise<T>,
): Promise<Asked<T>> {
  const answers = await Promise.allSettled(stores.map(ask));
  throwIfAborted(call);
  const done: T[] = [];
  const errors = new Map<string, OpsError>();
  for (const [index, answer] of answers.entries()) {
    if (answer.status === "fulfilled") done.push(answer.value);
    else errors.set(stores[index]!.engine, toOpsError(answer.reason));
  }
  const failed = [...errors];
  return {
    done,
    degraded: failed.map(([engine, error]) => toDegraded(engine as Degraded["engine"], error)),
    failure: done.length === 0 ? failed[0]?.[1] : undefined,
  };
}

function engineRow({ source, target }: Job, entries: readonly Entry[], drift: boolean | null): Engine {
  const { engine, set, format, place } = source;
  const applied = entries.filter(
    ({ state }) => state === "applied" || state === "edited" || state === "missing",
  );
  return {
    engine,
    target: target.shown,
    set,
    format,
    dir: place,
    version: applied.at(-1)?.version ?? null,
    applied: applied.length,
    pending: entries.filter((entry) => isPending(entry) && entry.broken === null).length,
    problems: entries.filter(isProblem).length,
    drift,
    migrations: entries.map(versionRow),
  };
}

function isProblem({ state, broken }: Entry): boolean {
  return broken !== null || state === "edited" || state === "missing";
}

function versionRow({ version, state, migration, row, isLate, broken }: Entry): Version {
  return {
    version,
    file: broken ? row!.file : (migration?.up.file ?? row!.file),
    description: migration?.description ?? row!.description,
    state,
    late: isLate,
    reversible: migration?.down != null,
    checksum: migration?.up.checksum ?? null,
    statement_index: row?.statement_index ?? 0,
    applied_at: row ? isoTime(row.applied_at) : null,
    applied_at_ms: row?.applied_at ?? null,
    applied_by: row?.applied_by ?? null,
    duration_ms: row?.duration_ms ?? null,
    tool_version: row?.tool_version ?? null,
  };
}

const STATE_STYLES: Readonly<Record<Version["state"], Style>> = {
  applied: "green",
  pending: "yellow",
  reverted: "yellow",
  running: "red",
  failed: "red",
  edited: "red",
  missing: "red",
};

type Line = Version & { engine: string; set: string };

/** Columns of `migrate status`: engine, set, version, file, state, applied at, by. */
const STATUS_COLUMNS: readonly Column<Line>[] = [
  { header: "engine", value: (row) => row.engine },
  { header: "set", value: (row) => row.set },
  { header: "version", value: (row) => row.version },
  { header: "file", flexible: true, value: (row) => row.file },
  {
    header: "state",
    value: (row) => row.state,
    shown: (row) => (row.late ? `${row.state} (late)` : row.state),
    style: (row) => STATE_STYLES[row.state],
  },
  { header: "applied", value: (row) => row.applied_at },
  { header: "by", value: (row) => row.applied_by },
];

async function renderStatus({ app }: Context, io: Io, { engines }: Status): Promise<void> {
  await printTable(
    io,
    STATUS_COLUMNS,
    engines.flatMap(({ engine, set, migrations }) => migrations.map((row) => ({ ...row, engine, set }))),
  );
  for (const { engine, set, applied, pending, problems, format, dir, drift } of engines) {
    const where = set === USER_SET ? `${relative(app.config.cwd, dir)} (${format})` : `set ${set}`;
    const problem = problems === 0 ? "" : `, ${problems} with a problem`;
    const drifted = drift === null ? "" : drift ? ", the schema has drifted" : ", no drift";
    io.note(`${engine}, ${where}: ${applied} applied, ${pending} pending${problem}${drifted}`);
  }
}

type History = v.InferOutput<typeof migrationHistory>;

export async function history(
  context: Context,
  given: string[],
  options: { limit: number; database?: string },
) {
  const stores = storesOf(context, given, options.database);
  const { done, degraded, failure } = await askEach(context, stores, async ({ engine, open }) =>
    (await (await open()).history(context.call)).map((row) => historyRow(engine, row)),
  );
  const rows = done
    .flat()
    .sort((a, b) => b.applied_at_ms - a.applied_at_ms)
    .slice(0, options.limit);
  const data: History = { history: rows, count: rows.length, degraded };
  return {
    data,
    render: (io: Io) => printTable(io, HISTORY_COLUMNS, rows),
    degraded: failure ? [] : degraded,
    failure,
    code: degraded.length > 0 ? ("partial" as const) : undefined,
  };
}

function historyRow(
  engine: EngineName,
  { set_name, applied_at, seq: _, ...row }: HistoryRow,
): History["history"][number] {
  return {
    engine,
    set: set_name,
    ...row,
    applied_at: isoTime(applied_at),
    applied_at_ms: applied_at,
  };
}

/** Columns of `migrate history`: applied at, engine, set, version, file, state, milliseconds, by. */
const HISTORY_COLUMNS: readonly Column<History["history"][number]>[] = [
  { header: "when", value: (row) => row.applied_at },
  { header: "engine", value: (row) => row.engine },
  { header: "set", value: (row) => row.set },
  { header: "version", value: (row) => row.version },
  { header: "file", flexible: true, value: (row) => row.file },
  { header: "state", value: (row) => row.state },
  { header: "ms", value: (row) => row.duration_ms, align: "right" },
  { header: "by", value: (row) => row.applied_by },
];

type Verified = v.InferOutput<typeof verifiedMigrations>;

export async function verify(context: Context, given: string[], options: SourceOptions) {
  const jobs = jobsOf(context, given, options);
  const {
    done: engines,
    degraded,
    failure,
  } = await askEach(context, jobs, async ({ source, target: { shown }, open }) => {
    const target = await open();
    const entries = await readEntries(context.call, target, source);
    const problems = findProblems(source, entries, target);
    const isApplied = entries.some(({ state }) => state === "applied");
    const counts = source.set !== USER_SET && isApplied ? await target.verify(context.call, source.set) : {};
    const { engine, set, format, place: dir } = source;
    return { engine, target: shown, set, format, dir, checked: entries.length, problems, counts };
  });
  const isFine = engines.every(({ problems }) => problems.length === 0);
  const data: Verified = { ok: isFine && degraded.length === 0, engines, degraded };
  return {
    data,
    render: (io: Io) => renderVerified(context, io, data),
    degraded: failure ? [] : degraded,
    failure,
    code: !isFine ? ("no" as const) : degraded.length > 0 ? ("partial" as const) : undefined,
  };
}

type Problem = Verified["engines"][number]["problems"][number] & { engine: string };

/** Columns of `migrate verify`: engine, version, file, kind, what is wrong. */
const PROBLEM_COLUMNS: readonly Column<Problem>[] = [
  { header: "engine", value: (row) => row.engine },
  { header: "version", value: (row) => row.version },
  { header: "file", value: (row) => row.file },
  { header: "problem", value: (row) => row.kind, style: () => "red" },
  { header: "what", value: (row) => row.message },
];

async function renderVerified({ app }: Context, io: Io, { engines }: Verified): Promise<void> {
  const rows = engines.flatMap(({ engine, problems }) => problems.map((problem) => ({ ...problem, engine })));
  await printTable(io, PROBLEM_COLUMNS, rows);
  for (const { engine, dir, checked, problems, counts } of engines) {
    const counted = Object.entries(counts).map(([name, count]) => `, ${count} ${name}`);
    io.note(
      `${engine}, ${relative(app.config.cwd, dir)}: ${checked} versions checked, ${problems.length} problems${counted.join("")}`,
    );
  }
}
