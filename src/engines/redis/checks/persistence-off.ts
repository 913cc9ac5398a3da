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
    const isReplica = info["role"] === "slave";
    return [
      {
        severity: isCache || isReplica ? "info" : "warning",
        subject: `persistence of ${scope.connection.at}`,
        evidence: `appendonly no, save "", ${keyspaceOf(info).keys.toLocaleString("en")} keys`,
        cause: isReplica
          ? "A restart copies all of the primary's data again; made a primary meanwhile it begins empty."
          : "A restart, wanted or not, begins with an empty server.",
        remedies: isCache || isReplica ? [] : sets(info, "appendonly", "yes"),
        advice: adviceFor(isCache, isReplica),
      },
    ];
  },
};

function adviceFor(isCache: boolean, isReplica: boolean): string {
  if (isReplica) return "right where the primary writes to disk, or another replica does";
  return isCache
    ? "right for a pure cache, which the limit and the policy say this is; for anything else CONFIG SET appendonly yes"
    : "the append-only file needs room on the disk, and stays on; a pure cache has maxmemory and an allkeys- policy instead";
}
