import type { App } from "../app.ts";
import type { EngineName } from "../errors.ts";
import type { DataScope } from "../health/doctor/data-paths.ts";
import { TITLES } from "../health/doctor/words.ts";
import type { EngineProbe } from "../health/probes.ts";
import { archiveFolder } from "./backup-folder.ts";
import type { Context } from "./command.ts";

/** How to ask each of these engines; by default all that are configured. */
export function engineProbes(app: App, names: readonly EngineName[] = app.configured()): EngineProbe[] {
  return names.map((name) => ({
    name,
    title: TITLES[name],
    probe: () => app.probe(app.targets[name]!),
  }));
}

/** Where the data of this configuration may be on this host. */
export function dataScope(context: Context): DataScope {
  const { app } = context;
  return {
    root: app.config.text("OPSCTL_HOST_ROOT")!,
    targets: app.configured().map((name) => app.targets[name]!),
    files: { data: app.dataFile, state: app.stateFile, archives: archiveFolder(context, undefined) },
  };
}

/** The files and folders whose file systems count. */
export async function dataFolders(context: Context): Promise<string[]> {
  const { dataPaths } = await import("../health/doctor/data-paths.ts");
  return (await dataPaths(dataScope(context))).map(({ path }) => path);
}
