import { type EngineName, toOpsError } from "../errors.ts";
import type { Change } from "../migrate/port.ts";
import { applySets } from "../migrate/runner.ts";
import { setsOf } from "../migrate/sets.ts";
import type { SettingsTarget, WantedSetting } from "../migrate/settings-port.ts";
import { type Context, confirm } from "./command.ts";
import type { EngineRow, InitOptions } from "./init.ts";

/** Initialises one engine; a failure becomes its row, so that the others still get their turn. */
export async function initEngine(
  context: Context,
  engine: EngineName,
  redisSettings: readonly WantedSetting[],
  options: InitOptions,
): Promise<EngineRow> {
  const { app, call } = context;
  const target = app.targets[engine]!;
  const row: EngineRow = {
    engine,
    target: target.shown,
    status: "unchanged",
    changes: [],
    sets: [],
    statements: [],
    notes: [],
    error: null,
  };
  try {
    const migrations = await app.migrations(target);
    if (migrations) {
      const report = await applySets(call, migrations, setsOf(engine), options.dryRun === true);
      row.changes.push(...report.changes);
      row.statements.push(...report.statements);
      row.sets.push(
        ...report.sets.map(({ set, schemaVersion, state, versions, reason, counts }) => ({
          set,
          schema_version: schemaVersion,
          state,
          versions,
          reason,
          counts,
        })),
      );
    }
    const settings = await app.settings(target);
    if (settings) await initSettings(context, settings, redisSettings, options, row);
    if (row.status === "unchanged") row.status = statusOf(row, options);
  } catch (error) {
    const known = toOpsError(error);
    if (known.code === "usage" || call.signal.aborted) throw known;
    row.status = "failed";
    row.error = { code: known.code, message: known.message, hint: known.hint ?? null };
  }
  return row;
}

function statusOf(row: EngineRow, { dryRun }: InitOptions): EngineRow["status"] {
  const changed =
    row.changes.length > 0 || row.sets.some(({ state }) => state === "applied" || state === "planned");
  if (!changed) return "unchanged";
  return dryRun ? "planned" : "initialized";
}

async function initSettings(
  context: Context,
  settings: SettingsTarget,
  wanted: readonly WantedSetting[],
  options: InitOptions,
  row: EngineRow,
): Promise<void> {
  if (options.skipConfig) {
    row.notes.push("settings were left alone (--skip-config)");
    row.status = "skipped";
    return;
  }
  const { call } = context;
  const changes: Change[] = await settings.compare(call, wanted);
  const risks = changes.length === 0 ? [] : await settings.risks(call, changes);
  row.changes.push(...changes);
  if (options.dryRun) row.notes.push(...risks);
  if (options.dryRun || changes.length === 0) return;
  if (risks.length > 0) {
    for (const risk of risks) context.io.note(`redis: ${risk}`);
    await confirm(
      context,
      options.yes,
      `setting ${changes.map(({ name }) => name).join(", ")} on ${row.target}`,
    );
  }
  row.notes.push(...(await settings.apply(call, changes)));
}
