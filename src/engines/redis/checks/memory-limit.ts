import { bytes } from "../../../amounts.ts";
import { amountOf, infoOf, type RedisCheck, sets } from "./facts.ts";
import { useOf } from "./memory.ts";

/** A limit may be raised by a command while this share of the machine's memory stays for others. */
const SHARE = 0.5;

export const memoryLimit: RedisCheck = {
  id: "redis-memory-limit",
  area: "redis",
  title: "memory limit nearly reached, missing, or above what the machine has",
  looks: "INFO memory: used_memory, maxmemory, total_system_memory",
  async run(call, scope) {
    const info = await infoOf(call, scope);
    const use = useOf(info, scope);
    const machine = amountOf(info, "total_system_memory");
    const common = { subject: `maxmemory of ${scope.connection.at}` };
    const half = Math.floor(machine * SHARE);
    if (use.limit === 0) {
      if (machine === 0 || use.used < half) return [];
      return [
        {
          ...common,
          severity: "warning",
          evidence: `${bytes(use.used)} are used of the machine's ${bytes(machine)}, and there is no limit`,
          cause: "It grows until the kernel ends a process for want of memory, most likely this one.",
          remedies: sets(info, "maxmemory", String(Math.floor(machine * 0.75))),
        },
      ];
    }
    if (machine > 0 && use.limit > machine) {
      return [
        {
          ...common,
          severity: "warning",
          evidence: `the limit is ${bytes(use.limit)}, the machine has ${bytes(machine)}`,
          cause: "The kernel ends the server for want of memory before the limit takes effect.",
          remedies: [],
          advice: `lower maxmemory below ${bytes(machine)}, with room for the fork of a snapshot; a limit below the used memory deletes keys at once`,
        },
      ];
    }
    if (!use.isFull) return [];
    const isCache = use.policy.startsWith("allkeys-");
    return [
      {
        ...common,
        severity: isCache ? "info" : "warning",
        evidence: `${use.shown}, policy ${use.policy}`,
        cause: isCache
          ? "From the limit on every write drops other keys: usual for a cache, too small when the hit rate falls."
          : "At the limit writes are refused or keys are dropped.",
        remedies: use.limit * 2 <= half ? sets(info, "maxmemory", String(use.limit * 2)) : [],
        advice:
          use.limit * 2 <= half
            ? undefined
            : `the machine has ${bytes(machine)}: give keys a time to live, or the server a larger machine`,
      },
    ];
  },
};
