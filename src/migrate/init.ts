import { type Call, throwIfAborted } from "../call.ts";
import { type EngineName, OpsError, toOpsError } from "../errors.ts";
import type { ChosenSets } from "./choose.ts";
import type { Change, MigrationTarget } from "./port.ts";
import type { SettingsTarget, WantedSetting } from "./settings-port.ts";
import { applySets, type InitReport } from "./shipped.ts";

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
  sets: ChosenSets;
  /** Settings to compare a server's with; null: leave them alone. */
  settings: readonly WantedSetting[] | null;
  /** Asks before settings destroy data. Throws when the answer is no. */
  confirm(target: InitTarget, changes: readonly Change[], risks: readonly string[]): Promise<void>;
}

export interface Initialized extends InitReport {
  engine: EngineName;
  target: string;
  /** `skipped`: there was nothing to do for it. */
  status: "initialized" | "unchanged" | "planned" | "skipped" | "failed";
  notes: string[];
  error: OpsError | null;
}

/**
 * Initialises targets one by one; a failure becomes that target's result, so that the others still get their turn. What may ask for a
 * confirmation comes first: a refusal must not leave half of the others done.
 * @throws OpsError `usage` when a confirmation is refused, and of an aborted call
 */
export async function initialize(
  call: Call,
  targets: readonly InitTarget[],
  options: InitOptions,
): Promise<Initialized[]> {
  const asking: InitTarget[] = [];
  for (const target of targets) if (await hasSettings(target)) asking.push(target);
  const results = new Map<InitTarget, Initialized>();
  for (const target of [...asking, ...targets.filter((one) => !asking.includes(one))]) {
    results.set(target, await initializeOne(call, target, options));
  }
  return targets.map((target) => results.get(target)!);
}

/** An engine that cannot be had says why in its turn. */
async function hasSettings(target: InitTarget): Promise<boolean> {
  return (await target.settings().catch(() => undefined)) !== undefined;
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
    // settings before sets: here, too, a refused confirmation leaves nothing half done
    const hasSettled = await applySettings(call, target, options, result);
    const hasSets = await applyChosen(call, target, options, result);
    if (hasChanges(result)) result.status = options.dryRun ? "planned" : "initialized";
    else if (!hasSettled && !hasSets) result.status = "skipped";
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

/** @returns whether there were sets to look at */
async function applyChosen(
  call: Call,
  target: InitTarget,
  { sets, dryRun }: InitOptions,
  result: Initialized,
): Promise<boolean> {
  const { engine } = target;
  const chosen = sets.of(engine);
  if (chosen.length === 0) {
    if (sets.areNamed) result.notes.push(`none of the named sets is for ${engine}`);
    return false;
  }
  const migrations = await target.migrations();
  if (!migrations) return false;
  await applySets(call, migrations, chosen, dryRun, result);
  const missing = result.sets.filter(({ state }) => state === "unavailable");
  if (!sets.areNamed || missing.length === 0) return true;
  throw new OpsError({
    code: "failed",
    engine,
    message: missing.map(({ set, reason }) => `the set "${set}" cannot be applied: ${reason}`).join("; "),
    hint: "provide what is missing, or leave the set out",
  });
}

/** @returns whether there were settings to look at */
async function applySettings(
  call: Call,
  target: InitTarget,
  { settings: wanted, dryRun, confirm }: InitOptions,
  result: Initialized,
): Promise<boolean> {
  const settings = await target.settings();
  if (!settings) return false;
  if (wanted === null) {
    result.notes.push("settings were left alone");
    return false;
  }
  const changes = await settings.compare(call, wanted);
  const risks = changes.length === 0 ? [] : await settings.risks(call, changes);
  result.changes.push(...changes);
  if (dryRun) result.notes.push(...risks);
  if (dryRun || changes.length === 0) return true;
  if (risks.length > 0) await confirm(target, changes, risks);
  result.notes.push(...(await settings.apply(call, changes)));
  return true;
}
