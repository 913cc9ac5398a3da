import { infoOf, maintains, type RedisCheck, settingsOf } from "./facts.ts";

export const aofFailed: RedisCheck = {
  id: "redis-aof-error",
  area: "redis",
  title: "append-only file cannot be written",
  looks: "INFO persistence: aof_last_write_status, aof_last_bgrewrite_status",
  async run(call, scope) {
    const info = await infoOf(call, scope);
    if (info["aof_enabled"] !== "1") return [];
    const writeFailed = info["aof_last_write_status"] === "err";
    if (!writeFailed && info["aof_last_bgrewrite_status"] !== "err") return [];
    const [dir = "unknown"] = await settingsOf(call, scope, "dir");
    const common = { subject: `append-only file of ${scope.connection.at}` };
    if (writeFailed) {
      return [
        {
          ...common,
          severity: "error",
          evidence: `the last write to it failed (aof_last_write_status:err); folder ${dir}`,
          cause:
            "Writes are refused with MISCONF until the file can be written again; mostly the disk is full.",
          remedies: [],
          advice: `make room: df -h ${dir}; the server tries again every second by itself`,
        },
      ];
    }
    return [
      {
        ...common,
        severity: "warning",
        evidence: `its last rewrite failed (aof_last_bgrewrite_status:err); folder ${dir}`,
        cause: "The file only grows until a rewrite succeeds, and a start takes longer and longer.",
        remedies: [maintains(true)],
        advice: `first look at the server's log and at df -h ${dir}`,
      },
    ];
  },
};
