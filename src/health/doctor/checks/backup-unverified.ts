import type { Check } from "../check.ts";
import type { StackScope } from "../scope.ts";
import { setsIn } from "./backup-scope.ts";

export const backupUnverified: Check<StackScope> = {
  id: "backup-unverified",
  area: "backup",
  title: "nobody has read the newest archive back",
  looks: "what the sidecar of the newest archive says of its last verification",
  async run(_call, scope) {
    const newest = (await setsIn(scope)).at(-1);
    if (!newest || newest.problem !== null || newest.sidecar?.damaged) return [];
    const { verified } = newest.sidecar ?? { verified: null };
    if (verified !== null && verified.level !== "structure") return [];
    return [
      {
        severity: "warning",
        subject: newest.path,
        evidence:
          newest.sidecar === null
            ? "it has no sidecar: the run that made it was killed at its end, or it came from elsewhere"
            : `its bytes were never compared with their digests (${verified === null ? "not verified" : "structure only"})`,
        cause:
          "an archive that cannot be read is found out on the day it is needed; until then it does not count",
        remedies: [{ argv: ["opsctl", "backup", "verify", newest.path], safe: true }],
      },
    ];
  },
};
