/** Whether archives were restored once, and how long ago. */
import { type Archive, isGood } from "../../../backup/archives.ts";
import { isDrilled } from "../../../backup/drilled.ts";
import { DAY_MS } from "../../../backup/timeline.ts";
import type { Check } from "../check.ts";
import type { StackScope } from "../scope.ts";
import { span } from "../words.ts";
import { ageOf, setsIn } from "./backup-scope.ts";

const DRILL = [{ argv: ["opsctl", "backup", "drill", "latest"], safe: false }];

export const backupNeverDrilled: Check<StackScope> = {
  id: "backup-never-drilled",
  area: "backup",
  title: "no archive was ever restored for a test",
  looks:
    "what the sidecars of good archives say of drills; the age of the oldest against the threshold drill_age",
  async run(_call, scope) {
    const good = (await setsIn(scope)).filter(isGood);
    const newest = good.at(-1);
    if (!newest || good.some(isDrilled)) return [];
    const oldest = Math.max(...good.map((archive) => ageOf(archive, scope) ?? 0));
    const isOverdue = oldest > scope.thresholds.drill_age * DAY_MS;
    return [
      {
        severity: isOverdue ? "warning" : "info",
        subject: scope.files.archives,
        evidence: `${good.length} good archive${good.length === 1 ? "" : "s"}, the oldest ${span(oldest)} old, and none was restored into a scratch database`,
        cause: "only a restore shows that an archive can be restored, and how long that takes",
        remedies: DRILL,
      },
    ];
  },
};

export const backupDrillOld: Check<StackScope> = {
  id: "backup-drill-old",
  area: "backup",
  title: "the last drill was long ago",
  looks: "the time of the last drill that passed, against the threshold drill_age",
  async run(_call, scope) {
    const drilled = (await setsIn(scope)).filter(isDrilled);
    const times = drilled.map((archive) => drilledAt(archive));
    const last = Math.max(...times);
    const limitDays = scope.thresholds.drill_age;
    if (times.length === 0 || scope.now - last <= limitDays * DAY_MS) return [];
    const archive = drilled[times.indexOf(last)]!;
    return [
      {
        severity: "warning",
        subject: archive.path,
        evidence: `the last drill that passed was ${span(scope.now - last)} ago; ${limitDays} days are allowed (drill_age)`,
        cause:
          "schemas, versions and sizes have changed since: whether today's archive can be restored is not known",
        remedies: DRILL,
      },
    ];
  },
};

function drilledAt({ sidecar }: Archive): number {
  return Date.parse(sidecar!.drill?.at ?? sidecar!.verified!.at);
}
