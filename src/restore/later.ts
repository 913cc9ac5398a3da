/** What can be done with a restore afterwards: go on, undo, forget. */
import type { Call } from "../call.ts";
import { OpsError } from "../errors.ts";
import { emptyFolder } from "./folder.ts";
import { startAgain, stopFirst } from "./hooks.ts";
import { type RestoreRecord, UNFINISHED } from "./journal.ts";
import { carryOn, materialsOf, type PlannedPart, type Restored } from "./run.ts";
import type { StagedSet } from "./stage.ts";
import { beyond, type RestoreTools, type Subject, withSubjects } from "./subjects.ts";
import { forgetAll, undoAll } from "./undo.ts";

/** The restore that a process died in. @throws OpsError `not_found` */
export function unfinishedOf(restores: readonly RestoreRecord[]): RestoreRecord {
  const open = restores.find(({ state }) => UNFINISHED.includes(state));
  if (open) return open;
  throw new OpsError({
    code: "not_found",
    message: "no restore is unfinished",
    hint: "opsctl restore --rollback undoes one that is done",
  });
}

/**
 * The restore that `--rollback` undoes: the last one, when its data are live.
 * @param id a chosen one, which must be the last that was not undone
 * @throws OpsError `not_found`
 */
export function lastDone(restores: readonly RestoreRecord[], id: string | undefined): RestoreRecord {
  const done = restores.findLast(({ state }) => state === "done");
  const last = restores.at(-1);
  const wrong = (message: string, hint: string) => new OpsError({ code: "not_found", message, hint });
  if (!done || !last)
    throw wrong(
      "there is no restore to undo: none was made from this host, or it was undone or forgotten",
      "opsctl backup list shows archives that can be restored",
    );
  const when = `${done.id} of ${done.name}, done at ${new Date(done.finished_at!).toISOString()}`;
  if (id !== undefined && id !== done.id)
    throw wrong(
      `${id} is not the last restore that can be undone: that is ${when}`,
      `opsctl restore --rollback ${done.id}`,
    );
  if (id === undefined && last !== done)
    throw wrong(
      `the last restore, ${last.id} of ${last.name}, is ${last.state} already; the one before it is ${when}`,
      `opsctl restore --rollback ${done.id} undoes that one`,
    );
  return done;
}

/**
 * Goes on where a process died.
 * @param stage the archive of the restore, again: what a killed process left of it is not to be relied on
 * @throws as `restoreSet`
 */
export async function resume(
  call: Call,
  tools: RestoreTools,
  restore: RestoreRecord,
  stage: (folder: string) => Promise<StagedSet>,
): Promise<{ set: StagedSet; parts: ResumedPart[]; restored: Restored }> {
  const set = await stage(await emptyFolder(restore.folder, "set"));
  if (set.sha256 !== restore.sha256)
    throw new OpsError({
      code: "integrity",
      message: `${restore.path} is another archive than the one whose restore was cut off`,
      hint: "put that one there again, or undo the restore: opsctl restore --abort",
    });
  const materials = materialsOf(restore, set);
  const work = async (subjects: readonly Subject[]) => ({
    set,
    parts: subjects.map(({ record, part: { target }, material }) => ({ record, target, material })),
    restored: await carryOn(call, tools, restore, subjects),
  });
  return withSubjects(tools, restore, work, materials);
}

/** A part of a restore that went on: what it replaced was said by the process that began it. */
export type ResumedPart = Pick<PlannedPart, "record" | "target" | "material">;

/** Undoes a restore that a process died in. @returns warnings */
export async function abort(call: Call, tools: RestoreTools, restore: RestoreRecord): Promise<string[]> {
  await withSubjects(tools, restore, (subjects) => undoAll(call, tools, restore, subjects));
  // it may have been stopped; what runs is asked to start once more
  return startAgain(beyond(call), tools, restore);
}

/** Undoes a restore that is done. @returns warnings */
export async function rollback(call: Call, tools: RestoreTools, restore: RestoreRecord): Promise<string[]> {
  const warnings: string[] = [];
  try {
    await stopFirst(call, tools, restore);
    await withSubjects(tools, restore, (subjects) => undoAll(call, tools, restore, subjects));
  } finally {
    warnings.push(...(await startAgain(beyond(call), tools, restore)));
  }
  return warnings;
}

/** Removes what restores kept of the data before them; one that is not over is left as it is. */
export async function forget(
  call: Call,
  tools: RestoreTools,
  restores: readonly RestoreRecord[],
): Promise<void> {
  for (const restore of restores)
    await withSubjects(tools, restore, (subjects) => forgetAll(call, tools, restore, subjects));
}
