/** Going back: every part is again what it was before the restore. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Call } from "../call.ts";
import { OpsError, toOpsError } from "../errors.ts";
import type { RestoreRecord } from "./journal.ts";
import { Safeties } from "./safety.ts";
import { advance, mark, note, openSubject, type RestoreTools, type Subject } from "./subjects.ts";

/**
 * Undoes what was swapped, and removes what was prepared. The journal says where it is, so that it can be repeated. Before anything is changed
 * every way back is looked at: the copies are read to their end, the targets asked.
 * @throws OpsError of what is in the way, and then nothing was changed; of the first part that did not go back, when the others did as far as they
 *   could
 */
export async function undoAll(
  call: Call,
  tools: RestoreTools,
  restore: RestoreRecord,
  subjects: readonly Subject[],
): Promise<void> {
  const safeties = new Safeties(restore);
  const left = subjects.filter(({ record }) => record.state !== "undone");
  for (const subject of left.filter(mustGoBack)) {
    if (hasCopy(subject)) await safeties.materialOf(call, subject.record);
    await subject.part.requireWayBack(call);
  }
  await advance(call, tools, restore, { state: "undoing" });
  // the last swapped first: roles are needed by databases
  const failures: unknown[] = [];
  for (const subject of left.reverse())
    await undoPart(call, tools, restore, subject, safeties).catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures[0];
  await advance(call, tools, restore, { state: "undone", finished_at: Date.now() });
  // nothing of it is left but its line in the journal
  await rm(restore.folder, { recursive: true, force: true });
}

/** Its live data were changed. Until a part touches them they stay in use, and must not be replaced by an older copy. */
function mustGoBack({ record, part }: Subject): boolean {
  if (record.state === "swapped" || record.state === "returning") return true;
  return record.state === "swapping" && part.isTouched;
}

const hasCopy = ({ record }: Subject) => record.undo === "safety";

async function undoPart(
  call: Call,
  tools: RestoreTools,
  restore: RestoreRecord,
  subject: Subject,
  safeties: Safeties,
): Promise<void> {
  const { part } = subject;
  const isBack = mustGoBack(subject);
  if (isBack && !hasCopy(subject)) await part.rollback(call);
  await part.abandon(call);
  if (isBack && hasCopy(subject)) await bringBack(call, tools, restore, subject, safeties);
  await mark(call, tools, restore, subject, "undone");
}

async function bringBack(
  call: Call,
  tools: RestoreTools,
  restore: RestoreRecord,
  { record }: Subject,
  safeties: Safeties,
): Promise<void> {
  const material = await safeties.materialOf(call, record);
  // what it saved was about other files
  await note(call, tools, restore, record, { state: "returning", saved: {} });
  const before = await openSubject(tools, restore, record, material);
  try {
    await before.part.prepare(call);
    await before.part.swap(call);
    const [problem] = (await before.part.verify(call)).problems;
    if (problem === undefined) return;
    throw new OpsError({
      code: "integrity",
      engine: record.engine,
      message: `${record.engine} ${record.name} is not what it was: ${problem}; its copy is ${join(restore.folder, record.safety!)}`,
      hint: "mend the target, then opsctl restore --abort; --forget leaves it as it is",
    });
  } finally {
    await before.part.close();
  }
}

/** Removes what was kept; there is no way back then. It can be repeated. */
export async function forgetAll(
  call: Call,
  tools: RestoreTools,
  restore: RestoreRecord,
  subjects: readonly Subject[],
): Promise<void> {
  const isOver = restore.state === "done";
  for (const { record, part } of subjects) {
    if (isOver && record.undo !== "kept") continue;
    const work = async () => {
      if (!isOver) await part.abandon(call);
      if (record.undo === "kept") await part.forget(call);
    };
    await work().catch((error: unknown) => {
      if (isOver) throw error;
      // the way back is given up: what cannot be tidied stays
      call.log("WARNING", `${record.engine} ${record.name}: ${toOpsError(error).message}`);
    });
  }
  await rm(restore.folder, { recursive: true, force: true });
  await advance(call, tools, restore, { state: "forgotten", finished_at: restore.finished_at ?? Date.now() });
}

/** The files out of the archive are not needed any more. */
export async function dropSet(restore: RestoreRecord): Promise<void> {
  await rm(join(restore.folder, "set"), { recursive: true, force: true });
}
