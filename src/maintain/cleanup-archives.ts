import { listArchives } from "../backup/archives.ts";
import { applyRetention, type Planned, planRetention, type RetentionPolicy } from "../backup/retention.ts";
import type { PlacedKind } from "./cleanup.ts";

export interface ArchivesKind extends PlacedKind {
  /** What `find` decided of every archive, newest first. */
  plan(): readonly Planned[];
}

/** Archives that the policy does not keep. Removed only under the lock of the folder. */
export function archivesKind(folder: string, policy: RetentionPolicy): ArchivesKind {
  let plan: Planned[] = [];
  return {
    kind: "archives",
    title: "archives past their retention",
    engine: null,
    plan: () => plan,
    async find() {
      plan = planRetention(await listArchives(folder), policy, Date.now());
      // oldest first: an interrupted run leaves the newest
      const going = plan.filter(({ action }) => action === "remove").reverse();
      return going.map((planned) => ({
        subject: planned.archive.path,
        why: planned.reasons.join("; "),
        count: 1,
        size_bytes: planned.archive.size_bytes,
        async remove(call) {
          const { failed } = await applyRetention(call, [planned]);
          if (failed[0]) throw failed[0].error;
        },
      }));
    },
  };
}
