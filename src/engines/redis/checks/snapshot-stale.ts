import { amountOf, infoOf, maintains, type RedisCheck, settingsOf } from "./facts.ts";

export const snapshotStale: RedisCheck = {
  id: "redis-rdb-stale",
  area: "redis",
  title: "newest snapshot is older than its save points ask for",
  looks: "INFO persistence: rdb_last_save_time, rdb_changes_since_last_save; CONFIG GET save",
  async run(call, scope) {
    const info = await infoOf(call, scope);
    const changes = amountOf(info, "rdb_changes_since_last_save");
    if (info["aof_enabled"] === "1" || info["rdb_bgsave_in_progress"] === "1" || changes === 0) return [];
    const [save = ""] = await settingsOf(call, scope, "save");
    const seconds = amountOf(info, "server_time_usec") / 1e6 - amountOf(info, "rdb_last_save_time");
    const due = longestOf(save);
    if (due === undefined || !(seconds > 2 * due)) return [];
    return [
      {
        severity: "warning",
        subject: `snapshots of ${scope.connection.at}`,
        evidence: `the last one is ${Math.round(seconds)} s old, its save points (${save}) ask for one every ${due} s; ${changes.toLocaleString("en")} changes since`,
        cause: "A crash loses these changes: there is no append-only file.",
        remedies: [maintains(true, "--all")],
        advice: `CONFIG SET appendonly yes loses one second at most; a save point with fewer changes saves more often`,
      },
    ];
  },
};

/** The longest period of `3600 1 300 100`, s. */
function longestOf(save: string): number | undefined {
  const periods = save.split(" ").filter((_, at) => at % 2 === 0);
  return save === "" ? undefined : Math.max(...periods.map(Number));
}
