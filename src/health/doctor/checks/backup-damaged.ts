import type { Check } from "../check.ts";
import type { StackScope } from "../scope.ts";

export const backupDamaged: Check<StackScope> = {
  id: "backup-damaged",
  area: "backup",
  title: "an archive is damaged, or lacks its other half",
  looks: "size and sidecar of every archive, and what its last verification or drill found",
  async run(_call, scope) {
    const archives = await scope.archives();
    return archives.flatMap((archive) => {
      const { damaged } = archive.sidecar ?? { damaged: null };
      const problem = archive.problem ?? damaged?.message;
      if (problem == null) return [];
      const isNewest = archive === archives.at(-1);
      return [
        {
          severity: isNewest ? ("error" as const) : ("warning" as const),
          subject: archive.path,
          evidence: damaged && archive.problem === null ? `${problem} (found at ${damaged.at})` : problem,
          cause: "it was cut short, changed or half removed; a bad disk damages others too",
          remedies: isNewest ? [{ argv: ["opsctl", "backup"], safe: false }] : [],
          advice:
            "fetch an undamaged copy if there is one, else remove archive and sidecar; look at the disk (dmesg, smartctl -a)",
        },
      ];
    });
  },
};
