import type { Check } from "../check.ts";
import type { StackScope } from "../scope.ts";
import { TITLES } from "../words.ts";

/** A person notices, and a job of 1,000 statements takes minutes. */
const SLOW_MS = 250;
const VERY_SLOW_MS = 1_000;

export const connectionLatency: Check<StackScope> = {
  id: "connection-latency",
  area: "stack",
  title: "a server answers slowly",
  looks: `the round trip of one trivial query on an open connection, from ${SLOW_MS} ms`,
  async run(_call, { engines, targets }) {
    return engines.flatMap(({ engine, latency_ms: ms }) => {
      const target = targets.find((one) => one.engine === engine);
      if (ms === null || ms < SLOW_MS || !target) return [];
      return [
        {
          severity: ms < VERY_SLOW_MS ? ("info" as const) : ("warning" as const),
          subject: `${engine} at ${target.shown}`,
          evidence: `a trivial query took ${Math.round(ms)} ms`,
          cause: `${TITLES[engine]} or its host is overloaded, or the network between is slow or far`,
          remedies: [],
          advice:
            "run it again: once may be chance. Then compare with ping, and look at load and running statements there",
        },
      ];
    });
  },
};
