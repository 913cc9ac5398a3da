import { bytes } from "../../../amounts.ts";
import type { Found } from "../../../health/doctor/check.ts";
import type { Info } from "../info.ts";
import { amountOf, infoOf, type RedisCheck } from "./facts.ts";

export const replicationLag: RedisCheck = {
  id: "redis-replication-lag",
  area: "redis",
  title: "a replica is behind",
  looks: "INFO replication of the primary: state, offset and lag of each replica",
  async run(call, scope) {
    const info = await infoOf(call, scope);
    const { large } = scope.thresholds;
    return replicasOf(info)
      .filter(({ behind }) => behind > large)
      .map(
        ({ at, behind, state, seconds }): Found => ({
          severity: "warning",
          subject: `replica ${at} of ${scope.connection.at}`,
          evidence: `it is ${bytes(behind)} behind (state ${state}, last heard of ${seconds} s ago)`,
          cause:
            "A failover now loses that much; beyond the backlog the whole data set is copied again " +
            `(repl-backlog-size ${bytes(amountOf(info, "repl_backlog_size"))}).`,
          remedies: [],
          advice:
            "look at the network, the disk and the load of the replica; a larger repl-backlog-size avoids copies",
        }),
      );
  },
};

function replicasOf(info: Info) {
  const written = amountOf(info, "master_repl_offset");
  return Object.entries(info).flatMap(([name, line = ""]) => {
    if (!/^slave\d+$/.test(name)) return [];
    const field = (key: string) => new RegExp(`(?:^|,)${key}=([^,]*)`).exec(line)?.[1] ?? "";
    return [
      {
        at: `${field("ip")}:${field("port")}`,
        state: field("state"),
        seconds: field("lag"),
        // one that is still copying has no offset to compare
        behind: field("state") === "online" ? written - Number(field("offset")) : 0,
      },
    ];
  });
}
