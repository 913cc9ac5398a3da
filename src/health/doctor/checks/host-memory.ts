import { bytes } from "../../../amounts.ts";
import { readHost } from "../../host.ts";
import type { Check } from "../check.ts";
import { largest } from "../processes.ts";
import type { StackScope } from "../scope.ts";

export const hostMemory: Check<StackScope> = {
  id: "host-memory",
  area: "host",
  title: "the memory of this host is nearly used up",
  looks: "MemAvailable in /proc/meminfo; VmRSS of the largest processes",
  run: async (_call, { root, thresholds }) => {
    const { memory } = await readHost({ root, sampleMs: 0, paths: [] });
    if (memory.usage_percent < thresholds.memory_warning) return [];
    const users = await largest(root, "VmRSS");
    return [
      {
        severity: memory.usage_percent >= thresholds.memory_critical ? "error" : "warning",
        subject: "memory of this host",
        evidence: `${memory.usage_percent} % of ${bytes(memory.total_bytes)} in use, ${bytes(memory.available_bytes)} available${users && `; largest: ${users}`}`,
        cause: "when it runs out, the kernel kills the largest process, which is mostly a database",
        remedies: [],
        advice:
          "give the databases less (PostgreSQL shared_buffers, Redis maxmemory, Neo4j server.memory.heap.max_size and server.memory.pagecache.size), stop what is not needed, or add memory",
      },
    ];
  },
};
