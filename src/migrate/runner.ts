import { setImmediate as nextTurn } from "node:timers/promises";
import { type Call, throwIfAborted } from "../call.ts";
import { OpsError } from "../errors.ts";
import { TOOL_VERSION } from "../package.ts";
import { type Entry, entriesOf } from "./history.ts";
import { commandOf, type Extent, type Planned, planDown, planUp } from "./plan.ts";
import type { Change, Direction, HistoryRow, Migration, MigrationTarget, Step, StepLimits } from "./port.ts";
import { type Source, USER_SET } from "./source.ts";

export interface RunOptions {
  extent: Extent;
  /** How long to wait while another runner works, ms. */
  lockWaitMs: number;
  limits: StepLimits;
  /** Called after each file, once it is recorded. */
  onDone(done: Done): void;
  /** Called once, after the lock is there, before the first file runs (a copy of the file is made). */
  beforeFirst?: ((first: Planned) => Promise<void>) | undefined;
}

/** A file that has run. */
export interface Done {
  migration: Migration;
  direction: Direction;
  file: string;
  durationMs: number;
  /** Its number is lower than one that was applied before it. */
  isLate: boolean;
  /** Statements that an earlier run had done. */
  resumedAt: number;
}

/** What shipped sets and commands wait for when nobody says otherwise. */
export const DEFAULT_LOCK_WAIT_MS = 300_000;
export const DEFAULT_LIMITS: StepLimits = { lockTimeoutMs: 5_000, statementTimeoutMs: null };

/** What `up` or `down` would run now. Writes nothing, takes no lock. @throws OpsError as `planUp` and `planDown` */
export async function plan(
  call: Call,
  target: MigrationTarget,
  source: Source,
  direction: Direction,
  extent: Extent,
): Promise<Planned[]> {
  return planFrom(await readEntries(call, target, source), call, target, source, direction, extent);
}

async function planFrom(
  entries: readonly Entry[],
  ...[call, target, source, direction, extent]: Parameters<typeof plan>
): Promise<Planned[]> {
  if (direction === "down") return planDown(source, entries, target, extent);
  const planned = planUp(source, entries, target, extent);
  if (planned.length > 0) await refuseOccupied(call, target, source, entries);
  return planned;
}

/**
 * Runs what is to be run of a source, file by file, each recorded as soon as it is done. Nothing to run: takes no lock, writes nothing.
 * @returns what changed besides: a created database, extensions
 * @throws OpsError of the first file that fails; what was reported by `onDone` before stays
 */
export async function run(
  call: Call,
  target: MigrationTarget,
  source: Source,
  direction: Direction,
  options: RunOptions,
): Promise<Change[]> {
  const work = [call, target, source, direction, options.extent] as const;
  const entries = await readEntries(call, target, source);
  // `running` may be another runner's file that is under way right now: only inside the lock does it mean that one broke off
  const isUnderWay = entries.some(({ state }) => state === "running");
  if (!isUnderWay && (await planFrom(entries, ...work)).length === 0) return [];
  const changes = await target.prepare(call, [source.set], false);
  await target.exclusively(call, options.lockWaitMs, async () => {
    // another runner may have worked while this one waited for the lock
    const entries = await readEntries(call, target, source);
    const planned = await planFrom(entries, ...work);
    let clock = lastTime(entries);
    if (planned.length > 0) await options.beforeFirst?.(planned[0]!);
    for (const [index, one] of planned.entries()) {
      // an engine that runs in this process (SQLite) keeps it busy: a signal is heard here
      await nextTurn();
      throwIfAborted(call);
      call.progress({ label: one.script.file, done: index, total: planned.length, unit: "files" });
      clock = Math.max(Date.now(), clock + 1);
      await runOne(call, target, one, direction, clock, options);
    }
  });
  return changes;
}

async function runOne(
  call: Call,
  target: MigrationTarget,
  { entry, script, from }: Planned,
  direction: Direction,
  appliedAt: number,
  { limits, onDone }: RunOptions,
): Promise<void> {
  const migration = entry.migration!;
  const step: Step = { migration, direction, script, row: newRow(call, migration, appliedAt), from, limits };
  const startedAt = performance.now();
  await target.run(call, step);
  const durationMs = Math.round(performance.now() - startedAt);
  onDone({ migration, direction, file: script.file, durationMs, isLate: entry.isLate, resumedAt: from });
}

/** Files and history of a source, version by version. */
export async function readEntries(call: Call, target: MigrationTarget, source: Source): Promise<Entry[]> {
  const rows = await target.history(call);
  return entriesOf(
    source.migrations,
    rows.filter(({ set_name }) => set_name === source.set),
  );
}

/**
 * When the last file was applied, ms. What comes next is later, whatever the clock of this host says: rollbacks go by the order of
 * application, and hosts' clocks differ.
 */
export function lastTime(entries: readonly Entry[]): number {
  return Math.max(0, ...entries.map(({ row }) => row?.applied_at ?? 0));
}

/** The row of a migration, with what does not depend on the outcome. */
function newRow(call: Call, migration: Migration, appliedAt: number): Step["row"] {
  return {
    set_name: migration.set,
    version: migration.version,
    seq: migration.seq,
    file: migration.up.file,
    description: migration.description,
    checksum: migration.up.checksum,
    applied_by: call.actor,
    applied_at: appliedAt,
    tool_version: TOOL_VERSION,
  };
}

/**
 * A database that holds tables and has no history was made by something else: the first file would meet them. Shipped sets install
 * beside anything.
 */
async function refuseOccupied(
  call: Call,
  target: MigrationTarget,
  source: Source,
  entries: readonly Entry[],
): Promise<void> {
  if (source.set !== USER_SET || entries.some(({ row }) => row !== undefined)) return;
  const names = await target.occupants(call);
  if (names.length === 0) return;
  // asked in this order: what another runner has made since `entries` were read is in the history by now
  const rows = await target.history(call);
  if (rows.some(({ set_name }) => set_name === USER_SET)) return;
  throw new OpsError({
    code: "failed",
    engine: source.engine,
    message: `the database is not empty (${names.join(", ")}), and opsctl has no history of ${source.title} in it; nothing was changed`,
    hint:
      `${commandOf("baseline", source, "VERSION")} says which files it holds already ` +
      "(0: none of them), --from-history takes that from another tool's table",
  });
}

/** Row of history whose columns are all there, for baseline and repair. */
export function appliedRow(call: Call, migration: Migration, appliedAt: number): HistoryRow {
  return { ...newRow(call, migration, appliedAt), state: "applied", statement_index: 0, duration_ms: 0 };
}
