/** What a restore says: its plan before, and what came of it. */

import { join } from "node:path";
import type * as v from "valibot";
import { estimateRestore } from "../backup/drilled.ts";
import type { restored, undoneRestore } from "../contract/restore.ts";
import { OpsError } from "../errors.ts";
import { escapeCell } from "../output/escape.ts";
import { bytes } from "../output/human.ts";
import type { Io } from "../output/io.ts";
import { type Column, printTable } from "../output/table.ts";
import type { RestoreRecord } from "../restore/journal.ts";
import type { ResumedPart } from "../restore/later.ts";
import type { RestorePlan, Undo } from "../restore/port.ts";
import type { Planned, Restored } from "../restore/run.ts";
import type { StagedSet } from "../restore/stage.ts";
import { estimateText } from "./backup-folder.ts";

type RestoredData = v.InferOutput<typeof restored>;
type Part = RestoredData["parts"][number];
type UndoneData = v.InferOutput<typeof undoneRestore>;

const WAYS_BACK: Readonly<Record<Undo, string>> = {
  kept: "what is replaced is kept beside it, and swapped back",
  safety: "what is replaced is copied first, and restored again",
  empty: "nothing is there; it is emptied again",
  none: "it only adds what is missing, and that stays",
};

/** A restore, as far as this process knows it. */
export interface Reported {
  set: StagedSet;
  restore: RestoreRecord;
  parts: readonly (ResumedPart & { plan?: RestorePlan })[];
}

/** The contract object of a plan, or of a restore. */
export function describe(
  reported: Reported,
  done: Restored | undefined,
  isDry: boolean,
  durationMs: number,
): RestoredData {
  const { set, restore, parts } = reported;
  const rows = parts.map((part) => partOf(restore, part, done));
  return {
    dry_run: isDry,
    id: isDry ? null : restore.id,
    name: restore.name,
    path: restore.path,
    sha256: restore.sha256,
    trusted: set.trusted,
    state: restore.state,
    ok: rows.every(({ problems }) => problems.length === 0),
    parts: rows,
    files: set.metadata.files.map(({ path, size_bytes, sha256 }) => ({ path, size_bytes, sha256 })),
    warnings: done?.warnings ?? [],
    notes: set.notes,
    duration_ms: durationMs,
  };
}

function partOf(
  { folder }: RestoreRecord,
  { record, target, plan, material }: Reported["parts"][number],
  done: Restored | undefined,
): Part {
  const outcome = done?.outcomes.get(record);
  const { expected } = material;
  const found = outcome?.found;
  return {
    engine: record.engine,
    name: record.name,
    source: record.source,
    target,
    overwrites: plan?.overwrites ?? null,
    how: outcome?.swapped.how ?? plan!.how,
    undo: record.undo,
    safety: record.safety === null ? null : join(folder, record.safety),
    outage_ms: outcome?.swapped.outage_ms ?? null,
    counts: amounts(expected.counts, found?.counts),
    breakdown: amounts(expected.breakdown, found?.breakdown),
    problems: found?.problems ?? [],
    notes: [...(plan?.notes ?? []), ...(outcome?.swapped.notes ?? []), ...(found?.notes ?? [])],
  };
}

type Counts = Readonly<Record<string, number>>;

function amounts(expected: Counts, found: Counts = {}): Part["counts"] {
  const of = (counts: Counts, name: string) => (Object.hasOwn(counts, name) ? counts[name]! : null);
  return [...new Set([...Object.keys(expected), ...Object.keys(found)])].map((name) => ({
    name,
    expected: of(expected, name),
    found: of(found, name),
  }));
}

/** Before it is asked whether to go on. */
export async function notePlan(io: Io, { set, restore, parts }: Planned): Promise<void> {
  const size = set.metadata.files.reduce((sum, file) => sum + file.size_bytes, 0);
  const digests = set.isForeign ? "without digests to compare" : "every digest is right";
  io.note(`${restore.name}: ${set.metadata.files.length} files, ${bytes(size)}, ${digests}`);
  for (const { record, target, plan } of parts) {
    io.note(`${record.engine} ${record.source} → ${target}: replaces ${plan.overwrites}; ${plan.how}`);
    io.note(`  going back: ${WAYS_BACK[plan.undo]}`);
    for (const note of plan.notes) io.note(`  ${note}`);
  }
  for (const note of set.notes) io.note(note);
  const estimate = await estimateRestore(set.archive);
  if (estimate) io.note(`it takes ${estimateText(estimate)}`);
}

/** Columns of `restore`: engine, name, target, what it replaced, what it holds (found, or expected in a dry run), outage, result. */
function columns(isDry: boolean): readonly Column<Part>[] {
  return [
    { header: "ENGINE", value: ({ engine }) => engine },
    { header: "NAME", value: ({ source }) => source },
    { header: "TARGET", value: ({ target }) => target, flexible: true },
    { header: isDry ? "REPLACES" : "REPLACED", value: ({ overwrites }) => overwrites, flexible: true },
    { header: "HOLDS", value: ({ counts }) => countsText(counts), flexible: true },
    { header: isDry ? "HOW" : "OUTAGE", value: (part) => (isDry ? part.how : outage(part)), flexible: true },
    {
      header: "RESULT",
      value: ({ problems }) => (isDry ? "planned" : problems.length === 0 ? "as expected" : problems[0]!),
      style: ({ problems }) => (problems.length === 0 ? "green" : "red"),
      flexible: true,
    },
  ];
}

const outage = ({ outage_ms: ms }: Part) => (ms === null ? null : `${ms} ms`);

/** `120 of 120 rows` */
function countsText(counts: Part["counts"]): string {
  return counts
    .map(({ name, expected, found }) => {
      if (found === null) return `${expected} ${name}`;
      return expected === null ? `${found} ${name}` : `${found} of ${expected} ${name}`;
    })
    .join(", ");
}

/** After `notePlan`: what that said is not said again. */
export async function render(io: Io, data: RestoredData, { parts }: Reported): Promise<void> {
  await printTable(io, columns(data.dry_run), data.parts);
  const said = new Set(parts.flatMap(({ plan }) => plan?.notes ?? []));
  for (const { engine, notes } of data.parts)
    for (const note of notes) if (!said.has(note)) io.note(`${engine}: ${note}`);
  const seconds = (data.duration_ms / 1000).toFixed(1);
  if (data.dry_run)
    io.note(
      `a dry run of ${escapeCell(data.name)}: the archive is whole, and nothing was changed (${seconds} s)`,
    );
  else if (data.state === "done")
    io.note(
      `restored ${escapeCell(data.name)} in ${seconds} s; opsctl restore --rollback goes back, --forget removes what was kept for it`,
    );
}

export function describeUndone(record: RestoreRecord, warnings: string[], durationMs: number): UndoneData {
  const { id, name, state, parts } = record;
  return {
    id,
    name,
    state,
    parts: parts.map(({ engine, name: part, undo, state: partState }) => ({
      engine,
      name: part,
      undo,
      state: partState,
    })),
    warnings,
    duration_ms: durationMs,
  };
}

const UNDONE_COLUMNS: readonly Column<UndoneData["parts"][number]>[] = [
  { header: "ENGINE", value: ({ engine }) => engine },
  { header: "NAME", value: ({ name }) => name, flexible: true },
  { header: "STATE", value: ({ state }) => state },
];

export async function renderUndone(io: Io, data: UndoneData): Promise<void> {
  await printTable(io, UNDONE_COLUMNS, data.parts);
  io.note(
    `the restore ${data.id} of ${escapeCell(data.name)} is ${data.state} (${(data.duration_ms / 1000).toFixed(1)} s)`,
  );
}

/** What was restored counts before the services around it. */
export function failureOf(parts: readonly Part[], warnings: readonly string[]): OpsError | undefined {
  const bad = parts.find(({ problems }) => problems.length > 0);
  if (bad)
    return new OpsError({
      code: "integrity",
      engine: bad.engine,
      message: `${bad.engine} ${bad.name} was restored and is not what the archive says: ${bad.problems[0]}`,
      hint: "opsctl restore --rollback brings back what was there before",
    });
  const hook = warnings.find((text) => text.startsWith("OPSCTL_RESTORE_START"));
  return hook === undefined
    ? undefined
    : new OpsError({
        code: "partial",
        message: hook,
        hint: "the data are restored; start what uses them by hand",
      });
}
