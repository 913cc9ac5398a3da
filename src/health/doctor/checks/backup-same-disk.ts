import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import type { Check } from "../check.ts";
import type { StackScope } from "../scope.ts";

export const backupSameDisk: Check<StackScope> = {
  id: "backup-same-disk",
  area: "backup",
  title: "archives lie on the disk of the data",
  looks: "the file systems of the folder of archives and of opsctl's own files",
  async run(_call, scope) {
    const { archives, data } = scope.files;
    if ((await scope.archives()).length === 0) return [];
    const [one, other] = await Promise.all([archives, dirname(data)].map(deviceOf));
    if (one === undefined || one !== other) return [];
    return [
      {
        severity: "info",
        subject: archives,
        evidence: `it is on the same file system as ${dirname(data)}`,
        cause: "a lost disk takes data and archives together",
        remedies: [],
        advice:
          "put OPSCTL_BACKUPS on another disk, or copy archives away after each run with OPSCTL_BACKUP_AFTER",
      },
    ];
  },
};

async function deviceOf(path: string): Promise<number | undefined> {
  return stat(path).then(
    ({ dev }) => dev,
    () => undefined,
  );
}
