/** Memory against its limit. */
import { bytes } from "../../../amounts.ts";
import type { Info } from "../info.ts";
import type { Scope } from "./facts.ts";
import { amountOf } from "./facts.ts";

export interface Use {
  /** Bytes that count against maxmemory: buffers of replicas and of the append-only file do not. */
  used: number;
  /** 0: none. */
  limit: number;
  policy: string;
  /** At or above the threshold `redis_memory`. */
  isFull: boolean;
  /** `61.2 MiB of 64.0 MiB (95.6 %) are used` */
  shown: string;
}

export function useOf(info: Info, { thresholds }: Scope): Use {
  const used = amountOf(info, "used_memory") - amountOf(info, "mem_not_counted_for_evict");
  const limit = amountOf(info, "maxmemory");
  const percent = limit === 0 ? 0 : (used / limit) * 100;
  return {
    used,
    limit,
    policy: info["maxmemory_policy"] ?? "noeviction",
    isFull: limit > 0 && percent >= thresholds.redis_memory,
    shown: `${bytes(used)} of ${bytes(limit)} (${percent.toFixed(1)} %) are used`,
  };
}
