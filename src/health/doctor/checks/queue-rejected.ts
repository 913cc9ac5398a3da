import type { Check } from "../check.ts";
import type { StackScope } from "../scope.ts";
import { some } from "../words.ts";

export const queueRejected: Check<StackScope> = {
  id: "queue-rejected",
  area: "stack",
  title: "a server refused writes that were accepted here",
  looks: "rejected entries in the queue of this host",
  async run(call, scope) {
    const counts = (await scope.queue(call)).filter(({ rejected }) => rejected > 0);
    if (counts.length === 0) return [];
    const queued = (await scope.queued(call)).filter(({ state }) => state === "rejected");
    return counts.map(({ store, rejected }) => {
      const mine = queued.filter((entry) => entry.store === store);
      const [first] = mine;
      const numbers = some(mine.map(({ seq }) => String(seq)));
      return {
        severity: "warning" as const,
        subject: `queue for ${store}`,
        evidence: `${rejected} rejected${first === undefined ? "" : `, number ${numbers}: ${first.lastError ?? "no reason"}`}`,
        cause: "they will never get there by themselves: the server does not take what they hold",
        remedies: [],
        advice:
          "opsctl queue shows them; write them again in a form that the server takes, then opsctl queue drop NUMBER",
      };
    });
  },
};
