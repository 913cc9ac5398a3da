import { amountOf, infoOf, type RedisCheck } from "./facts.ts";

export const replicaLink: RedisCheck = {
  id: "redis-replica-link",
  area: "redis",
  title: "replica has lost its primary",
  looks: "INFO replication: master_link_status",
  async run(call, scope) {
    const info = await infoOf(call, scope);
    if (info["role"] !== "slave" || info["master_link_status"] !== "down") return [];
    const primary = `${info["master_host"]}:${info["master_port"]}`;
    const isCopying = info["master_sync_in_progress"] === "1";
    const seconds = amountOf(info, "master_link_down_since_seconds");
    return [
      {
        severity: isCopying ? "warning" : "error",
        subject: `replica ${scope.connection.at}`,
        evidence: isCopying
          ? `it copies the data of ${primary}: ${amountOf(info, "master_sync_left_bytes").toLocaleString("en")} bytes left`
          : `no link to ${primary}${seconds > 0 ? ` for ${seconds} s` : ", it never had one"}`,
        cause: isCopying
          ? "Until it is done its answers are old or refused."
          : "It answers with old data; the primary is down, not reachable from here, or refuses masterauth.",
        remedies: [],
        advice: `look at the logs of both; where ${primary} is gone for good: REPLICAOF NO ONE makes this one a primary`,
      },
    ];
  },
};
