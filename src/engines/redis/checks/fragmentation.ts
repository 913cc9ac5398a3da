import { bytes } from "../../../amounts.ts";
import { amountOf, infoOf, type RedisCheck, sends } from "./facts.ts";

/** MEMORY DOCTOR calls a server with less empty, bytes. */
const EMPTY = 5 * 1024 ** 2;
/** From so many times the threshold `large` on it is more than a tip. */
const MUCH = 10;

export const fragmentation: RedisCheck = {
  id: "redis-fragmentation",
  area: "redis",
  title: "much resident memory holds no data",
  looks: "INFO memory: mem_fragmentation_ratio, used_memory_rss against used_memory",
  async run(call, scope) {
    const { redis_fragmentation, large } = scope.thresholds;
    const info = await infoOf(call, scope);
    const [used, resident] = [amountOf(info, "used_memory"), amountOf(info, "used_memory_rss")];
    const ratio = amountOf(info, "mem_fragmentation_ratio");
    const idle = resident - used;
    if (used < EMPTY || ratio < redis_fragmentation || idle < large) return [];
    return [
      {
        severity: idle >= MUCH * large ? "warning" : "info",
        subject: `memory of ${scope.connection.at}`,
        evidence: `${bytes(resident)} are resident for ${bytes(used)} in use (ratio ${ratio}); the peak was ${bytes(amountOf(info, "used_memory_peak"))}`,
        cause:
          "Deleted keys left holes that the allocator has not given back; maxmemory does not count them.",
        remedies: info["mem_allocator"]?.startsWith("jemalloc") ? [sends("MEMORY PURGE", true)] : [],
        advice:
          "what stays: CONFIG SET activedefrag yes where the build has it, else a restart of the server",
      },
    ];
  },
};
