import type { Check } from "../check.ts";
import type { StackScope } from "../scope.ts";
import { MINUTE_MS, span } from "../words.ts";

export const queueWaiting: Check<StackScope> = {
  id: "queue-waiting",
  area: "stack",
  title: "writes wait for a server for too long",
  looks: "the age of the oldest write in the queue of this host, against the threshold queue_age",
  async run(call, scope) {
    const counts = (await scope.queue(call)).filter(({ waiting }) => waiting > 0);
    if (counts.length === 0) return [];
    const queued = (await scope.queued(call)).filter(({ state }) => state === "waiting");
    const limitMs = scope.thresholds.queue_age * MINUTE_MS;
    return counts.flatMap(({ store, waiting }) => {
      const oldest = queued.find((entry) => entry.store === store);
      const age = oldest === undefined ? null : scope.now - oldest.write.order;
      if (age === null || age <= limitMs) return [];
      return [
        {
          severity: "warning" as const,
          subject: `queue for ${store}`,
          evidence: `${waiting} waiting, the oldest for ${span(age)}; ${scope.thresholds.queue_age} minutes are allowed (queue_age)`,
          cause: `the server was away when they were written, and nothing was written since that would deliver them${oldest!.lastError === null ? "" : `; last: ${oldest!.lastError}`}`,
          remedies: [{ argv: ["opsctl", "queue", "sync"], safe: true }],
        },
      ];
    });
  },
};
