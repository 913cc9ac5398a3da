import { amountOf, infoOf, maintains, type RedisCheck, settingsOf } from "./facts.ts";

export const snapshotFailed: RedisCheck = {
  id: "redis-misconf",
  area: "redis",
  title: "last snapshot failed (MISCONF)",
  looks: "INFO persistence: rdb_last_bgsave_status; CONFIG GET save, stop-writes-on-bgsave-error, dir",
  async run(call, scope) {
    const info = await infoOf(call, scope);
    if (info["rdb_last_bgsave_status"] !== "err") return [];
    const [save, stops, dir] = await settingsOf(call, scope, "save", "stop-writes-on-bgsave-error", "dir");
    const refuses = save !== "" && stops !== "no";
    const changes = amountOf(info, "rdb_changes_since_last_save").toLocaleString("en");
    return [
      {
        severity: refuses ? "error" : "warning",
        subject: `snapshots of ${scope.connection.at}`,
        evidence: `the last BGSAVE failed; ${changes} changes since the last good one; folder ${dir ?? "unknown"}`,
        cause: refuses
          ? "The server refuses every write with MISCONF until a snapshot succeeds; mostly its disk is full or the folder not writable."
          : "There is no newer snapshot to start from; mostly the disk is full or the folder not writable.",
        // without save points nobody asked for a file: the next start would begin with what is old by then
        remedies: [maintains(save !== "")],
        advice: `first make room: df -h ${dir ?? "of its folder"}; the server's log names the reason. Where the append-only file is enough: CONFIG SET save ""`,
      },
    ];
  },
};
