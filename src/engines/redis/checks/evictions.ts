import { amountOf, infoOf, type RedisCheck } from "./facts.ts";
import { useOf } from "./memory.ts";

export const evictions: RedisCheck = {
  id: "redis-evictions",
  area: "redis",
  title: "keys were evicted",
  looks: "INFO stats: evicted_keys",
  async run(call, scope) {
    const info = await infoOf(call, scope);
    const evicted = amountOf(info, "evicted_keys");
    if (evicted === 0) return [];
    const { shown, policy } = useOf(info, scope);
    const hours = amountOf(info, "uptime_in_seconds") / 3600;
    return [
      {
        severity: "info",
        subject: `keys of ${scope.connection.at}`,
        evidence: `${evicted.toLocaleString("en")} keys evicted in ${hours.toFixed(1)} h; ${shown}, policy ${policy}`,
        cause: "The memory was full, and keys went before their time.",
        remedies: [],
        advice:
          "usual for a cache; when sessions end early or the hit rate falls: CONFIG SET maxmemory, and shorter times to live. CONFIG RESETSTAT counts anew",
      },
    ];
  },
};
