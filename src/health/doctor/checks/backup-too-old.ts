import type { Archive } from "../../../backup/archives.ts";
import type { EngineName } from "../../../errors.ts";
import type { Check } from "../check.ts";
import type { StackScope } from "../scope.ts";
import { HOUR_MS, span } from "../words.ts";
import { ageOf, newestOf, wantedEngines } from "./backup-scope.ts";

/** So many times the threshold is no missed night any more. */
const MUCH = 3;

export const backupTooOld: Check<StackScope> = {
  id: "backup-too-old",
  area: "backup",
  title: "the newest good archive is too old",
  looks:
    "the age of the newest complete and verified archive of each configured engine, against the threshold backup_age",
  async run(_call, scope) {
    const archives = await scope.archives();
    const limitMs = scope.thresholds.backup_age * HOUR_MS;
    const newest = new Map<Archive, EngineName[]>();
    for (const engine of wantedEngines(scope)) {
      const archive = newestOf(archives, engine);
      if (archive) newest.set(archive, [...(newest.get(archive) ?? []), engine]);
    }
    return [...newest].flatMap(([archive, engines]) => {
      const age = ageOf(archive, scope);
      if (age === null || age <= limitMs) return [];
      return [
        {
          severity: age > MUCH * limitMs ? ("error" as const) : ("warning" as const),
          subject: `${engines.join(", ")} in ${archive.path}`,
          evidence: `the newest complete and verified archive is ${span(age)} old; ${scope.thresholds.backup_age} hours are allowed (backup_age)`,
          cause: "what was written since is in no archive: a restore loses it",
          remedies: [{ argv: ["opsctl", "backup"], safe: false }],
          advice: "look why the scheduled backup fails: its mail, or journalctl -u opsctl-backup",
        },
      ];
    });
  },
};
