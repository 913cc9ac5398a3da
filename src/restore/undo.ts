/** Going back: every part is again what it was before the restore. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Call } from "../call.ts";
import type { RestoreRecord } from "./journal.ts";
import { materialOf, openSafety } from "./safety.ts";
import type { StagedSet } from "./stage.ts";
import { advance, mark, openSubject, type RestoreTools, type Subject } from "./subjects.ts";

/**
 * Undoes what was swapped, and removes what was prepared. The journal says where it is, so that it can be repeated.
 * @throws OpsError of the first part that did not go back; the others did, as far as they could
 */
export async function undoAll(
  call: Call,
  tools: RestoreTools,
  restore: RestoreRecord,
  subjects: readonly Subject[],
): Promise<void> {
  await advance(call, tools, restore, { state: "undoing" });
  let safety: Promise<StagedSet> | undefined;
  const copy = () => {
    safety ??= openSafety(call, restore);
    return safety;
  };
  // the last swapped first: roles are needed by databases
  const failures: unknown[] = [];
  for (const subject of [...subjects].reverse()) {
    if (subject.record.state === "undone") continue;
    await undoPart(call, tools, restore, subject, copy).catch((error: unknown) => failures.push(error));
  }
  if (failures.length > 0) throw failures[0];
  await finish(call, tools, restore);
}

/** Nothing of it is left but its line in the journal. */
async function finish(call: Call, tools: RestoreTools, restore: RestoreRecord): Promise<void> {
  await advance(call, tools, restore, { state: "undone", finished_at: Date.now() });
  await rm(restore.folder, { recursive: true, force: true });
}

async function undoPart(
  call: Call,
  tools: RestoreTools,
  restore: RestoreRecord,
  subject: Subject,
  copy: () => Promise<StagedSet>,
): Promise<void> {
  const { record, part } = subject;
  const wasTouched = record.state === "swapping" || record.state === "swapped";
  if (wasTouched && (record.undo === "kept" || record.undo === "empty")) await part.rollback(call);
  await part.abandon(call);
  if (wasTouched && record.undo === "safety") await bringBack(call, tools, restore, subject, await copy());
  await mark(call, tools, restore, subject, "undone");
}

async function bringBack(
  call: Call,
  tools: RestoreTools,
  restore: RestoreRecord,
  { record }: Subject,
  copy: StagedSet,
): Promise<void> {
  // what it saved was about other files
  record.saved = {};
  await tools.journal.updatePart(call, restore.id, record, { saved: {} });
  const before = await openSubject(tools, restore, record, materialOf(copy, record));
  try {
    await before.part.prepare(call);
    await before.part.swap(call);
    const [problem] = (await before.part.verify(call)).problems;
    if (problem !== undefined)
      call.log("WARNING", `${record.engine} ${record.name} is not what it was: ${problem}`);
  } finally {
    await before.part.close();
  }
}

/** Removes what was kept; there is no way back then. */
export async function forgetAll(
  call: Call,
  tools: RestoreTools,
  restore: RestoreRecord,
  subjects: readonly Subject[],
): Promise<void> {
  for (const { record, part } of subjects) if (record.undo === "kept") await part.forget(call);
  await rm(restore.folder, { recursive: true, force: true });
  await advance(call, tools, restore, { state: "forgotten" });
}

/** The files out of the archive are not needed any more. */
export async function dropSet(restore: RestoreRecord): Promise<void> {
  await rm(join(restore.folder, "set"), { recursive: true, force: true });
}
