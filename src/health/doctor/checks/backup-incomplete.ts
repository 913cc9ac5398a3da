import type { Check } from "../check.ts";
import type { StackScope } from "../scope.ts";
import { some } from "../words.ts";
import { setsIn } from "./backup-scope.ts";

export const backupIncomplete: Check<StackScope> = {
  id: "backup-incomplete",
  area: "backup",
  title: "a part of the newest backup failed",
  looks: "the state of the parts of the newest archive",
  async run(_call, scope) {
    const newest = (await setsIn(scope)).at(-1);
    const metadata = newest?.sidecar?.metadata;
    if (!newest || metadata?.state !== "incomplete") return [];
    const failed = metadata.parts.filter(({ state }) => state === "failed");
    const names = [...new Set(failed.map(({ engine }) => engine))];
    return [
      {
        severity: "warning",
        subject: newest.path,
        evidence: `failed: ${some(failed.map(({ engine, name, error }) => `${engine} ${name} (${error?.message ?? "no reason"})`))}`,
        cause: "the archive lacks what failed; restoring it brings back the rest only",
        remedies: [{ argv: ["opsctl", "backup", ...names], safe: false }],
      },
    ];
  },
};
