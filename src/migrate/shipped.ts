/** Shipped sets through the same runner as the user's folder: what `init` and the embedded file do. */
import type { Call } from "../call.ts";
import { OpsError } from "../errors.ts";
import type { Planned } from "./plan.ts";
import type { Change, HistoryRow, MigrationTarget } from "./port.ts";
import { DEFAULT_LIMITS, DEFAULT_LOCK_WAIT_MS, plan, run } from "./runner.ts";
import type { ShippedSet } from "./sets.ts";
import { shippedSource } from "./source.ts";

export interface SetReport {
  set: string;
  schemaVersion: string;
  /** `applied`: now; `unchanged`: before; `planned`: by a dry run; `unavailable`: cannot be had here. */
  state: "applied" | "unchanged" | "planned" | "unavailable";
  /** Versions applied now, or planned. */
  versions: string[];
  /** Why it is unavailable. */
  reason: string | null;
  counts: Record<string, number>;
}

export interface InitReport {
  changes: Change[];
  sets: SetReport[];
  /** Statements that a dry run would have sent. */
  statements: string[];
}

/**
 * Applies what is missing of the given sets. Nothing missing: takes no lock, writes nothing.
 * @param report filled as the work goes on, so that what was done before a failure is known
 * @throws OpsError `integrity` when an applied file was edited, `failed` when the store was written by a newer opsctl
 */
export async function applySets(
  call: Call,
  target: MigrationTarget,
  sets: readonly ShippedSet[],
  dryRun: boolean,
  report: InitReport = { changes: [], sets: [], statements: [] },
): Promise<InitReport> {
  const wanted: ShippedSet[] = [];
  for (const shipped of sets) {
    const reason = await target.unavailable(call, shipped.set);
    if (reason === null) wanted.push(shipped);
    else report.sets.push(reportOf(shipped, "unavailable", [], reason));
  }
  if (wanted.length === 0) return report;
  const history = await target.history(call);
  for (const shipped of wanted) refuseNewer(history, shipped, `the ${shipped.engine} schema`);
  const names = wanted.map((shipped) => shipped.set);
  report.changes.push(...(await target.prepare(call, names, dryRun)));
  for (const shipped of wanted) {
    if (dryRun) await planSet(call, target, shipped, report);
    else await applySet(call, target, shipped, report);
  }
  return report;
}

async function planSet(
  call: Call,
  target: MigrationTarget,
  shipped: ShippedSet,
  report: InitReport,
): Promise<void> {
  const planned = await plan(call, target, shippedSource(shipped.engine, shipped.set), "up", {});
  const versions = planned.map(({ entry }) => entry.version);
  report.statements.push(...planned.flatMap((one) => statementsOf(target, one)));
  report.sets.push(reportOf(shipped, versions.length > 0 ? "planned" : "unchanged", versions, null));
}

async function applySet(
  call: Call,
  target: MigrationTarget,
  shipped: ShippedSet,
  report: InitReport,
): Promise<void> {
  const versions: string[] = [];
  await run(call, target, shippedSource(shipped.engine, shipped.set), "up", {
    extent: {},
    lockWaitMs: DEFAULT_LOCK_WAIT_MS,
    limits: DEFAULT_LIMITS,
    onDone: ({ migration }) => versions.push(migration.version),
  });
  const done = reportOf(shipped, versions.length > 0 ? "applied" : "unchanged", versions, null);
  report.sets.push(done);
  done.counts = await target.verify(call, shipped.set);
}

/** What is left to run of a planned file, one text a statement. */
export function statementsOf(
  target: Pick<MigrationTarget, "statements">,
  { script, from }: Planned,
): string[] {
  return target
    .statements(script.text)
    .slice(from)
    .map(({ text }) => text);
}

/**
 * Throws when a store's history names files that this program does not know: it would misread what they made.
 * @throws OpsError `failed`
 */
export function refuseNewer(history: readonly HistoryRow[], shipped: ShippedSet, where: string): void {
  const newer = history.find(
    (row) => row.set_name === shipped.set && row.state === "applied" && row.seq > shipped.latest,
  );
  if (!newer) return;
  throw new OpsError({
    code: "failed",
    engine: shipped.engine,
    message: `${where} was written by a newer opsctl (${newer.tool_version}, schema ${newer.set_name} ${newer.version})`,
    hint: "upgrade opsctl on this host",
  });
}

function reportOf(
  shipped: ShippedSet,
  state: SetReport["state"],
  versions: string[],
  reason: string | null,
): SetReport {
  return { set: shipped.set, schemaVersion: shipped.schemaVersion, state, versions, reason, counts: {} };
}
