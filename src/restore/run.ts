/**
 * A restore: everything is checked and prepared beside the live data; then what uses them is stopped, what will be replaced is copied, and all
 * parts are swapped. What fails before that changes nothing, what fails in it is undone. Every step is in the journal first.
 */
import { rm } from "node:fs/promises";
import { dirname } from "node:path";
import { requireSpace } from "../backup/space.ts";
import { type Call, throwIfAborted } from "../call.ts";
import { OpsError, toOpsError } from "../errors.ts";
import { emptyFolder, makeRestoreFolder, newId, removeSafeties } from "./folder.ts";
import { startAgain, stopFirst } from "./hooks.ts";
import { type PartRecord, type RestoreRecord, UNFINISHED } from "./journal.ts";
import type { Found, RestorePlan, Swapped } from "./port.ts";
import { makeSafety } from "./safety.ts";
import type { StagedPart, StagedSet } from "./stage.ts";
import {
  advance,
  beyond,
  type Material,
  mark,
  type RestoreTools,
  type Subject,
  withAll,
  withSubjects,
} from "./subjects.ts";
import { dropSet, undoAll } from "./undo.ts";

export interface RestoreRequest {
  /** Takes the archive apart, into a folder. */
  stage(folder: string): Promise<StagedSet>;
  /** Where a part goes: its name there, and the target's identity. @throws OpsError `usage` when it has no place to go */
  place(part: StagedPart, set: StagedSet): Pick<PartRecord, "name" | "identity">;
  /** Where the folder of the restore is made. */
  parent: string;
  /** The journal, as its file. */
  owner: string;
  /** For `--resume`. */
  request: string;
  /** Asked with the plan in hand. False: nothing is done (a dry run). @throws OpsError when it is not wanted */
  decide(plan: Planned): Promise<boolean>;
}

/** A part, and what is going to happen to it. */
export interface PlannedPart {
  record: PartRecord;
  target: string;
  plan: RestorePlan;
  material: Material;
}

export interface Planned {
  set: StagedSet;
  restore: RestoreRecord;
  parts: PlannedPart[];
}

export interface Outcome {
  swapped: Swapped;
  found: Found;
}

export interface Restored {
  restore: RestoreRecord;
  /** What came of each part, by its record; empty after a dry run. */
  outcomes: Map<PartRecord, Outcome>;
  warnings: string[];
}

/**
 * Restores a set, or says what that would do.
 * @throws OpsError with what is wrong and what the state is: nothing was changed, or everything was undone, or (`--resume`, `--abort`) neither
 */
export async function restoreSet(
  call: Call,
  tools: RestoreTools,
  request: RestoreRequest,
): Promise<{ planned: Planned; restored: Restored | undefined }> {
  const id = newId();
  const folder = await makeRestoreFolder(request.parent, request.owner, id);
  let isRecorded = false;
  try {
    const set = await request.stage(await emptyFolder(folder, "set"));
    const restore = beginning(call, request, set, id, folder);
    const work = async (subjects: readonly Subject[]) => {
      const planned = await plan(call, set, restore, subjects);
      if (!(await request.decide(planned))) return { planned, restored: undefined };
      throwIfAborted(call);
      await tools.journal.begin(call, restore);
      isRecorded = true;
      return { planned, restored: await carryOn(call, tools, restore, subjects) };
    };
    return await withSubjects(tools, restore, work, materialsOf(restore, set), () => isRecorded);
  } finally {
    // until it is in the journal, nobody else knows of the folder
    if (!isRecorded) await rm(folder, { recursive: true, force: true });
  }
}

function beginning(
  call: Call,
  request: RestoreRequest,
  set: StagedSet,
  id: string,
  folder: string,
): RestoreRecord {
  return {
    id,
    name: set.archive.name,
    path: set.archive.path,
    sha256: set.sha256,
    folder,
    state: "preparing",
    actor: call.actor,
    started_at: Date.now(),
    finished_at: null,
    request: request.request,
    parts: set.parts.map((staged) => ({
      engine: staged.part.engine,
      source: staged.part.name,
      ...request.place(staged, set),
      kinds: staged.files.map(({ kind }) => kind),
      undo: "none",
      safety: null,
      state: "planned",
      saved: {},
    })),
  };
}

/**
 * What of a set goes into each part of a restore.
 * @throws OpsError `integrity` for a part that the set does not have
 */
export function materialsOf(restore: RestoreRecord, set: StagedSet): (record: PartRecord) => Material {
  return ({ engine, source }) => {
    const staged = set.parts.find(({ part }) => part.engine === engine && part.name === source);
    if (!staged)
      throw new OpsError({
        code: "integrity",
        engine,
        message: `${restore.path} has no ${engine} ${source}`,
      });
    const { counts, breakdown, server_version: serverVersion } = staged.part;
    const isOurs = set.trusted !== "operator";
    return { files: staged.files, expected: { counts, breakdown }, serverVersion, isOurs };
  };
}

/** Asks every target, and whether there is room for all of it. */
async function plan(
  call: Call,
  set: StagedSet,
  restore: RestoreRecord,
  subjects: readonly Subject[],
): Promise<Planned> {
  const plans = await withAll(call, subjects, (part, subject) => subject.part.plan(part));
  const parts = subjects.map((subject) => {
    const found = plans.get(subject)!;
    subject.record.undo = found.undo;
    const { record, part, material } = subject;
    return { record, target: part.target, plan: found, material };
  });
  const needed = new Map<string, number>();
  for (const {
    plan: { needs },
  } of parts)
    if (needs.path !== null) {
      const folder = dirname(needs.path);
      needed.set(folder, (needed.get(folder) ?? 0) + needs.bytes);
    }
  for (const [folder, bytes] of needed)
    await requireSpace(folder, bytes, { what: "the restore needs", hint: "free some space there" });
  return { set, restore, parts };
}

/** From wherever the journal says that it is, to its end. */
export async function carryOn(
  call: Call,
  tools: RestoreTools,
  restore: RestoreRecord,
  subjects: readonly Subject[],
): Promise<Restored> {
  const warnings: string[] = [];
  if (restore.state === "preparing")
    await orUndo(call, tools, restore, subjects, () => prepare(call, tools, restore, subjects));
  const outcomes = new Map<PartRecord, Outcome>();
  let hasStopped = false;
  try {
    await orUndo(call, tools, restore, subjects, async () => {
      hasStopped = true;
      await stopFirst(call, tools, restore);
      warnings.push(...(await copyFirst(call, tools, restore, subjects)));
      const swapped = await swap(call, tools, restore, subjects);
      for (const [subject, how] of swapped) outcomes.set(subject.record, { swapped: how, found: NOTHING });
    });
    // the data are live: from here on only going back on purpose changes that
    await Promise.all(
      subjects.map(async ({ record, part }) => {
        const outcome = outcomes.get(record)!;
        outcome.found = await part.verify(beyond(call)).catch((error: unknown) => {
          const { message } = toOpsError(error);
          return { ...NOTHING, problems: [`it could not be looked at afterwards: ${message}`] };
        });
      }),
    );
    await advance(beyond(call), tools, restore, { state: "done", finished_at: Date.now() });
    await dropSet(restore);
  } finally {
    if (hasStopped) warnings.push(...(await startAgain(beyond(call), tools, restore)));
  }
  return { restore, outcomes, warnings };
}

const NOTHING: Found = { counts: {}, breakdown: {}, problems: [], notes: [] };

async function prepare(
  call: Call,
  tools: RestoreTools,
  restore: RestoreRecord,
  subjects: readonly Subject[],
): Promise<void> {
  await withAll(call, subjects, async (part, subject) => {
    await subject.part.prepare(part);
    await mark(part, tools, restore, subject, "prepared");
  });
}

/** Of a restore that goes on, what was not touched was in use since: its copy is made again. */
async function copyFirst(
  call: Call,
  tools: RestoreTools,
  restore: RestoreRecord,
  subjects: readonly Subject[],
): Promise<string[]> {
  if (restore.state === "preparing") await removeSafeties(restore.folder);
  const untouched = subjects.filter(({ record, part }) => {
    const isAsItWas = record.state === "prepared" || (record.state === "swapping" && !part.isTouched);
    return record.undo === "safety" && isAsItWas;
  });
  return makeSafety(
    call,
    tools,
    restore,
    untouched.map(({ record }) => record),
  );
}

async function swap(
  call: Call,
  tools: RestoreTools,
  restore: RestoreRecord,
  subjects: readonly Subject[],
): Promise<Map<Subject, Swapped>> {
  throwIfAborted(call);
  await advance(call, tools, restore, { state: "swapping" });
  const swapPart = async (part: Call, subject: Subject) => {
    throwIfAborted(part);
    if (subject.record.state !== "swapped") await mark(part, tools, restore, subject, "swapping");
    const swapped = await subject.part.swap(part);
    // it is so, also when a signal came meanwhile
    await mark(beyond(part), tools, restore, subject, "swapped");
    return swapped;
  };
  // those that go back in a moment first: when one of them fails, no store has to be filled again from its copy
  const isQuick = ({ record: { undo } }: Subject) => undo === "kept" || undo === "none";
  const quick = await withAll(call, subjects.filter(isQuick), swapPart);
  const others = await withAll(
    call,
    subjects.filter((subject) => !isQuick(subject)),
    swapPart,
  );
  return new Map([...quick, ...others]);
}

/** What fails is undone, and the error says which state that left. */
async function orUndo(
  call: Call,
  tools: RestoreTools,
  restore: RestoreRecord,
  subjects: readonly Subject[],
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    const before = restore.state;
    const known = toOpsError(call.signal.aborted ? call.signal.reason : error);
    const wasTouched = before !== "preparing";
    call.log("INFO", `undoing the restore, because ${known.message}`);
    try {
      await undoAll(beyond(call), tools, restore, subjects);
    } catch (second) {
      throw new OpsError({
        code: known.code,
        ...(known.engine === undefined ? {} : { engine: known.engine }),
        message: `${known.message}; going back failed, too: ${toOpsError(second).message}`,
        hint: "opsctl restore --abort brings back what was there before, --resume goes on",
        cause: error,
      });
    }
    throw new OpsError({
      code: known.code,
      ...(known.engine === undefined ? {} : { engine: known.engine }),
      message: `${known.message}; ${wasTouched ? "everything is again as it was before the restore" : "the live data were not touched"}`,
      hint: known.hint ?? "mend that, and restore again",
      cause: error,
    });
  }
}

/** @throws OpsError `failed` for one that is not over: two at once could not be told apart */
export function refuseUnfinished(restores: readonly RestoreRecord[]): void {
  const open = restores.find(({ state }) => UNFINISHED.includes(state));
  if (!open) return;
  throw new OpsError({
    code: "failed",
    message: `the restore ${open.id} of ${open.name} is not over (${open.state})`,
    hint: "opsctl restore --resume goes on with it, opsctl restore --abort undoes it",
  });
}
