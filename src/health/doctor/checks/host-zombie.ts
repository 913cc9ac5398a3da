import type { Check } from "../check.ts";
import { processes, processOf, statusOf } from "../processes.ts";
import type { StackScope } from "../scope.ts";

/** Of one parent: a few are normal, they wait for a moment. */
const MANY = 20;

export const hostZombie: Check<StackScope> = {
  id: "host-zombie",
  area: "host",
  title: "dead processes pile up",
  looks: "State and PPid in /proc/PID/status",
  run: async (_call, { root }) => {
    // the dead have no arguments
    const silent = (await processes(root)).filter(({ args }) => args[0] === "");
    const statuses = await Promise.all(silent.map(({ pid }) => statusOf(root, pid)));
    const dead = statuses.filter((status) => status.get("State")?.startsWith("Z"));
    const parents = Map.groupBy(dead, (status) => Number(status.get("PPid")));
    const many = [...parents].filter(([, children]) => children.length >= MANY);
    return Promise.all(
      many.map(async ([pid, children]) => ({
        severity: "info" as const,
        subject: `process ${pid} (${(await processOf(root, pid))?.name ?? "gone"})`,
        evidence: `${children.length} of its children have ended, and it does not ask how`,
        cause:
          "each keeps a process number; when they run out, nothing can be started. In a container it means that its first process is no init",
        remedies: [],
        advice:
          "restart that process; start containers with docker run --init (init: true in the compose file)",
      })),
    );
  },
};
