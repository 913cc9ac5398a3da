import { stat } from "node:fs/promises";
import { DAY_MS } from "../../../backup/timeline.ts";
import type { Check } from "../check.ts";
import type { StackScope } from "../scope.ts";
import { span } from "../words.ts";

/** So long a host may be new. */
const NEW_MS = 7 * DAY_MS;

export const backupNone: Check<StackScope> = {
  id: "backup-none",
  area: "backup",
  title: "there is no archive",
  looks: "the folder of archives; how long opsctl has been in use here, by the oldest of its own files",
  async run(_call, scope) {
    if ((await scope.archives()).length > 0) return [];
    const used = scope.now - (await firstUse(scope));
    const isNew = used < NEW_MS;
    return [
      {
        severity: isNew ? "info" : "warning",
        subject: scope.files.archives,
        evidence: isNew
          ? "it holds no archive yet"
          : `it holds no archive, and opsctl has been in use here for ${span(used)}`,
        cause: "a lost disk or a wrong statement loses everything that was written",
        remedies: [{ argv: ["opsctl", "backup"], safe: false }],
        advice: 'opsctl backup schedule "0 3 * * *" prints what makes one every night',
      },
    ];
  },
};

/** ms; now, when nothing was written yet. */
async function firstUse({ files, now }: StackScope): Promise<number> {
  const births = await Promise.all(
    [files.data, files.state].map((path) =>
      stat(path).then(
        ({ birthtimeMs }) => birthtimeMs,
        () => now,
      ),
    ),
  );
  return Math.min(now, ...births);
}
