import { bytes } from "../../../amounts.ts";
import { Unknowable } from "../../../health/doctor/check.ts";
import { meminfo, numberBelow } from "../../../health/doctor/kernel.ts";
import { amountOf, infoOf, type RedisCheck, requireLocal } from "./facts.ts";

export const overcommit: RedisCheck = {
  id: "redis-overcommit",
  area: "redis",
  title: "kernel may refuse the fork of a snapshot",
  looks: "/proc/sys/vm/overcommit_memory; INFO memory: used_memory against the free memory",
  async run(call, scope) {
    requireLocal(scope);
    const mode = await numberBelow(scope.root, "proc/sys/vm/overcommit_memory");
    if (mode === undefined) throw new Unknowable("/proc/sys/vm/overcommit_memory cannot be read");
    if (mode === 1) return [];
    const used = amountOf(await infoOf(call, scope), "used_memory");
    const available = (await meminfo(scope.root)).get("MemAvailable") ?? 0;
    return [
      {
        severity: used > available / 2 ? "warning" : "info",
        subject: "vm.overcommit_memory",
        evidence: `it is ${mode}; Redis uses ${bytes(used)}, ${bytes(available)} are available`,
        cause:
          "A snapshot or rewrite forks the server; the kernel refuses that when it counts the memory twice and has not that much.",
        remedies: [{ argv: ["sysctl", "-w", "vm.overcommit_memory=1"], safe: false }],
        advice: "to keep it: vm.overcommit_memory = 1 in /etc/sysctl.d/redis.conf",
      },
    ];
  },
};
