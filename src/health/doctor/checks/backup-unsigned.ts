import type { Check } from "../check.ts";
import type { StackScope } from "../scope.ts";
import { setsIn } from "./backup-scope.ts";

export const backupUnsigned: Check<StackScope> = {
  id: "backup-unsigned",
  area: "backup",
  title: "archives are not signed",
  looks: "the signature in the sidecar of the newest archive",
  async run(_call, scope) {
    const newest = (await setsIn(scope)).at(-1);
    if (!newest?.sidecar || newest.sidecar.signature !== null) return [];
    return [
      {
        severity: "info",
        subject: newest.path,
        evidence: "its sidecar has no signature",
        cause: "whoever can write the folder can exchange an archive together with its digests",
        remedies: [],
        advice: "set OPSCTL_BACKUP_SIGNING_KEY (openssl rand -hex 32), best as _FILE or _COMMAND",
      },
    ];
  },
};
