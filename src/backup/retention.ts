/** Which sets a policy keeps and which it removes, and why; and their removal. */
import { lstat, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { type Call, throwIfAborted } from "../call.ts";
import { OpsError, usageError } from "../errors.ts";
import { flush } from "../publish.ts";
import { type Archive, sidecarPath } from "./archives.ts";
import { METADATA_FILE } from "./metadata.ts";
import { type Judgement, keep, type RetentionPolicy, Verdicts } from "./retention-verdict.ts";
import { timeline } from "./timeline.ts";
import { makeWork } from "./work.ts";

export type { RetentionPolicy } from "./retention-verdict.ts";

export interface Planned extends Judgement {
  archive: Archive;
}

/**
 * What is to become of each archive, newest first.
 *
 * Only good sets (complete, verified, undamaged), whose times agree with their order, fill the rules and date the others. A set competes with
 * those that hold at least its engines, so that a frequent backup of one engine does not push out that of all of them. The newest good set of
 * each engine stays whatever the policy says; so does whatever is newer than the last good set. Single files are never removed.
 * @param now milliseconds since 1970
 * @throws OpsError `usage` for a policy without any rule
 */
export function planRetention(archives: readonly Archive[], policy: RetentionPolicy, now: number): Planned[] {
  requirePolicy(policy);
  const sets = archives.filter(({ container }) => container !== "file");
  const removed = new Map<Archive, string[]>();
  // once more without those that go: a set may have been doubted only because of one of them
  for (;;) {
    const left = timeline(
      sets.filter((archive) => !removed.has(archive)),
      now,
    );
    const verdicts = new Verdicts(left, policy);
    const judged = left.map((set, nth) => [set.archive, verdicts.of(set, nth)] as const);
    const going = judged.filter(([, { action }]) => action === "remove");
    for (const [archive, { reasons }] of going) removed.set(archive, reasons);
    if (going.length > 0) continue;
    const kept = new Map(judged);
    return timeline(archives, now)
      .reverse()
      .map(({ archive }) => {
        const reasons = removed.get(archive);
        if (reasons) return { archive, action: "remove", reasons };
        return { archive, ...(kept.get(archive) ?? keep("a single file is never removed")) };
      });
  }
}

function requirePolicy(policy: RetentionPolicy): void {
  if (Object.values(policy).some((value) => value !== undefined)) return;
  throw usageError(
    "the retention policy is empty, and would remove everything",
    "set RETENTION_DAYS, or keep something with --keep-last, --keep-daily, --keep-within …",
  );
}

/** What became of a plan. */
export interface Applied {
  removed: Archive[];
  /** They are as they were. */
  failed: { archive: Archive; error: OpsError }[];
}

/**
 * Removes what a plan says, under the lock of the folder. An archive leaves its name before its sidecar does, by renaming it into a hidden
 * folder: whatever interrupts this, what is left is never taken for a good archive, and the next run sweeps it.
 * @throws OpsError of the call when it is aborted: what was removed until then stays removed
 */
export async function applyRetention(call: Call, plan: readonly Planned[]): Promise<Applied> {
  const applied: Applied = { removed: [], failed: [] };
  // oldest first: an interrupted run leaves the newest
  const going = plan.filter(({ action }) => action === "remove").reverse();
  if (going.length === 0) return applied;
  const folder = dirname(going[0]!.archive.path);
  const work = await makeWork(folder);
  try {
    for (const { archive } of going) {
      throwIfAborted(call);
      try {
        await removeArchive(archive, work);
        applied.removed.push(archive);
      } catch (error) {
        applied.failed.push({ archive, error: removalError(archive, error) });
      }
    }
    return applied;
  } finally {
    // a folder must have left its name for good before files of it go
    await flush(folder);
    await rm(work, { recursive: true, force: true });
  }
}

async function removeArchive(archive: Archive, work: string): Promise<void> {
  const { path, container, sidecar, problem } = archive;
  if (container === "dir") await requireSet(path);
  await moveInto(work, path);
  // beside an archive of another ending the sidecar may be that one's
  if (sidecar === null ? problem !== null : sidecar.file === basename(path))
    await moveInto(work, sidecarPath(path));
}

/** A folder is removed with all that is in it: it must be what its sidecar says. What is gone already is none. */
async function requireSet(path: string): Promise<void> {
  const isThere = (name: string) => lstat(name).then(Boolean, () => false);
  if (!(await isThere(path)) || (await isThere(join(path, METADATA_FILE)))) return;
  throw new OpsError({
    code: "failed",
    message: `the folder ${path} holds no ${METADATA_FILE}: it is no archive, and was not removed`,
    hint: `look at it; if it is not needed, remove it and ${sidecarPath(path)}`,
  });
}

async function moveInto(work: string, path: string): Promise<void> {
  await rename(path, join(work, basename(path))).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
}

function removalError({ path }: Archive, error: unknown): OpsError {
  if (error instanceof OpsError) return error;
  return new OpsError({
    code: "failed",
    message: `${path} cannot be removed (${(error as NodeJS.ErrnoException).code})`,
    hint: "check the permissions of its folder",
    cause: error,
  });
}
