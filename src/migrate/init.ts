import { type Call, throwIfAborted } from "../call.ts";
import { type EngineName, type OpsError, toOpsError } from "../errors.ts";
import type { Change, MigrationTarget } from "./port.ts";
import { applySets, type SetReport } from "./runner.ts";
import { setsOf } from "./sets.ts";
import type { SettingsTarget, WantedSetting } from "./settings-port.ts";

/** One server or file to initialise: what its engine can do of it. */
export interface InitTarget {
  engine: EngineName;
  /** Its URL without secrets. */
  shown: string;
  migrations(): Promise<MigrationTarget | undefined>;
  settings(): Promise<SettingsTarget | undefined>;
}

export interface InitOptions {
  dryRun: boolean;
  /** Settings to compare a server's with; null: leave them alone. */
  settings: readonly WantedSetting[] | null;
  /** Asks before settings destroy data. Throws when the answer is no. */
  confirm(target: InitTarget, changes: readonly Change[], risks: readonly string[]): Promise<void>;
}

export interface Initialized {
  engine: EngineName;
  target: string;
  status: "initialized" | "unchanged" | "planned" | "skipped" | "failed";
  changes: Change[];
  sets: SetReport[];
  statements: string[];
  notes: string[];
  error: OpsError | null;
}

/**
 * Initialises targets one by one; a failure becomes that target's result, so that the others still get their turn. What needs a
 * confirmation comes first: a refusal must not leave half of the others done.
 * @throws OpsError `usage` when a confirmation is refused, and of an aborted call
 */
export async function initialize(
  call: Call,
  targets: readonly InitTarget[],
  options: InitOptions,
): Promise<Initialized[]> {
  const risky = targets.filter(({ engine }) => setsOf(engine).length === 0);
  const results = new Map<InitTarget, Initialized>();
  for (const target of [...risky, ...targets.filter((one) => !risky.includes(one))]) {
    results.set(target, await initializeOne(call, target, options));
  }
  return targets.map((target) => results.get(target)!);
}

async function initializeOne(call: Call, target: InitTarget, options: InitOptions): Promise<Initialized> {
  const { engine, shown } = target;
  const result: Initialized = {
    engine,
    target: shown,
    status: "unchanged",
    changes: [],
    sets: [],
    statements: [],
    notes: [],
    error: null,
  };
  try {
    const migrations = await target.migrations();
    if (migrations) {
      const { changes, sets, statements } = await applySets(call, migrations, setsOf(engine), options.dryRun);
      Object.assign(result, { changes, sets, statements });
    }
    const settings = await target.settings();
    if (settings) await applySettings(call, target, settings, options, result);
    if (result.status === "unchanged" && hasChanges(result)) {
      result.status = options.dryRun ? "planned" : "initialized";
    }
  } catch (error) {
    throwIfAborted(call);
    result.error = toOpsError(error);
    if (result.error.code === "usage") throw result.error;
    result.status = "failed";
  }
  return result;
}

function hasChanges({ changes, sets }: Initialized): boolean {
  return changes.length > 0 || sets.some(({ state }) => state === "applied" || state === "planned");
}

async function applySettings(
  call: Call,
  target: InitTarget,
  settings: SettingsTarget,
  { settings: wanted, dryRun, confirm }: InitOptions,
  result: Initialized,
): Promise<void> {
  if (wanted === null) {
    result.notes.push("settings were left alone");
    result.status = "skipped";
    return;
  }
  const changes = await settings.compare(call, wanted);
  const risks = changes.length === 0 ? [] : await settings.risks(call, changes);
  result.changes.push(...changes);
  if (dryRun) result.notes.push(...risks);
  if (dryRun || changes.length === 0) return;
  if (risks.length > 0) await confirm(target, changes, risks);
  result.notes.push(...(await settings.apply(call, changes)));
}
