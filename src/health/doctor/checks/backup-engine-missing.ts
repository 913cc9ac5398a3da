import type { Check } from "../check.ts";
import type { StackScope } from "../scope.ts";
import { newestOf, wantedEngines } from "./backup-scope.ts";

export const backupEngineMissing: Check<StackScope> = {
  id: "backup-engine-missing",
  area: "backup",
  title: "a configured engine is in no good archive",
  looks: "the parts of all complete and verified archives, against the configured engines",
  async run(_call, scope) {
    const archives = await scope.archives();
    if (archives.length === 0) return [];
    return wantedEngines(scope)
      .filter((engine) => newestOf(archives, engine) === undefined)
      .map((engine) => ({
        severity: "warning" as const,
        subject: `${engine} in ${scope.files.archives}`,
        evidence: `none of ${archives.length} archive${archives.length === 1 ? "" : "s"} holds a complete and verified part of ${engine}`,
        cause: "it was configured after the last backup, is left out of it, or its part fails every time",
        remedies: [{ argv: ["opsctl", "backup", engine], safe: false }],
      }));
  },
};
