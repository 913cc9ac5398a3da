import type { Change } from "../../../migrate/port.ts";
import { DEFAULT_REDIS_SETTINGS } from "../../../migrate/redis-settings.ts";
import { compareSettings, readRisks } from "../settings.ts";
import { allowed, type RedisCheck } from "./facts.ts";

/** What a server has that nobody configured. Another value is somebody's choice. */
const UNSET: Readonly<Record<string, string>> = {
  maxmemory: "0",
  "maxmemory-policy": "noeviction",
  appendonly: "no",
  timeout: "0",
};

export const settingsDrift: RedisCheck = {
  id: "redis-settings",
  area: "redis",
  title: "the guides' settings are not made",
  looks: "CONFIG GET maxmemory, maxmemory-policy, appendonly, appendfsync, timeout",
  async run(call, scope) {
    const wanted = DEFAULT_REDIS_SETTINGS;
    const changes = await allowed(scope, "+config|get", () =>
      compareSettings(call, scope.connection, wanted),
    );
    const left = changes.filter(isUnset);
    if (left.length === 0) return [];
    const risks = await allowed(scope, "+info", () => readRisks(call, scope.connection, changes));
    return [
      {
        severity: "info",
        subject: `settings of ${scope.connection.at}`,
        evidence: left
          .map(({ name, before, after }) => `${name} is ${before}, the guides say ${after}`)
          .join("; "),
        cause:
          "Without a limit it takes all memory, without the append-only file a restart loses data, idle clients stay for ever.",
        // where it would cost keys, or undo what somebody chose, a person decides
        remedies:
          risks.length === 0 && left.length === changes.length
            ? [{ argv: ["opsctl", "init", "redis"], safe: false }]
            : [],
        advice:
          risks.length > 0
            ? `opsctl init redis makes them; beware: ${risks.join("; ")}`
            : "opsctl init redis --redis-config name=value keeps what differs on purpose",
      },
    ];
  },
};

function isUnset({ name, before }: Change): boolean {
  return UNSET[name] === before;
}
