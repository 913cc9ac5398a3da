import { allowed, type RedisCheck, settingsOf } from "./facts.ts";

/** A command that takes longer stops all other clients for a time that they feel, µs. */
const SLOW_US = 100_000;
/** What is older was somebody else's night, s. */
const RECENT_S = 86_400;

export const slowlog: RedisCheck = {
  id: "redis-slowlog",
  area: "redis",
  title: "slow commands in the last day",
  looks: "SLOWLOG GET: commands of 100 ms and more; their names, not their values",
  async run(call, scope) {
    const [reply, [seconds]] = await allowed(
      scope,
      "+slowlog|get +time",
      async () =>
        [
          await scope.connection.run(call, ["SLOWLOG", "GET", "128"], { words: 2 }),
          (await scope.connection.run(call, ["TIME"])) as string[],
        ] as const,
    );
    const slow = (reply as [number, number, number, string[]][]).filter(
      ([, at, us]) => us >= SLOW_US && Number(seconds) - at < RECENT_S,
    );
    if (slow.length === 0) return [];
    const [threshold] = await settingsOf(call, scope, "slowlog-log-slower-than").catch(() => []);
    const counts = new Map<string, number>();
    for (const [, , , [name = ""]] of slow) {
      counts.set(name.toUpperCase(), (counts.get(name.toUpperCase()) ?? 0) + 1);
    }
    const names = [...counts].sort(([, a], [, b]) => b - a).map(([name, count]) => `${count} × ${name}`);
    const longest = Math.max(...slow.map(([, , us]) => us)) / 1000;
    return [
      {
        severity: longest >= 1000 ? "warning" : "info",
        subject: `commands of ${scope.connection.at}`,
        evidence: `${slow.length} took 100 ms or more in the last day (${names.slice(0, 5).join(", ")}); the longest ${longest.toFixed(0)} ms`,
        cause: "Redis runs one command at a time: meanwhile every other client waits.",
        remedies: [],
        advice: `opsctl query redis "SLOWLOG GET 10" shows them; SCAN instead of KEYS, UNLINK instead of DEL, ranges instead of whole lists. SLOWLOG RESET forgets them${threshold === undefined ? "" : `; logged from ${threshold} µs on`}`,
      },
    ];
  },
};
