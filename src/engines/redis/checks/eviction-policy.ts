import { keyspaceOf } from "../info.ts";
import { infoOf, type RedisCheck, sets } from "./facts.ts";
import { useOf } from "./memory.ts";

/** Of keys, below which a volatile policy has hardly anything to drop. */
const FEW = 0.1;
/** Fewer keys say nothing about how a server is used. */
const ENOUGH_KEYS = 1_000;

export const evictionPolicy: RedisCheck = {
  id: "redis-eviction-policy",
  area: "redis",
  title: "eviction policy does not fit the keys",
  looks: "INFO memory: maxmemory_policy against used_memory; INFO keyspace: keys that expire",
  async run(call, scope) {
    const info = await infoOf(call, scope);
    const use = useOf(info, scope);
    if (use.limit === 0) return [];
    const { keys, expiring } = keyspaceOf(info);
    const common = { subject: `maxmemory-policy of ${scope.connection.at}` };
    const counts = `${expiring.toLocaleString("en")} of ${keys.toLocaleString("en")} keys expire`;
    const change = sets(info, "maxmemory-policy", "allkeys-lru");
    if (use.policy === "noeviction" && use.isFull) {
      return [
        {
          ...common,
          severity: "error",
          evidence: `${use.shown}, policy noeviction`,
          cause: "At the limit every write is refused with OOM; a cache shall drop its oldest keys instead.",
          remedies: change,
          advice: "where no key may be lost raise maxmemory instead",
        },
      ];
    }
    if (use.policy.startsWith("volatile-") && expiring < keys * FEW && (use.isFull || keys >= ENOUGH_KEYS)) {
      return [
        {
          ...common,
          severity: use.isFull ? "error" : "warning",
          evidence: `${use.shown}, policy ${use.policy}, ${counts}`,
          cause:
            "This policy drops only keys that expire: when those are gone every write is refused with OOM.",
          remedies: change,
          advice:
            "where keys without a time to live may not be lost raise maxmemory, or let the others expire",
        },
      ];
    }
    if (use.policy.startsWith("allkeys-") && keys >= ENOUGH_KEYS && expiring === 0) {
      return [
        {
          ...common,
          severity: "info",
          evidence: `policy ${use.policy}, ${counts}`,
          cause:
            "Keys that never expire look like primary data, and this policy drops any key when the memory is full.",
          remedies: [],
          advice:
            "for a cache this is right; else CONFIG SET maxmemory-policy noeviction and watch the memory",
        },
      ];
    }
    return [];
  },
};
