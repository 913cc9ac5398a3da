/** What can be done with a restore afterwards: go on, undo, forget. */
import type { Call } from "../call.ts";
import { OpsError } from "../errors.ts";
import { emptyFolder } from "./folder.ts";
import { startAgain, stopFirst } from "./hooks.ts";
import { type RestoreRecord, UNFINISHED } from "./journal.ts";
import { carryOn, materialsOf, type Restored } from "./run.ts";
import type { StagedSet } from "./stage.ts";
import { beyond, closeAll, openForUndo, openSubject, type RestoreTools, type Subject } from "./subjects.ts";
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

/** The restore that `--rollback` undoes: the last one whose data are live. @throws OpsError `not_found` */
export function lastDone(restores: readonly RestoreRecord[]): RestoreRecord {
  const done = restores.findLast(({ state }) => state === "done");
  if (done) return done;
  throw new OpsError({
    code: "not_found",
    message: "there is no restore to undo: none was made from this host, or it was undone or forgotten",
    hint: "opsctl backup list shows archives that can be restored",
  });
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
): Promise<Restored> {
  if (restore.state === "undoing") {
    await abort(call, tools, restore);
    return { restore, outcomes: new Map(), warnings: [] };
  }
  const set = await stage(await emptyFolder(restore.folder, "set"));
  if (set.sha256 !== restore.sha256)
    throw new OpsError({
      code: "integrity",
      message: `${restore.path} is another archive than the one whose restore was cut off`,
      hint: "put that one there again, or undo the restore: opsctl restore --abort",
    });
  const materials = materialsOf(set);
  const subjects: Subject[] = [];
  try {
    for (const record of restore.parts) {
      const place = set.parts.findIndex(
        ({ part }) => part.engine === record.engine && part.name === record.source,
      );
      if (place < 0)
        throw new OpsError({
          code: "integrity",
          message: `${set.archive.path} has no ${record.source} any more`,
        });
      subjects.push(await openSubject(tools, restore, record, materials[place]!));
    }
    return await carryOn(call, tools, restore, subjects);
  } finally {
    await closeAll(subjects);
  }
}

/** Undoes a restore that a process died in. @returns warnings */
export async function abort(call: Call, tools: RestoreTools, restore: RestoreRecord): Promise<string[]> {
  const mayHaveStopped =
    restore.state !== "preparing" || restore.parts.every(({ state }) => state !== "planned");
  const subjects = await openForUndo(tools, restore);
  try {
    await undoAll(call, tools, restore, subjects);
  } finally {
    await closeAll(subjects);
  }
  return mayHaveStopped ? startAgain(beyond(call), tools, restore) : [];
}

/** Undoes a restore that is done. @returns warnings */
export async function rollback(call: Call, tools: RestoreTools, restore: RestoreRecord): Promise<string[]> {
  const subjects = await openForUndo(tools, restore);
  const warnings: string[] = [];
  try {
    await stopFirst(call, tools, restore);
    await undoAll(call, tools, restore, subjects);
  } finally {
    await closeAll(subjects);
    warnings.push(...(await startAgain(beyond(call), tools, restore)));
  }
  return warnings;
}

/** Removes what restores kept of the data before them. */
export async function forget(
  call: Call,
  tools: RestoreTools,
  restores: readonly RestoreRecord[],
): Promise<void> {
  for (const restore of restores) {
    const subjects = await openForUndo(tools, restore);
    try {
      await forgetAll(call, tools, restore, subjects);
    } finally {
      await closeAll(subjects);
    }
  }
}
