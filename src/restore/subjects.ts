/** The parts of a restore with their records in the journal: what every way through it works on. */
import type { BackupPart } from "../backup/port.ts";
import type { Call } from "../call.ts";
import { workFolder } from "./folder.ts";
import type { PartRecord, PartState, RestoreJournal, RestoreRecord } from "./journal.ts";
import type { RestoreFile, RestoreOptions, RestorePart, RestoreTask } from "./port.ts";

/** What the domain asks of its surroundings. */
export interface RestoreTools {
  journal: RestoreJournal;
  options: RestoreOptions;
  /** A part on its way into the target of its record. @throws OpsError `usage` when that target is not configured any more */
  open(record: PartRecord, task: RestoreTask): Promise<RestorePart>;
  /** The parts of a backup of that target. */
  copyOf(call: Call, record: PartRecord): Promise<BackupPart[]>;
  /** ms; see BackupPart */
  stallMs: number;
  opsctlVersion: string;
  /** Commands of the operator. */
  hooks: { stop?: string | undefined; start?: string | undefined };
}

/** What goes into a part. */
export interface Material {
  files: readonly RestoreFile[];
  expected: RestoreTask["expected"];
  serverVersion: string | null;
  isOurs: boolean;
}

/** Enough for going back and for forgetting. */
function noMaterial({ kinds }: PartRecord): Material {
  const files = kinds.map((kind) => ({ path: "", kind, size_bytes: 0, local: "" }));
  return { files, expected: { counts: {}, breakdown: {} }, serverVersion: null, isOurs: true };
}

export interface Subject {
  record: PartRecord;
  part: RestorePart;
  material: Material;
}

/**
 * Opens a part of a restore.
 * @param isRecorded the restore is in the journal: what the part saves goes there
 */
export async function openSubject(
  tools: RestoreTools,
  restore: RestoreRecord,
  record: PartRecord,
  material: Material,
  isRecorded: () => boolean = () => true,
): Promise<Subject> {
  const { journal, options } = tools;
  const part = await tools.open(record, {
    id: restore.id,
    name: record.name,
    ...material,
    work: await workFolder(restore.folder, restore.parts.indexOf(record)),
    saved: record.saved,
    options,
    async save(call, saved) {
      if (!isRecorded()) throw new Error(`${record.engine} ${record.name} saved before the restore began`);
      record.saved = saved;
      await journal.updatePart(call, restore.id, record, { saved });
    },
  });
  return { record, part, material };
}

/**
 * Works with all parts of a restore that is in the journal, and closes them.
 * @param materialOf what goes into a part; for going back nothing does
 */
export async function withSubjects<T>(
  tools: RestoreTools,
  restore: RestoreRecord,
  work: (subjects: readonly Subject[]) => Promise<T>,
  materialOf: (record: PartRecord) => Material = noMaterial,
  isRecorded?: () => boolean,
): Promise<T> {
  const subjects: Subject[] = [];
  try {
    for (const record of restore.parts)
      subjects.push(await openSubject(tools, restore, record, materialOf(record), isRecorded));
    return await work(subjects);
  } finally {
    await Promise.all(subjects.map(({ part }) => part.close().catch(() => {})));
  }
}

/** Records how far a part is. */
export function mark(
  call: Call,
  tools: RestoreTools,
  restore: RestoreRecord,
  { record }: Subject,
  state: PartState,
): Promise<void> {
  return note(call, tools, restore, record, { state });
}

/** Records something of a part. */
export async function note(
  call: Call,
  { journal }: RestoreTools,
  { id }: RestoreRecord,
  record: PartRecord,
  changes: Partial<Pick<PartRecord, "state" | "saved" | "safety">>,
): Promise<void> {
  await journal.updatePart(call, id, record, changes);
  Object.assign(record, changes);
}

/** Records how far a restore is. */
export async function advance(
  call: Call,
  { journal }: RestoreTools,
  restore: RestoreRecord,
  changes: Partial<Pick<RestoreRecord, "state" | "finished_at">>,
): Promise<void> {
  await journal.update(call, restore.id, changes);
  Object.assign(restore, changes);
}

/**
 * Does something with all parts side by side, those first that others need. The first failure aborts the others; all have ended when this does.
 * @throws what failed first
 */
export async function withAll<T>(
  call: Call,
  subjects: readonly Subject[],
  work: (call: Call, subject: Subject) => Promise<T>,
): Promise<Map<Subject, T>> {
  const results = new Map<Subject, T>();
  for (const isFirst of [true, false]) {
    const over = new AbortController();
    const part = { ...call, signal: AbortSignal.any([call.signal, over.signal]) };
    let failure: { error: unknown } | undefined;
    await Promise.all(
      subjects
        .filter((subject) => subject.part.isFirst === isFirst)
        .map(async (subject) => {
          try {
            results.set(subject, await work(part, subject));
          } catch (error) {
            failure ??= { error };
            over.abort(error);
          }
        }),
    );
    if (failure) throw failure.error;
  }
  return results;
}

/** For cleaning up after a signal or the deadline: it goes on until it is done, or a second signal comes. */
export function beyond(call: Call): Call {
  return { ...call, signal: new AbortController().signal, remainingMs: () => Number.POSITIVE_INFINITY };
}
