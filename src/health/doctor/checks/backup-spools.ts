import { workIn } from "../../../backup/work.ts";
import type { Check } from "../check.ts";
import type { StackScope } from "../scope.ts";
import { counted, some } from "../words.ts";

export const backupSpools: Check<StackScope> = {
  id: "backup-spools",
  area: "backup",
  title: "a backup that was killed left its work behind",
  looks: "hidden folders of runs beside the archives, while no run has the lock of the folder",
  async run(call, scope) {
    const folder = scope.files.archives;
    const names = await workIn(folder).catch(() => []);
    if (names.length === 0 || (await scope.archivesInUse(call))) return [];
    return [
      {
        severity: "info",
        subject: folder,
        evidence: `${counted(names.length, "leftover")} of runs that are over: ${some(names)}`,
        cause: "they take room, and nobody needs them; the next backup removes them too",
        remedies: [{ argv: ["opsctl", "cleanup", "--only", "spools"], safe: true }],
      },
    ];
  },
};
