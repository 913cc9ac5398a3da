import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { App } from "../app.ts";
import { listArchives } from "../backup/archives.ts";
import type { Call } from "../call.ts";
import type { Target } from "../config/targets.ts";
import { type EngineName, OpsError, toOpsError } from "../errors.ts";
import type { EngineSchema, KnownSecret, StackScope } from "../health/doctor/scope.ts";
import type { EngineReport } from "../health/probes.ts";
import { type ChosenSets, chooseSets, DEFAULT_SETS } from "../migrate/choose.ts";
import { folderSource } from "../migrate/source.ts";
import { archiveFolder } from "./backup-folder.ts";
import type { Context } from "./command.ts";
import { folderOf, shownFolder } from "./migrate-sources.ts";

/** The oldest are what is worth a finding. */
const QUEUED = 1_000;

/** What checks beside the engines work with. Everything that costs is asked when the first check asks, and then known. */
export function stackScope(context: Context, engines: readonly EngineReport[]): StackScope {
  const { app } = context;
  const archives = archiveFolder(context, undefined);
  const schemas = new Map<EngineName, Promise<EngineSchema>>();
  const listed = once(async () => (existsSync(archives) ? listArchives(archives) : []));
  return {
    root: app.config.text("OPSCTL_HOST_ROOT")!,
    thresholds: app.thresholds,
    now: Date.now(),
    targets: targetsInUse(app),
    engines,
    secrets: knownSecrets(app),
    files: {
      data: app.dataFile,
      state: app.stateFile,
      config: app.config.file,
      dotenv: dotenvOf(app),
      archives,
    },
    archives: listed,
    archivesInUse: (call) => isLocked(app, call, archives),
    restores: async (call) => {
      if (!existsSync(app.stateFile)) return undefined;
      return (await app.restoreJournal()).list(call);
    },
    queue: (call) => app.stores().journal.counts(call),
    queued: (call) => app.stores().journal.list(call, QUEUED),
    schema: (call, engine) => {
      const known = schemas.get(engine) ?? schemaOf(context, call, engine);
      schemas.set(engine, known);
      return known;
    },
    ask: async (call, file, args) => (await import("../child.ts")).readTool(call, file, args),
  };
}

function once<T>(ask: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | undefined;
  return () => {
    answer ??= ask();
    return answer;
  };
}

function targetsInUse(app: App): Target[] {
  return app.configured().map((name) => app.targets[name]!);
}

async function isLocked(app: App, call: Call, folder: string): Promise<boolean> {
  try {
    await (await app.backupLock(call, folder)).release();
    return false;
  } catch (error) {
    if (toOpsError(error).code === "locked") return true;
    throw error;
  }
}

function chosenSets({ config }: App): ChosenSets {
  const setting = config.text("OPSCTL_SETS");
  return setting === undefined ? DEFAULT_SETS : chooseSets(setting, "OPSCTL_SETS", null);
}

async function schemaOf(context: Context, call: Call, engine: EngineName): Promise<EngineSchema> {
  const { app } = context;
  const target = app.targets[engine];
  const migrations = target && (await app.migrations(target));
  if (!migrations) throw new OpsError({ code: "failed", engine, message: `${engine} has no migrations` });
  const { areNamed, of } = chosenSets(app);
  const place = folderOf(context, engine);
  return {
    migrations,
    history: await migrations.history(call),
    chosen: of(engine),
    areNamed,
    user: existsSync(place) ? folderSource(engine, place, shownFolder(context, engine), "auto") : null,
  };
}

function dotenvOf({ config }: App): string | null {
  if (config.file === null) return null;
  const path = join(dirname(config.file), ".env");
  return existsSync(path) ? path : null;
}

function knownSecrets({ config }: App): KnownSecret[] {
  return config.resolved.flatMap(({ setting, value, source, file }) => {
    if (!setting.secret || value === undefined) return [];
    const text = setting.secret === "url" ? passwordIn(value) : value;
    const path = file === undefined ? null : resolve(config.cwd, file);
    return text === "" ? [] : [{ name: setting.name, value: text, source, file: path }];
  });
}

/** The password in a URL; empty when there is none. */
function passwordIn(url: string): string {
  try {
    return decodeURIComponent(new URL(url).password);
  } catch {
    // a URL that is none was refused when the targets were made
    return "";
  }
}
