import { bytes } from "../../../amounts.ts";
import type { Check } from "../check.ts";
import { meminfo } from "../kernel.ts";
import { largest } from "../processes.ts";
import type { StackScope } from "../scope.ts";

/** Share of the swap space from which it says something, per cent: some of it is always in use. */
const USED_PERCENT = 50;

export const hostSwap: Check<StackScope> = {
  id: "host-swap",
  area: "host",
  title: "this host has swapped out much of its memory",
  looks: "SwapTotal, SwapFree and MemAvailable in /proc/meminfo; VmSwap of the processes",
  run: async (_call, { root, thresholds }) => {
    const memory = await meminfo(root);
    const [total, free] = [memory.get("SwapTotal") ?? 0, memory.get("SwapFree") ?? 0];
    const used = total - free;
    if (total === 0 || (used / total) * 100 < USED_PERCENT) return [];
    const available = ((memory.get("MemAvailable") ?? 0) / (memory.get("MemTotal") ?? 1)) * 100;
    const users = await largest(root, "VmSwap");
    return [
      {
        // with memory to spare it is only a trace of an earlier shortage
        severity: 100 - available >= thresholds.memory_warning ? "warning" : "info",
        subject: "swap of this host",
        evidence: `${bytes(used)} of ${bytes(total)} in use, ${available.toFixed(1)} % of the memory available${users && `; most: ${users}`}`,
        cause:
          "a database whose memory is on disk answers a hundred times slower; Redis and Neo4j stall while it is read back",
        remedies: [],
        advice:
          "give the databases less memory or the host more; vmstat 1 shows what is swapped now (si, so)",
      },
    ];
  },
};
