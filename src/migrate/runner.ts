import { type Call, throwIfAborted } from "../call.ts";
import { OpsError } from "../errors.ts";
import { TOOL_VERSION } from "../package.ts";
import { shippedMigrations } from "./files.ts";
import type { Change, HistoryRow, Migration, MigrationTarget } from "./port.ts";
import type { ShippedSet } from "./sets.ts";

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
 * @throws OpsError `failed` when an applied file was edited, or the store was written by a newer opsctl
 */
export async function applySets(
  call: Call,
  target: MigrationTarget,
  sets: readonly ShippedSet[],
  dryRun: boolean,
): Promise<InitReport> {
  const wanted: ShippedSet[] = [];
  const unavailable: SetReport[] = [];
  for (const shipped of sets) {
    const reason = await target.unavailable(call, shipped.set);
    if (reason === null) wanted.push(shipped);
    else unavailable.push(report(shipped, "unavailable", [], reason));
  }
  const names = wanted.map((shipped) => shipped.set);
  if (dryRun) return planSets(call, target, wanted, unavailable);

  const changes = await target.prepare(call, names, false);
  let pending = pendingOf(wanted, await target.history(call));
  const applied = new Map<string, string[]>();
  if (pending.length > 0) {
    await target.exclusively(call, async () => {
      // another runner may have worked while this one waited for the lock
      pending = pendingOf(wanted, await target.history(call));
      for (const migration of pending) {
        throwIfAborted(call);
        await target.apply(call, migration, historyRow(call, migration));
        applied.set(migration.set, [...(applied.get(migration.set) ?? []), migration.version]);
      }
    });
  }
  const reports: SetReport[] = [];
  for (const shipped of wanted) {
    const versions = applied.get(shipped.set) ?? [];
    const done = report(shipped, versions.length > 0 ? "applied" : "unchanged", versions, null);
    done.counts = await target.verify(call, shipped.set);
    reports.push(done);
  }
  return { changes, sets: [...reports, ...unavailable], statements: [] };
}

async function planSets(
  call: Call,
  target: MigrationTarget,
  wanted: readonly ShippedSet[],
  unavailable: SetReport[],
): Promise<InitReport> {
  const names = wanted.map((shipped) => shipped.set);
  const changes = await target.prepare(call, names, true);
  const pending = pendingOf(wanted, await target.history(call));
  const reports = wanted.map((shipped) => {
    const versions = pending.filter(({ set }) => set === shipped.set).map(({ version }) => version);
    return report(shipped, versions.length > 0 ? "planned" : "unchanged", versions, null);
  });
  const statements = pending.flatMap((migration) => target.statements(migration.text));
  return { changes, sets: [...reports, ...unavailable], statements };
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

/** Files of the sets that history does not call applied, in order. */
function pendingOf(sets: readonly ShippedSet[], history: readonly HistoryRow[]): Migration[] {
  return sets.flatMap((shipped) => {
    refuseNewer(history, shipped, `the ${shipped.engine} schema`);
    const rows = new Map(
      history.filter((row) => row.set_name === shipped.set).map((row) => [row.version, row]),
    );
    return shippedMigrations(shipped.engine, shipped.set).filter((migration) => {
      const row = rows.get(migration.version);
      if (row?.state !== "applied") return true;
      if (row.checksum !== migration.checksum) throw editedFile(migration, row);
      return false;
    });
  });
}

function editedFile(migration: Migration, row: HistoryRow): OpsError {
  return new OpsError({
    code: "failed",
    message:
      `${migration.set}/${migration.file} differs from the file that was applied: ` +
      `history has ${row.checksum}, the file is ${migration.checksum}`,
    hint: "restore the file as it was applied; changes belong into a new version",
  });
}

function historyRow(call: Call, migration: Migration) {
  return {
    set_name: migration.set,
    version: migration.version,
    seq: migration.seq,
    file: migration.file,
    description: migration.description,
    checksum: migration.checksum,
    applied_by: call.actor,
    applied_at: Date.now(),
    tool_version: TOOL_VERSION,
  };
}

function report(
  shipped: ShippedSet,
  state: SetReport["state"],
  versions: string[],
  reason: string | null,
): SetReport {
  return { set: shipped.set, schemaVersion: shipped.schemaVersion, state, versions, reason, counts: {} };
}
