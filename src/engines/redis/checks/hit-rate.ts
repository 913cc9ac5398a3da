import { amountOf, infoOf, type RedisCheck } from "./facts.ts";

/** Fewer lookups say nothing. */
const ENOUGH = 10_000;

export const hitRate: RedisCheck = {
  id: "redis-hit-rate",
  area: "redis",
  title: "few lookups find their key",
  looks: "INFO stats: keyspace_hits, keyspace_misses",
  async run(call, scope) {
    const info = await infoOf(call, scope);
    const [hits, misses] = [amountOf(info, "keyspace_hits"), amountOf(info, "keyspace_misses")];
    const percent = (hits / (hits + misses)) * 100;
    if (hits + misses < ENOUGH || percent >= scope.thresholds.redis_hit_rate) return [];
    const evicted = amountOf(info, "evicted_keys");
    return [
      {
        severity: "info",
        subject: `keys of ${scope.connection.at}`,
        evidence: `${percent.toFixed(1)} % of ${(hits + misses).toLocaleString("en")} lookups hit; ${evicted.toLocaleString("en")} keys were evicted`,
        cause:
          evicted > 0
            ? "Keys are dropped before they are asked for again: the memory is too small."
            : "Keys expire before they are asked for again, or are asked for under names that nobody writes.",
        remedies: [],
        advice:
          evicted > 0
            ? "raise maxmemory"
            : "compare the times to live with how often keys are read; CONFIG RESETSTAT counts anew",
      },
    ];
  },
};
