import { UNFINISHED } from "../../../restore/journal.ts";
import type { Check } from "../check.ts";
import type { StackScope } from "../scope.ts";
import { span } from "../words.ts";

export const restoreUnfinished: Check<StackScope> = {
  id: "restore-unfinished",
  area: "backup",
  title: "a restore was cut off in the middle",
  looks: "the journal of restores in the state file, while no run has the lock of the archives",
  async run(call, scope) {
    const open = ((await scope.restores(call)) ?? []).filter(({ state }) => UNFINISHED.includes(state));
    if (open.length === 0 || (await scope.archivesInUse(call))) return [];
    return open.map(({ id, name, state, started_at: since, parts }) => ({
      severity: "error",
      subject: `restore ${id} of ${name}`,
      evidence: `it began ${span(scope.now - since)} ago and is ${state}: ${parts.map(({ engine, state: part }) => `${engine} ${part}`).join(", ")}`,
      cause:
        state === "preparing"
          ? "its process died; no live data were touched yet"
          : "its process died: some databases may hold the archive's data, others what was there before",
      remedies: [{ argv: ["opsctl", "restore", "--resume"], safe: false }],
      advice:
        "opsctl restore --resume goes on with it; opsctl restore --abort brings back what was there before",
    }));
  },
};
