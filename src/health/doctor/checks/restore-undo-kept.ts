import { DAY_MS } from "../../../backup/timeline.ts";
import type { Check } from "../check.ts";
import type { StackScope } from "../scope.ts";
import { span } from "../words.ts";

/** So long somebody may want to go back. */
const KEPT_MS = 7 * DAY_MS;

export const restoreUndoKept: Check<StackScope> = {
  id: "restore-undo-kept",
  area: "backup",
  title: "what a restore replaced is still kept",
  looks: "restores of the journal that are done and not forgotten, older than 7 days",
  async run(call, scope) {
    const kept = ((await scope.restores(call)) ?? []).filter(
      ({ state, finished_at: at }) => state === "done" && at !== null && scope.now - at > KEPT_MS,
    );
    return kept.map(({ id, name, finished_at: at, parts }) => ({
      severity: "info",
      subject: `restore ${id} of ${name}`,
      evidence: `it ended ${span(scope.now - at!)} ago, and the data before it are kept: ${parts.map(({ engine }) => engine).join(", ")}`,
      cause: "old databases, files and copies take as much room as the live ones, and are seen by backups",
      remedies: [{ argv: ["opsctl", "restore", "--forget", "--yes"], safe: false }],
      advice: "afterwards there is no way back; opsctl restore --rollback would go back",
    }));
  },
};
