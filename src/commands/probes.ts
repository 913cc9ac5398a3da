import type { App } from "../app.ts";
import type { EngineName } from "../errors.ts";
import { TITLES } from "../health/doctor/words.ts";
import type { EngineProbe } from "../health/probes.ts";

/** How to ask each of these engines; by default all that are configured. */
export function engineProbes(app: App, names: readonly EngineName[] = app.configured()): EngineProbe[] {
  return names.map((name) => ({
    name,
    title: TITLES[name],
    probe: () => app.probe(app.targets[name]!),
  }));
}
