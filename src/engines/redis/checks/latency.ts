import { allowed, type RedisCheck } from "./facts.ts";

/** What clients feel, ms. */
const SLOW_MS = 100;
const RECENT_S = 86_400;

export const latency: RedisCheck = {
  id: "redis-latency",
  area: "redis",
  title: "latency spikes in the last day",
  looks: "LATENCY LATEST, where latency-monitor-threshold is set",
  async run(call, scope) {
    const [reply, [seconds]] = await allowed(
      scope,
      "+latency|latest +time",
      async () =>
        [
          await scope.connection.run(call, ["LATENCY", "LATEST"], { words: 2 }),
          (await scope.connection.run(call, ["TIME"])) as string[],
        ] as const,
    );
    const spikes = (reply as [string, number, number, number][]).filter(
      ([, at, , most]) => most >= SLOW_MS && Number(seconds) - at < RECENT_S,
    );
    if (spikes.length === 0) return [];
    return [
      {
        severity: "info",
        subject: `latency of ${scope.connection.at}`,
        evidence: spikes
          .map(([event, , last, most]) => `${event}: last ${last} ms, most ${most} ms`)
          .join("; "),
        cause: "While such an event lasts every client waits.",
        remedies: [],
        advice: `opsctl query redis "LATENCY DOCTOR" explains them; LATENCY RESET forgets them`,
      },
    ];
  },
};
