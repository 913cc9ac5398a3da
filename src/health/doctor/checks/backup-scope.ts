/** What the checks of archives share. */
import { type Archive, isGood } from "../../../backup/archives.ts";
import { timeOf } from "../../../backup/timeline.ts";
import type { EngineName } from "../../../errors.ts";
import type { StackScope } from "../scope.ts";

/** Sets, oldest first: a single file holds one engine, and is made by hand. */
export async function setsIn(scope: StackScope): Promise<Archive[]> {
  return (await scope.archives()).filter(({ container }) => container !== "file");
}

/** Engines of which an archive has all parts. */
function wholeEngines({ sidecar }: Archive): EngineName[] {
  const parts = sidecar?.metadata.parts ?? [];
  const failed = new Set(parts.filter(({ state }) => state !== "complete").map(({ engine }) => engine));
  return [...new Set(parts.map(({ engine }) => engine))].filter((engine) => !failed.has(engine));
}

/** The newest good archive that holds an engine, single files included. */
export function newestOf(archives: readonly Archive[], engine: EngineName): Archive | undefined {
  return archives.findLast((archive) => isGood(archive) && wholeEngines(archive).includes(engine));
}

/** ms; null: nothing says when it was made. */
export function ageOf(archive: Archive, { now }: StackScope): number | null {
  const at = timeOf(archive);
  return at === null ? null : now - at;
}

/** Engines that are configured: what a backup should hold. */
export function wantedEngines({ targets }: StackScope): EngineName[] {
  return targets.map(({ engine }) => engine);
}
