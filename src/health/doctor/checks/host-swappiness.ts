import type { Check } from "../check.ts";
import { meminfo, numberBelow } from "../kernel.ts";
import type { StackScope } from "../scope.ts";
import { localServers } from "../servers.ts";
import { TITLES } from "../words.ts";

/** What the makers of databases advise is 1 to 10; the kernel's default is 60. */
const ADVISED = 10;

export const hostSwappiness: Check<StackScope> = {
  id: "host-swappiness",
  area: "host",
  title: "the kernel swaps out databases early",
  looks: "/proc/sys/vm/swappiness, where a configured server runs on this host and it has swap",
  run: async (_call, scope) => {
    const swappiness = await numberBelow(scope.root, "proc/sys/vm/swappiness");
    if (swappiness === undefined || swappiness <= ADVISED) return [];
    if (((await meminfo(scope.root)).get("SwapTotal") ?? 0) === 0) return [];
    const engines = new Set((await localServers(scope)).map(({ engine }) => TITLES[engine]));
    if (engines.size === 0) return [];
    return [
      {
        severity: "info",
        subject: `vm.swappiness = ${swappiness}`,
        evidence: `${ADVISED} or less is advised for a host of databases; here run ${[...engines].join(", ")}`,
        cause:
          "the kernel prefers its file cache to the memory of idle processes, and the next query waits for the disk",
        remedies: [{ argv: ["sysctl", "-w", `vm.swappiness=${ADVISED}`], safe: false }],
        advice: `to keep it after a restart: echo vm.swappiness=${ADVISED} > /etc/sysctl.d/60-opsctl.conf`,
      },
    ];
  },
};
