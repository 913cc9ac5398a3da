import { type Check, Unknowable } from "../check.ts";
import { textBelow } from "../kernel.ts";
import type { StackScope } from "../scope.ts";

export const hostOom: Check<StackScope> = {
  id: "host-oom",
  area: "host",
  title: "the kernel has killed processes for want of memory",
  looks: "oom_kill in /proc/vmstat",
  run: async (_call, { root }) => {
    const text = await textBelow(root, "proc/vmstat");
    if (text === undefined) throw new Unknowable("/proc/vmstat cannot be read");
    const kills = Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0);
    if (kills === 0) return [];
    return [
      {
        severity: "info",
        subject: "memory of this host",
        evidence: `${kills} ${kills === 1 ? "process was" : "processes were"} killed since it was started`,
        cause:
          "a process or its container wanted more memory than there was; databases are killed first, being the largest",
        remedies: [],
        advice: "journalctl -k | grep -i 'killed process' (or dmesg -T) shows which and when",
      },
    ];
  },
};
