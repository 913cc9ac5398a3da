/** What `migrate up`, `down` and `redo` answer. */
import { relative } from "node:path";
import type * as v from "valibot";
import type { migrated } from "../contract/migrate.ts";
import { OpsError } from "../errors.ts";
import type { Planned } from "../migrate/plan.ts";
import type { MigrationTarget } from "../migrate/port.ts";
import type { Done } from "../migrate/runner.ts";
import { statementsOf } from "../migrate/shipped.ts";
import { USER_SET } from "../migrate/source.ts";
import { escapeText } from "../output/escape.ts";
import type { Io } from "../output/io.ts";
import { type Column, printTable } from "../output/table.ts";
import type { Context } from "./command.ts";

type Migrated = v.InferOutput<typeof migrated>;
/** One engine of the answer, filled while its files run. */
export type EngineReport = Migrated["engines"][number];
type Engine = EngineReport;
type FileRow = Engine["files"][number];

/** How one engine's run ended. */
export interface Outcome {
  row: Engine;
  error: OpsError | null;
}

export function doneFile({ migration, direction, file, durationMs, isLate, resumedAt }: Done): FileRow {
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

export async function plannedRow(
  { call }: Context,
  target: MigrationTarget,
  planned: Planned,
): Promise<FileRow> {
  const { entry, script, from } = planned;
  const previews: string[] = [];
  for (const statement of target.statements(script.text).slice(from)) {
    const preview = await target.preview?.(call, statement);
    if (preview) previews.push(`${statement.text.split("\n")[0]}: ${preview}`);
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

export function resultOf(
  context: Context,
  direction: Migrated["direction"],
  options: { dryRun?: boolean; to?: string },
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
    render: (io: Io) => render(context, io, { ...data, isLimited: options.to !== undefined }),
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

/** What is rendered: the contract object, and whether a part of the files was asked for. */
type Shown = Migrated & { isLimited: boolean };

type Line = FileRow & { engine: string };

/** Columns of `migrate up` and `down`: engine, version, file, state, milliseconds. */
const COLUMNS: readonly Column<Line>[] = [
  { header: "engine", value: (row) => row.engine },
  { header: "version", value: (row) => row.version },
  { header: "file", flexible: true, value: (row) => row.file },
  { header: "state", value: (row) => row.state, style: (row) => (row.state === "planned" ? "dim" : "green") },
  { header: "ms", value: (row) => row.duration_ms, align: "right" },
];

async function render({ app }: Context, io: Io, data: Shown): Promise<void> {
  const { engines, dry_run } = data;
  for (const { engine, changes } of engines) {
    for (const { name, after } of changes) {
      io.note(`${engine}: ${name} ${dry_run ? "would be " : ""}${after ?? "dropped"}`);
    }
  }
  const rows = engines.flatMap(({ engine, files }) => files.map((file) => ({ ...file, engine })));
  await printTable(io, COLUMNS, rows);
  if (dry_run) await renderStatements(io, engines);
  for (const { engine, status, set, dir, format, files, error } of engines) {
    const where = set === USER_SET ? `${relative(app.config.cwd, dir)} (${format})` : `the set "${set}"`;
    if (status === "unchanged") io.note(`${engine}: ${nothingDone(data, where)}`);
    for (const { file, late } of files) {
      if (late) io.note(`${engine}: ${file} was merged late: a higher version was applied before it`);
    }
    if (error && engines.length > 1)
      io.note(`${engine}: error: ${error.message}${error.hint ? `\nTry: ${error.hint}` : ""}`);
  }
}

/** `up` to a version, or down: what is left above it was not looked at. */
function nothingDone({ direction, isLimited }: Shown, where: string): string {
  if (direction !== "up") return `nothing to do, nothing of ${where} is to be rolled back`;
  return `nothing to do, ${isLimited ? `${where} is applied that far` : `${where} is up to date`}`;
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
