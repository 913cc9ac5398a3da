import { bytes } from "../../../amounts.ts";
import type { Check } from "../check.ts";
import { meminfo, numberBelow } from "../kernel.ts";
import type { StackScope } from "../scope.ts";

/** Share of the commit limit from which memory may be refused, per cent. */
const NEAR_PERCENT = 90;

export const hostOvercommit: Check<StackScope> = {
  id: "host-overcommit",
  area: "host",
  title: "the kernel is about to refuse memory",
  looks: "/proc/sys/vm/overcommit_memory; CommitLimit and Committed_AS in /proc/meminfo",
  run: async (_call, { root }) => {
    // only mode 2 has a limit
    if ((await numberBelow(root, "proc/sys/vm/overcommit_memory")) !== 2) return [];
    const memory = await meminfo(root);
    const [limit, committed] = [memory.get("CommitLimit") ?? 0, memory.get("Committed_AS") ?? 0];
    if (limit === 0 || (committed / limit) * 100 < NEAR_PERCENT) return [];
    return [
      {
        severity: "warning",
        subject: "vm.overcommit_memory = 2",
        evidence: `${bytes(committed)} of ${bytes(limit)} that may be promised are promised (${((committed / limit) * 100).toFixed(1)} %)`,
        cause:
          "beyond the limit no process gets memory: PostgreSQL answers `out of memory`, and Redis cannot fork for a snapshot",
        remedies: [],
        advice:
          "raise vm.overcommit_ratio in /etc/sysctl.conf (80 leaves a fifth to the kernel) and run sysctl -p, or add swap",
      },
    ];
  },
};
