import type { Call } from "../call.ts";
import type { Target } from "../config/targets.ts";
import type { RestoreRecord } from "../restore/journal.ts";
import type { PlacedKind } from "./cleanup.ts";
import type { CleanupItem } from "./port.ts";

/** What drills and restores that are over left on a server. */
export function scratchKind(
  target: Target,
  leftovers: (call: Call, target: Target) => Promise<CleanupItem[]>,
): PlacedKind {
  return {
    kind: "scratch_databases",
    title: `scratch databases of dead runs on ${target.shown}`,
    engine: target.engine,
    find: (call) => leftovers(call, target),
  };
}

/** Restores whose folders and databases may still be needed: to go on, or to go back. */
export function restoresInUse(restores: readonly RestoreRecord[]): RestoreRecord[] {
  return restores.filter(({ state }) => state !== "undone" && state !== "forgotten");
}

/** Names that such restores have on servers, and their ids, which are in the names of what they make: `app__opsctl_old_1a2b3c4d`. */
export function namesInUse(restores: readonly RestoreRecord[]): string[] {
  const names = restoresInUse(restores).flatMap(({ id, parts }) => [
    id,
    ...parts.flatMap(({ name, saved }) => [
      name,
      ...Object.values(saved).filter((value) => typeof value === "string"),
    ]),
  ]);
  return [...new Set(names)];
}
