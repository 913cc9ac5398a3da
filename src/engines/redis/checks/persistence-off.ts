import { keyspaceOf } from "../info.ts";
import { infoOf, type RedisCheck, sets, settingsOf } from "./facts.ts";
import { useOf } from "./memory.ts";

export const persistenceOff: RedisCheck = {
  id: "redis-persistence-off",
  area: "redis",
  title: "nothing is written to disk",
  looks: "INFO persistence: aof_enabled; CONFIG GET save",
  async run(call, scope) {
    const info = await infoOf(call, scope);
    if (info["aof_enabled"] === "1") return [];
    const [save] = await settingsOf(call, scope, "save");
    // a service that hides the setting takes care itself
    if (save !== "") return [];
    const { policy, limit } = useOf(info, scope);
    const isCache = limit > 0 && policy.startsWith("allkeys-");
    return [
      {
        severity: isCache || info["role"] === "slave" ? "info" : "warning",
        subject: `persistence of ${scope.connection.at}`,
        evidence: `appendonly no, save "", ${keyspaceOf(info).keys.toLocaleString("en")} keys`,
        cause: "A restart, wanted or not, begins with an empty server.",
        remedies: sets(info, "appendonly", "yes", true),
      },
    ];
  },
};
