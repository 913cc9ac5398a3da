import { bytes } from "../../../amounts.ts";
import { Unknowable } from "../../../health/doctor/check.ts";
import { textBelow } from "../../../health/doctor/kernel.ts";
import { amountOf, infoOf, type RedisCheck, requireLocal } from "./facts.ts";

/** Less is nothing that a request would meet. */
const MUCH = 10 * 1024 ** 2;

export const swap: RedisCheck = {
  id: "redis-swap",
  area: "redis",
  title: "memory of the server is swapped out",
  looks: "/proc/PID/status of the server: VmSwap",
  async run(call, scope) {
    requireLocal(scope);
    const info = await infoOf(call, scope);
    const pid = amountOf(info, "process_id");
    const status = await textBelow(scope.root, `proc/${pid}/status`);
    // in a container the number is another one here
    if (!/^Name:\s+(redis|valkey)/m.test(status ?? "")) {
      throw new Unknowable(`process ${pid} of Redis at ${scope.connection.at} is not seen on this host`);
    }
    const swapped = Number(/^VmSwap:\s+(\d+) kB$/m.exec(status!)?.[1] ?? 0) * 1024;
    if (swapped < MUCH) return [];
    return [
      {
        severity: "warning",
        subject: `process ${pid} of ${scope.connection.at}`,
        evidence: `${bytes(swapped)} of it are in swap, ${bytes(amountOf(info, "used_memory_rss"))} in memory`,
        cause: "A command that meets a swapped page waits for the disk, and all clients with it.",
        remedies: [],
        advice: "find what else uses the machine's memory, lower maxmemory, or set vm.swappiness = 1",
      },
    ];
  },
};
