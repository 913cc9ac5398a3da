/** What a person says about a version when history alone cannot know. */
import type { Call } from "../call.ts";
import { OpsError, usageError } from "../errors.ts";
import type { Entry } from "./history.ts";
import { commandOf, findVersion } from "./plan.ts";
import type { HistoryRow, MigrationTarget, Script } from "./port.ts";
import { appliedRow, lastTime, type RunOptions, readEntries, run } from "./runner.ts";
import type { Source } from "./source.ts";
import { executedChecksum } from "./stepwise.ts";

export const MARKS = ["applied", "failed", "reverted"] as const;
/**
 * `applied`: the database is as the whole file wants it (of an edited file: as it is now) · `failed`: the statement that was under way had no
 * effect, the next run goes on with it · `reverted`: nothing of the file is there.
 */
export type Mark = (typeof MARKS)[number];

export interface Repaired {
  version: string;
  file: string;
  before: Entry["state"];
  after: Entry["state"];
}

export interface RepairOptions {
  /** Undefined: the one that is broken off. */
  version?: string | undefined;
  lockWaitMs: number;
}

/**
 * Writes what `mark` says into history; runs nothing.
 * @throws OpsError `usage` when there is nothing to mark, or the mark says nothing about that version
 */
export async function markVersion(
  call: Call,
  target: MigrationTarget,
  source: Source,
  mark: Mark,
  { version, lockWaitMs }: RepairOptions,
): Promise<Repaired> {
  await target.prepare(call, [source.set], false);
  return target.exclusively(call, lockWaitMs, async () => {
    const entries = await readEntries(call, target, source);
    const entry = choose(source, entries, version);
    const row = markedRow(call, target, source, entry, mark, lastTime(entries));
    if (row !== null) await target.record(call, [row]);
    return report(entry, row === null ? entry.state : mark);
  });
}

/**
 * Runs a broken-off file from the statement on that was under way, or from statement number `from` (1 is the first).
 * @throws OpsError as `run`; `usage` when no file is broken off, or it has no such statement
 */
export async function retryVersion(
  call: Call,
  target: MigrationTarget,
  source: Source,
  { version, from, ...options }: RepairOptions & Omit<RunOptions, "extent"> & { from?: number | undefined },
): Promise<Repaired> {
  const entry = await target.exclusively(call, options.lockWaitMs, async () => {
    const chosen = choose(source, await readEntries(call, target, source), version);
    const { row, script, statements } = brokenScript(target, source, chosen);
    const done = from === undefined ? row.statement_index : from - 1;
    if (done > statements.length) {
      throw usageError(
        `--statement: ${script.file} has ${statements.length} statements`,
        "count them from 1",
      );
    }
    // a number is a person's word about the statements before it; without one they must be those that have run
    const checksum = from === undefined ? row.checksum : executedChecksum(statements, done);
    await target.record(call, [{ ...row, state: "failed", statement_index: done, checksum }]);
    return chosen;
  });
  await run(call, target, source, entry.broken!, { ...options, extent: { only: entry.version } });
  return report(entry, entry.broken === "up" ? "applied" : "reverted");
}

function choose(source: Source, entries: readonly Entry[], version: string | undefined): Entry {
  if (version !== undefined) return findVersion(source, entries, version, "VERSION");
  const broken = entries.filter((entry) => entry.broken !== null);
  if (broken.length === 1) return broken[0]!;
  throw usageError(
    broken.length === 0
      ? `nothing of ${source.title} is broken off`
      : `${broken.length} files are broken off`,
    broken.length === 0
      ? commandOf("status", source)
      : `name one: ${commandOf("repair", source, "VERSION --retry")}`,
  );
}

function brokenScript(target: MigrationTarget, source: Source, { broken, migration, row, version }: Entry) {
  const script: Script | null | undefined = broken === "down" ? migration?.down : migration?.up;
  if (broken === null || !row || !script) {
    throw usageError(
      `${version} is not broken off: there is nothing to go on with`,
      commandOf("status", source),
    );
  }
  return { row, script, statements: target.statements(script.text) };
}

/** Null: history says so already. */
function markedRow(
  call: Call,
  target: MigrationTarget,
  source: Source,
  entry: Entry,
  mark: Mark,
  latest: number,
): HistoryRow | null {
  const { state, migration, row, version } = entry;
  if (state === mark) return null;
  if (mark === "failed") {
    const { row: broken, script } = brokenScript(target, source, entry);
    return { ...broken, file: script.file, state: "failed" };
  }
  if (mark === "reverted") {
    if (!row) throw usageError(`${version} was never applied`, commandOf("status", source));
    return { ...row, state: "reverted", statement_index: 0, file: migration?.up.file ?? row.file };
  }
  if (!migration) {
    throw new OpsError({
      code: "integrity",
      engine: source.engine,
      message: `${version} has no file in ${source.place}: it cannot be marked as applied`,
      hint: "put the file back; --mark reverted forgets the version",
    });
  }
  // the order of rollbacks stays
  return appliedRow(call, migration, row?.applied_at ?? Math.max(Date.now(), latest + 1));
}

function report(entry: Entry, after: Entry["state"]): Repaired {
  const file = entry.migration?.up.file ?? entry.row!.file;
  return { version: entry.version, file, before: entry.state, after };
}
