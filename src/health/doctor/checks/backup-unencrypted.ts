import type { Check } from "../check.ts";
import type { StackScope } from "../scope.ts";
import { setsIn } from "./backup-scope.ts";

export const backupUnencrypted: Check<StackScope> = {
  id: "backup-unencrypted",
  area: "backup",
  title: "archives are not encrypted",
  looks: "the ending and the sidecar of the newest archive",
  async run(_call, scope) {
    const newest = (await setsIn(scope)).at(-1);
    if (!newest || newest.encrypted) return [];
    return [
      {
        severity: "info",
        subject: newest.path,
        evidence: "it is not encrypted",
        cause:
          "it holds everything that the databases hold, roles included; copies elsewhere are read by whoever gets them",
        remedies: [],
        advice:
          "before archives leave this host, set OPSCTL_BACKUP_RECIPIENTS to a public key of age (age-keygen)",
      },
    ];
  },
};
